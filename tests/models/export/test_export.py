"""One ONNX graph of each kind of network equals PyTorch for every length, from one sample on."""

import dataclasses
import json
from collections.abc import Iterable

import onnx
import onnxruntime
import pytest
import torch

import public_layouts as layouts
from models.bsrnn import BSRNN, BSRNNConfig
from models.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from models.commands.import_weights import import_checkpoint
from models.export.export import export_checkpoint, write_graph
from models.export.real_networks import in_real_arithmetic
from models.running.repository import ROOT
from public_files import FACTS, amanteur_file, magronp_file
from small_checkpoint import INFO, PRESET, make_weights

LENGTHS = (1, 31, 777, 30_001)
TOLERANCE = 1e-4  # of stems, for a mixture with a peak of 1

SMALL = BSRNNConfig(
    stems=("vocals", "drums", "bass"),
    n_fft=64,
    hop=16,
    bands="900:1800,1800:3600,900:5400,3600:19800",  # equal widths apart from each other
    features=4,
    hidden=5,
    layers=2,
    mask_factor=2,
)
VARIANTS = {
    "paper": SMALL,
    "hop": dataclasses.replace(SMALL, n_fft=60, hop=13, bands="2k:8k,4k:20k"),
    "attention": dataclasses.replace(SMALL, attention_heads=2),
    "tac": dataclasses.replace(SMALL, stereo="tac"),
    "spatial": dataclasses.replace(SMALL, stereo="spatial", mid_side=True, norm="rms", level_inputs=True),
}


def all_but_the_first_slow(names: Iterable[str]) -> list:
    """Parameters: an export takes 5 s or more on a slow machine."""
    first, *others = names
    return [first, *(pytest.param(name, marks=pytest.mark.slow) for name in others)]


def mixture(num_samples: int, batch: int = 1) -> torch.Tensor:
    samples = torch.stack([layouts.mixture(num_samples, seed) for seed in range(batch)])
    return samples / samples.abs().max()


def session(path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def check_equal(network, path, lengths=LENGTHS):
    graph = session(path)
    for length in lengths:
        for batch in (1, 3):
            example = mixture(length, batch)
            with torch.inference_mode():
                expected = network(example).waveforms
            (stems,) = graph.run(["stems"], {"mixture": example.numpy()})
            torch.testing.assert_close(torch.from_numpy(stems), expected, rtol=0, atol=TOLERANCE)
            assert expected.abs().max() > 1e-3  # it is no comparison of silence


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_bsrnn(tmp_path, variant):
    torch.manual_seed(0)
    network = BSRNN(VARIANTS[variant]).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if any(part in name for part in ("attention.output", "exchange.output", "spatial.")):
                parameter.normal_(std=0.1)  # these begin at zero
    write_graph(in_real_arithmetic(network), 2, tmp_path / "graph.onnx", {})
    check_equal(network, tmp_path / "graph.onnx")


PUBLIC = {
    "four stems": ({"targets": layouts.FOUR}, {"targets": list(layouts.FOUR)}),
    "rest": (
        {"targets": layouts.FOUR[:3], "attention": 2},
        {"targets": list(layouts.FOUR), "subtract_last_trgt": True},
    ),
    "tanh": ({"exchange": "tanh", "attention": 4, "queries": 2}, {}),
    "joint channels": ({"joint": True}, {}),
    "parallel heads": ({"heads": 2}, {}),
    "norm groups": ({}, {"group_num": 2}),
}


@pytest.mark.parametrize("variant", all_but_the_first_slow(PUBLIC))
def test_an_imported_checkpoint_of_magronp(tmp_path, variant):
    options, told = PUBLIC[variant]
    facts = FACTS | {"targets": ["vocals"]} | told
    import_checkpoint([magronp_file(tmp_path / "vocals.ckpt", facts=facts, **options)], tmp_path / "ours")
    export_checkpoint(tmp_path / "ours", tmp_path / "graph.onnx")
    check_equal(load_checkpoint(tmp_path / "ours").network, tmp_path / "graph.onnx", (1, 70, 777, 9001))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["amanteur", "crlandsc"])
def test_imported_checkpoints_of_one_network_for_each_stem(tmp_path, layout):
    for seed, stem in enumerate(("vocals", "bass")):
        amanteur_file(tmp_path / "in" / f"{stem}.pt", seed)
    import_checkpoint([tmp_path / "in"], tmp_path / "ours", layout)
    export_checkpoint(tmp_path / "ours", tmp_path / "graph.onnx")
    network = load_checkpoint(tmp_path / "ours").network
    part = network.networks[0].config.num_samples
    lengths = (1, part - 1, part, part + 1, 3 * part // 2, 2 * part, 10 * part + 7)
    check_equal(network, tmp_path / "graph.onnx", lengths)


@pytest.mark.parametrize("name", all_but_the_first_slow(["small", "tiny"]))
def test_shipped_checkpoints(tmp_path, name):
    export_checkpoint(name, tmp_path / "graph.onnx")
    network = load_checkpoint(ROOT / "checkpoints" / name).network
    check_equal(network, tmp_path / "graph.onnx", (1, 2047, 44_101))
    assert (tmp_path / "graph.onnx").stat().st_size < 24e6


def test_the_file_says_how_it_is_used(tmp_path):
    save_checkpoint(tmp_path / "made", make_weights(), PRESET, INFO, "card")
    export_checkpoint(tmp_path / "made", tmp_path / "folder" / "graph.onnx")
    model = onnx.load(tmp_path / "folder" / "graph.onnx")
    onnx.checker.check_model(model, full_check=True)
    facts = json.loads({entry.key: entry.value for entry in model.metadata_props}["bandsplit"])
    assert facts == {
        "name": load_checkpoint(tmp_path / "made").identity,
        "stems": ["vocals", "bass"],
        "sample_rate": 44100,
        "channels": 2,
        "hop": 32,
        "separate": {"segment_s": 1.0, "overlap": 0.5, "batch": 1, "shifts": 1, "residual": 0.0},
    }
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["graph.onnx"]


def test_other_networks_are_refused_and_an_old_file_stays(tmp_path):
    (tmp_path / "graph.onnx").write_text("old")
    with pytest.raises(ValueError, match="openunmix-small: only band-split RNNs can be exported, got a OpenUnmixN"):
        export_checkpoint("openunmix-small", tmp_path / "graph.onnx")
    with pytest.raises(FileNotFoundError, match="no checkpoint 'none'"):
        export_checkpoint("none", tmp_path / "graph.onnx")
    assert (tmp_path / "graph.onnx").read_text() == "old"


def test_without_onnx_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ValueError, match="needs the package onnx: pip install"):
        export_checkpoint("tiny", tmp_path / "graph.onnx")


def test_a_causal_network_is_refused(tmp_path):
    preset = dataclasses.replace(PRESET, model=dataclasses.replace(PRESET.model, causal=True, norm="rms"))
    save_checkpoint(tmp_path / "live", preset.build_network().state_dict(), preset, INFO, "card")
    with pytest.raises(ValueError, match="live: a causal network cannot be exported yet"):
        export_checkpoint(tmp_path / "live", tmp_path / "graph.onnx")
    assert not (tmp_path / "graph.onnx").exists()
