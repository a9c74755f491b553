"""Networks of public codebases: compared with recorded output of their code, and with a plain version of each layer."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import public_layouts as layouts
from models import load_separator
from models.commands.import_weights import import_checkpoint
from models.running.repository import ROOT

PARITY = ROOT.parent / "shared/reference/parity"
if not PARITY.is_dir():
    PARITY = Path("/work/shared/reference/parity")
TOLERANCE = 1e-5


def save(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def imported(folder: Path, paths: list[Path], layout: str = "auto", stems: tuple[str, ...] | None = None):
    """The separator of the checkpoint that is imported from files."""
    import_checkpoint(paths, folder, layout, stems)
    return load_separator(str(folder), device="cpu")


def error(estimate, reference) -> float:
    return float((estimate - reference).abs().max() / reference.abs().max())


@pytest.mark.skipif(not PARITY.is_dir(), reason="recordings of the public code are not on this machine")
@pytest.mark.parametrize("name", ("magronp-obsrnn-vocals", "amanteur"))
def test_recordings_of_the_public_code(tmp_path, name):
    record = json.loads((PARITY / f"{name}.json").read_text())
    sound = np.load(PARITY / f"{name}.npz")
    state = layouts.draw([(key, tuple(shape)) for key, shape in record["keys"]], record["seed"])
    if record["config"]["format"] == "magronp":
        state |= {f"{way}.transf.window": torch.hann_window(2048) for way in ("stft", "istft")}
        content = {"state_dict": state, "hyper_parameters": record["config"] | {"targets": record["targets"]}}
        path = save(tmp_path / "vocals.ckpt", content)
        separator = imported(tmp_path / "ours", [path])
    else:
        separator = imported(tmp_path / "ours", [save(tmp_path / "vocals.pt", state)], "amanteur")
    mixture = layouts.mixture(record["samples"], record["config"]["mixture_seed"])
    with torch.no_grad():
        (estimate,) = separator.network(mixture[None]).waveforms
    start, stems = int(sound["start"]), torch.from_numpy(sound["stems"])
    wrong = (estimate[..., start : start + stems.shape[-1]] - stems).abs().max() / float(sound["peak"])
    assert wrong < TOLERANCE
    assert float(estimate.abs().max()) == pytest.approx(float(sound["peak"]), rel=1e-5)


FEWER = ("vocals", "bass", "drums")
VARIANTS = {
    "one stem": ({}, {}),
    "four stems": ({"targets": layouts.FOUR}, {"targets": list(layouts.FOUR)}),
    "rest": ({"targets": FEWER}, {"targets": list(layouts.FOUR), "subtract_last_trgt": True}),
    "no attention": ({"attention": 0}, {"targets": "bass"}),
    "four attention heads": ({"attention": 4, "queries": 2, "layers": 1}, {}),
    "tanh": ({"exchange": "tanh"}, {}),
    "plain": ({"attention": 0, "exchange": ""}, {}),
    "joint channels": ({"attention": 0, "exchange": "", "joint": True}, {}),
    "parallel heads": ({"heads": 2, "layers": 1}, {}),
    "norm groups": ({"layers": 1}, {"group_num": 2}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_magronp_layer_by_layer(tmp_path, variant):
    options, told = VARIANTS[variant]
    state = layouts.draw(layouts.magronp_keys(**options), seed=4)
    facts = {"targets": ["vocals"], "n_hop": layouts.HOP, "eps": 1e-7, "group_num": 1} | told
    path = save(tmp_path / "network.ckpt", {"state_dict": state, "hyper_parameters": facts})
    separator = imported(tmp_path / "ours", [path])
    targets = [facts["targets"]] if isinstance(facts["targets"], str) else facts["targets"]
    assert separator.stems == tuple(targets)
    mixtures = torch.stack([layouts.mixture(1111, 1), 0.1 * layouts.mixture(1111, 2)])
    with torch.no_grad():
        estimate = separator.network(mixtures)
    reference = layouts.magronp_estimate(state, mixtures, facts["group_num"], rest=variant == "rest")
    assert error(estimate.waveforms, reference) < TOLERANCE
    assert estimate.waveforms.shape == (2, len(targets), 2, 1111)
    if variant == "rest":
        assert error(estimate.waveforms.sum(1), mixtures) < TOLERANCE


@pytest.mark.parametrize("layout", ("amanteur", "crlandsc"))
def test_amanteur_and_crlandsc_layer_by_layer(tmp_path, layout):
    """Same names and shapes, but each codebase has its own order of the mask's values."""
    state = layouts.draw(layouts.amanteur_keys(), seed=5)
    separator = imported(tmp_path / "ours", [save(tmp_path / "drums.pt", state)], layout)
    assert separator.stems == ("drums",)
    num_samples = (layouts.FRAMES - 1) * layouts.HOP
    mixtures = torch.stack([layouts.mixture(num_samples, seed) for seed in (1, 2)])
    with torch.no_grad():
        estimate = separator.network(mixtures)
    right, wrong = (layouts.amanteur_estimate(state, mixtures, scrambled) for scrambled in (False, True))
    right, wrong = (wrong, right) if layout == "crlandsc" else (right, wrong)
    assert error(estimate.waveforms, right) < TOLERANCE
    assert error(estimate.waveforms, wrong) > 0.01


def test_a_frame_tied_network_takes_any_length(tmp_path):
    state = layouts.draw(layouts.amanteur_keys(), seed=5)
    network = imported(tmp_path / "ours", [save(tmp_path / "drums.pt", state)], "amanteur").network
    size = (layouts.FRAMES - 1) * layouts.HOP
    mixture = layouts.mixture(3 * size, 1)[None]
    with torch.no_grad():
        short = network(mixture[..., : size - 50]).waveforms
        padded = network(torch.nn.functional.pad(mixture[..., : size - 50], (0, 50))).waveforms
        long = network(mixture[..., : 2 * size + 7]).waveforms
        first = network(mixture[..., :size]).waveforms
    assert torch.equal(short, padded[..., : size - 50])
    assert long.shape[-1] == 2 * size + 7 and long.isfinite().all()
    assert torch.allclose(long[..., : size // 2], first[..., : size // 2], atol=1e-6)  # before the first cross-fade


def test_short_silent_and_loud_mixtures(tmp_path):
    state = layouts.draw(layouts.magronp_keys(), seed=4)
    content = {"state_dict": state, "hyper_parameters": {"targets": ["vocals"], "n_hop": layouts.HOP}}
    network = imported(tmp_path / "ours", [save(tmp_path / "vocals.ckpt", content)]).network
    mixture = layouts.mixture(900, 3)[None]
    with torch.no_grad():
        assert network(mixture[..., :1]).waveforms.shape == (1, 1, 2, 1)
        assert not network(torch.zeros(1, 2, 500)).waveforms.any()
        quiet, loud = network(1e-3 * mixture).waveforms, network(100 * mixture).waveforms
    assert error(1e5 * quiet, loud) < 1e-4


def test_gradients_reach_every_weight(tmp_path):
    """The networks can be fine-tuned."""
    contents = {
        "magronp": {
            "state_dict": layouts.draw(layouts.magronp_keys(), seed=4),
            "hyper_parameters": {"targets": ["vocals"], "n_hop": layouts.HOP},
        },
        "crlandsc": layouts.draw(layouts.amanteur_keys(), seed=5),
    }
    for layout, content in contents.items():
        path = save(tmp_path / layout / "vocals.pt", content)
        network = imported(tmp_path / f"{layout}-ours", [path], layout).network.train()
        estimate = network(layouts.mixture((layouts.FRAMES - 1) * layouts.HOP, 3)[None])
        estimate.waveforms.square().sum().backward()
        still = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
        # A bias has no effect before a norm of each feature over its own sequence.
        assert not [name for name in still if not name.endswith("linear.bias")]
