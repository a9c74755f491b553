"""What makes separation fast changes nothing that one can hear: several chunks at once, and bfloat16."""

import numpy as np
import pytest
import torch

from models.checkpoints.streamed import StreamedNetworks
from models.separation.separator import NetworkSeparator, load_separator
from models.signal.chunking import SeparateConfig
from models.tracks import open_tracks, shipped_excerpt
from scaled_copies import SETTINGS, STEMS, ScaledCopies, noise


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.75])
def test_several_chunks_at_once_give_the_same_stems(two_threads, overlap, batch):
    mixture = noise(30_000)
    separator = NetworkSeparator(ScaledCopies(), SeparateConfig(segment_s=0.5, overlap=overlap, batch=batch))
    at_once = separator.separate(mixture)
    separator.workers = 1
    one_by_one = separator.separate(mixture)
    for stem in separator.stems:
        np.testing.assert_array_equal(at_once[stem], one_by_one[stem])


def test_chunks_run_on_as_many_threads_as_pytorch_has(two_threads, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "models.separation.separator.overlap_add",
        lambda process, mixture, window, hop, batch, workers: seen.append(workers) or iter(()),
    )
    separator = NetworkSeparator(ScaledCopies(), SETTINGS)
    list(separator.separate_stream([torch.zeros(2, 100)], separator.sample_rate))
    separator.workers = 1
    list(separator.separate_stream([torch.zeros(2, 100)], separator.sample_rate))
    assert seen == [2, 1]


def test_a_network_that_is_read_in_parts_runs_once_at_a_time():
    assert StreamedNetworks.is_reentrant is False
    network = ScaledCopies()
    network.is_reentrant = False
    assert NetworkSeparator(network, SETTINGS).workers == 1


def test_an_error_in_a_later_chunk_is_one_line(two_threads):
    class Failing(ScaledCopies):
        def forward(self, mixture):
            if (mixture == 1).all():
                return super().forward(mixture * float("nan"))
            return super().forward(mixture)

    separator = NetworkSeparator(Failing(), SeparateConfig(segment_s=0.1, overlap=0.0, batch=1))
    mixture = noise(30_000)
    mixture[:, 20_000:] = 1
    with pytest.raises(ValueError, match="output of network"):
        separator.separate(mixture)


@pytest.mark.parametrize("checkpoint", ["small", "tiny"])
def test_bfloat16_stems_are_those_of_float32_at_30_db(checkpoint):
    (track,) = open_tracks(shipped_excerpt().parent, "train", STEMS)
    mixture = track.read_stem("mixture").astype(np.float32)
    exact = load_separator(checkpoint, "cpu").separate(mixture)
    try:
        rounded = load_separator(checkpoint, "cpu", precision="bfloat16").separate(mixture)
    except ValueError as error:
        pytest.skip(str(error))
    for stem, samples in exact.items():
        error = rounded[stem] - samples
        assert 0 < np.square(error).sum() < 1e-3 * np.square(samples).sum(), stem
