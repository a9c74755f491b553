"""``models export`` writes a graph, and ``models separate --onnx`` runs it as it runs checkpoints, without torch."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from models.__main__ import main
from models.checkpoints.checkpoint import save_checkpoint
from models.running.repository import ROOT
from public_files import fails
from small_checkpoint import INFO, PRESET, make_weights


@pytest.fixture
def song(tmp_path):
    samples = 0.3 * np.random.default_rng(0).standard_normal((60_000, 2))
    soundfile.write(tmp_path / "song.wav", samples, 48000, subtype="FLOAT")
    save_checkpoint(tmp_path / "made", make_weights(), PRESET, INFO, "card")
    return tmp_path


def test_a_song_through_both(song, capsys):
    folder = song
    assert main(["export", str(folder / "made"), "--onnx", str(folder / "made.onnx")]) == 0
    assert f"{folder / 'made'} -> {folder / 'made.onnx'} (" in capsys.readouterr().out
    common = ["separate", str(folder / "song.wav"), "--format", "wavfloat", "--set", "separate.shifts=2"]
    exact = ["--device", "cpu", "--precision", "float32"]
    assert main([*common, "--checkpoint", str(folder / "made"), "--out", str(folder / "a"), *exact]) == 0
    # A process of its own, in which importing torch or its friends is an error.
    program = (
        "import sys\nfor name in ('torch', 'torchaudio', 'yaml', 'scipy', 'soxr', 'onnx', 'safetensors'):\n"
        "    sys.modules[name] = None\n"
        "from models.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = [*common, "--onnx", str(folder / "made.onnx"), "--out", str(folder / "b")]
    subprocess.run([sys.executable, "-W", "error", "-c", program, *command], cwd=ROOT, check=True)
    for stem in ("vocals", "bass"):
        (ours, rate), (theirs, _) = (soundfile.read(folder / way / f"{stem}.wav") for way in "ba")
        assert rate == 48000 and ours.shape == (60_000, 2) and np.abs(ours).max() > 1e-3
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    assert main([*common, "--onnx", str(folder / "made.onnx"), "--stems", "bass", "--out", str(folder / "c")]) == 0
    assert [path.name for path in (folder / "c").glob("*.wav")] == ["bass.wav"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--two-stems", "bass", "--clip", "rescale"], marks=pytest.mark.slow),
        pytest.param(["--sum-to-mix"], marks=pytest.mark.slow),
        ["--residual"],
    ],
)
def test_sums_of_a_folder_are_those_of_pytorch(song, options):
    folder = song
    (folder / "music").mkdir()
    (folder / "song.wav").rename(folder / "music/song.wav")
    assert main(["export", str(folder / "made"), "--onnx", str(folder / "made.onnx")]) == 0
    common = ["separate", str(folder / "music"), "--jobs", "2", "--format", "wav24", *options]
    exact = ["--checkpoint", str(folder / "made"), "--device", "cpu", "--precision", "float32"]
    assert main([*common, *exact, "--out", str(folder / "a")]) == 0
    assert main([*common, "--onnx", str(folder / "made.onnx"), "--out", str(folder / "b")]) == 0
    files = sorted(path.relative_to(folder / "a") for path in (folder / "a").rglob("*.wav"))
    assert len(files) >= 2
    for file in files:
        (ours, _), (theirs, _) = (soundfile.read(folder / way / file) for way in "ba")
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_bad_input_is_one_line(song, capsys):
    out = ["--out", song / "out"]
    assert "no checkpoint 'none'" in fails(capsys, "export", "none", "--onnx", song / "x.onnx")
    assert "no such file" in fails(capsys, "separate", song / "song.wav", "--onnx", song / "x.onnx", *out)
    for option in (["--checkpoint", "small"], ["--device", "cpu"], ["--one-at-a-time"], ["--precision", "float32"]):
        line = fails(capsys, "separate", song / "song.wav", "--onnx", song / "x.onnx", *out, *option)
        assert line == f"error: {option[0]} is for checkpoints: --onnx runs {song / 'x.onnx'} on the CPU"
    assert not (song / "out").exists()
