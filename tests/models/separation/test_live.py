"""Fed in blocks of any size, a causal network gives what it gives for the whole mixture, a window late at most."""

import pytest
import torch

from models.bsrnn.config import BSRNNConfig
from models.bsrnn.network import BSRNN
from models.separation.live import LiveStems

CAUSAL = {"norm": "rms", "level_inputs": True, "causal": True}


def causal_network(n_fft: int = 64, hop: int = 32, stereo: str = "folded", mid_side: bool = False) -> BSRNN:
    torch.manual_seed(0)
    shape = BSRNNConfig(
        ("a", "b"), 8000, n_fft, hop, "500:2k,1k:3k", 8, 6, 2, 1, stereo=stereo, mid_side=mid_side, **CAUSAL
    )
    network = BSRNN(shape).eval()
    for parameter in network.parameters():  # the spatial layers begin as zeros
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network


def music(length: int) -> torch.Tensor:
    return torch.randn(1, 2, length, generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("block", [1, 7, 32, 33, 10_000])
@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 65, 300])
def test_blocks_give_the_stems_of_the_whole(length, block):
    network, mixture = causal_network(), music(length)
    with torch.inference_mode():
        live, pieces, received, given = LiveStems(network), [], 0, 0
        for part in mixture.split(block, dim=-1):
            pieces.append(live.feed(part))
            received, given = received + part.shape[-1], given + pieces[-1].shape[-1]
            assert received - live.latency <= given <= received
        stems = torch.cat([*pieces, live.finish()], dim=-1)
        torch.testing.assert_close(stems, network(mixture).waveforms, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mid_side", [False, True])
@pytest.mark.parametrize("stereo", ["folded", "spatial"])
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (64, 24), (128, 64)])
def test_of_every_shape(n_fft, hop, stereo, mid_side):
    network, mixture = causal_network(n_fft, hop, stereo, mid_side), music(5000)  # more frames than go at once
    with torch.inference_mode():
        live = LiveStems(network)
        stems = torch.cat([live.feed(mixture[..., :4100]), live.feed(mixture[..., 4100:]), live.finish()], dim=-1)
        torch.testing.assert_close(stems, network(mixture).waveforms, atol=1e-5, rtol=0)


def test_the_latency_is_a_window():
    """No sample depends on one that comes a window later, and some depend on one just before that."""
    network, mixture = causal_network(), music(640)
    changed = mixture.clone()
    changed[..., 320:] += music(320)
    with torch.inference_mode():
        difference = (network(mixture).waveforms - network(changed).waveforms).abs().amax(dim=(0, 1, 2))
    first = int(difference.nonzero()[0])
    assert 320 - 64 < first <= 320 - 30  # the window begins with almost nothing
    assert LiveStems(network).latency == 63


def test_a_network_that_looks_ahead_is_refused_and_so_is_an_empty_mixture():
    shape = BSRNNConfig(("a",), 8000, 64, 32, "500:2k,1k:3k", 8, 6, 1, 1)
    with pytest.raises(ValueError, match="expected a causal network"):
        LiveStems(BSRNN(shape))
    with pytest.raises(ValueError, match="the mixture is empty"):
        LiveStems(causal_network()).finish()


@pytest.mark.parametrize("change", [{"norm": "group"}, {"attention_heads": 2}, {"stereo": "tac"}])
def test_what_needs_later_frames_is_not_causal(change):
    with pytest.raises(ValueError, match=r"model\.causal: expected norm=rms"):
        BSRNNConfig(**(CAUSAL | change))
