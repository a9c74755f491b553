"""The separator on onnxruntime gives PyTorch's stems: any length, rate and channels, shifts, residual, silence."""

import dataclasses
import json
import resource

import numpy as np
import onnx
import pytest
import torch

import public_layouts as layouts
from models import load_separator
from models.bsrnn import BSRNNConfig
from models.checkpoints.checkpoint import save_checkpoint
from models.commands.import_weights import import_checkpoint
from models.export.export import export_checkpoint
from models.onnx.separator import OnnxSeparator
from models.presets.preset import Preset
from models.presets.training import DataConfig, TrainConfig
from models.signal.chunking import SeparateConfig
from public_files import amanteur_file

TOLERANCE = 1e-4  # for a mixture with a peak of 1
MODEL = BSRNNConfig(
    stems=("vocals", "bass", "other"),
    n_fft=512,
    hop=128,
    bands="4k:20k",
    features=6,
    hidden=6,
    layers=1,
    mask_factor=1,
    norm="rms",
    stereo="spatial",
    mid_side=True,
    level_inputs=True,
)
PRESET = Preset("bsrnn", MODEL, DataConfig(), TrainConfig(), SeparateConfig(0.5, 0.25, 2, shifts=2, residual=0.5))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the checkpoint ``made`` and its graph."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    save_checkpoint(folder / "made", PRESET.build_network().state_dict(), PRESET, {}, "card")
    export_checkpoint(folder / "made", folder / "made.onnx")
    return folder


def music(num_samples: int, channels: int = 2) -> np.ndarray:
    samples = layouts.mixture(num_samples, 0).numpy()[:channels]
    return samples / np.abs(samples).max()


def check_equal(folder, mixture, rate=44100, **options):
    theirs = load_separator(str(folder / "made"), "cpu", **options).separate(mixture, rate)
    ours = OnnxSeparator(folder / "made.onnx", **options).separate(mixture, rate)
    assert list(ours) == list(theirs)
    for stem in theirs:
        assert ours[stem].dtype == theirs[stem].dtype and ours[stem].shape == mixture.shape
        np.testing.assert_allclose(ours[stem], theirs[stem], rtol=0, atol=TOLERANCE)
    return ours


@pytest.mark.parametrize("length", [1, 2, 777, 22_050, 22_051, 100_001])
def test_any_length(made, length):
    stems = check_equal(made, music(length))
    assert max(np.abs(samples).max() for samples in stems.values()) > 1e-3


@pytest.mark.parametrize("rate", [8000, 44_099, 48_000])
def test_any_rate(made, rate):
    check_equal(made, music(30_000), rate)


@pytest.mark.slow
def test_mono_double_precision_and_the_options(made):
    check_equal(made, music(30_000, channels=1))
    check_equal(made, music(30_000).astype(np.float64))
    check_equal(made, music(30_000), stems=["other", "vocals"], overlap=0.5, settings={"separate.shifts": "3"})
    check_equal(made, music(30_000), settings={"separate.residual": 0, "separate.segment_s": 0.1})


def test_loudness_does_not_matter_and_silence_is_silent(made):
    separator, mixture = OnnxSeparator(made / "made.onnx"), music(60_000)
    mixture[:, 20_000:45_000] = 0  # a whole chunk
    stems, quiet = separator.separate(mixture), separator.separate(mixture / 1024)
    for stem in stems:
        np.testing.assert_allclose(1024 * quiet[stem], stems[stem], rtol=0, atol=1e-6)
    check_equal(made, mixture)
    assert not any(samples.any() for samples in separator.separate(np.zeros((2, 30_000), np.float32)).values())


@pytest.mark.slow
def test_an_imported_checkpoint(tmp_path):
    for seed, stem in enumerate(("vocals", "bass")):
        amanteur_file(tmp_path / "in" / f"{stem}.pt", seed)
    import_checkpoint([tmp_path / "in"], tmp_path / "made", "amanteur")
    export_checkpoint(tmp_path / "made", tmp_path / "made.onnx")
    check_equal(tmp_path, music(3001))


def test_pieces_come_before_the_end_of_the_mixture(made):
    received = 0

    def blocks():
        nonlocal received
        for _ in range(20):
            received += 22_050
            yield music(22_050)

    separator = OnnxSeparator(made / "made.onnx", threads=1)
    sent = 0
    for piece in separator.separate_stream(blocks(), 44100):
        sent += piece["bass"].shape[1]
        assert received - sent < 5 * 22_050
    assert sent == 20 * 22_050


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stems": ["drums"]}, "stems must be different ones of vocals, bass, other, got drums"),
        ({"overlap": 1.0}, "separate.overlap must be at least 0 and less than 1"),
        ({"settings": {"model.hidden": 3}}, "model.hidden is fixed by the graph; only separate"),
        ({"settings": {"separate.shift": 3}}, "unknown setting 'separate.shift'; did you mean 'separate.shifts'"),
    ],
)
def test_options_are_checked(made, options, message):
    with pytest.raises(ValueError, match=message):
        OnnxSeparator(made / "made.onnx", **options)


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        (np.zeros((2, 0), np.float32), "the mixture is empty"),
        (np.zeros((3, 9), np.float32), "with 1 or 2 channels, got 3"),
        (np.zeros((2, 9), np.int16), "a numpy array .* of floating-point samples"),
        (np.full((2, 9), np.nan, np.float32), "mixture: expected finite samples, got NaN or infinity at 0.000 s"),
    ],
)
def test_mixtures_are_checked(made, mixture, message):
    with pytest.raises(ValueError, match=message):
        OnnxSeparator(made / "made.onnx").separate(mixture)


@pytest.mark.parametrize("rate", [0, -1, 44100.5])
def test_rates_are_checked(made, rate):
    with pytest.raises(ValueError, match="the sample rate must be a positive whole number of Hz"):
        OnnxSeparator(made / "made.onnx").separate(music(9), rate)


def test_other_files_are_refused(made, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="none.onnx: no such file; `python -m models export"):
        OnnxSeparator(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(ValueError, match="text.onnx: not an ONNX graph"):
        OnnxSeparator(tmp_path / "text.onnx")
    model = onnx.load(made / "made.onnx")
    facts = json.loads(model.metadata_props[0].value)
    for values, message in (
        (None, "expected a graph of `python -m models export`"),
        ("[1, 2]", "damaged metadata"),
        (json.dumps(facts | {"stems": ["../x"]}), "damaged metadata .*names of files"),
        (json.dumps(facts | {"hop": 0}), "damaged metadata .hop: expected at least 1, got 0"),
    ):
        del model.metadata_props[:]
        if values is not None:
            entry = model.metadata_props.add()
            entry.key, entry.value = "bandsplit", values
        onnx.save(model, tmp_path / "other.onnx")
        with pytest.raises(ValueError, match=message):
            OnnxSeparator(tmp_path / "other.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"made.onnx needs onnxruntime: pip install 'bandsplit\[onnx\]'"):
        OnnxSeparator(made / "made.onnx")


def test_a_residual_needs_a_stem_to_take_it(tmp_path):
    preset = dataclasses.replace(PRESET, model=dataclasses.replace(MODEL, stems=("vocals", "bass")))
    preset = dataclasses.replace(preset, separate=SeparateConfig(0.5, 0.25, 2))
    save_checkpoint(tmp_path / "made", preset.build_network().state_dict(), preset, {}, "card")
    export_checkpoint(tmp_path / "made", tmp_path / "made.onnx")
    with pytest.raises(ValueError, match="separate.residual: expected a network of other"):
        OnnxSeparator(tmp_path / "made.onnx", settings={"separate.residual": 0.5})


@pytest.mark.slow
def test_an_hour_of_music_has_pytorch_s_stems(tmp_path):
    """29 million samples at 8 kHz, in blocks of 10 s that are not held: each piece is compared when it comes."""
    model = dataclasses.replace(MODEL, sample_rate=8000, n_fft=2048, hop=1024, bands="1k:3k")
    preset = dataclasses.replace(PRESET, model=model, separate=SeparateConfig(20.0, 0.1, 1))
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "made", preset.build_network().state_dict(), preset, {}, "card")
    export_checkpoint(tmp_path / "made", tmp_path / "made.onnx")
    block = music(80_000)

    def hour():
        for index in range(360):
            yield np.roll(block, 1000 * index, axis=1)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = OnnxSeparator(tmp_path / "made.onnx").separate_stream(hour(), 8000)
    theirs = load_separator(str(tmp_path / "made"), "cpu").separate_stream(hour(), 8000)
    length, worst, loudest = 0, 0.0, 0.0
    for our, their in zip(ours, theirs, strict=True):
        for stem in our:
            worst = max(worst, float(np.abs(our[stem] - their[stem].numpy()).max()))
            loudest = max(loudest, float(np.abs(our[stem]).max()))
        length += our["bass"].shape[1]
    assert length == 3600 * 8000 and worst < TOLERANCE and loudest > 0.01
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2.5e5  # kB; the stems alone would be 690 MB
