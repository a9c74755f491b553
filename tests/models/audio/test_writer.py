"""Files appear under their name only when they are complete, and samples are not rescaled."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from models.audio import writer as audio_writer
from models.audio.reader import open_audio, read_audio
from models.audio.writer import FORMATS, AudioWriter, AudioWriters, write_audio

RATE = 44100


def noise(length: int = RATE, channels: int = 2) -> torch.Tensor:
    return torch.randn(channels, length, generator=torch.Generator().manual_seed(0)).mul(0.2).clamp(-1, 1)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("wav16", 2**-15), ("wav24", 2**-23), ("wavfloat", 0), ("flac16", 2**-15), ("flac24", 2**-23)],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_round_trip(tmp_path, name, tolerance, channels):
    path = tmp_path / f"x{FORMATS[name].extension}"
    waveform = noise(channels=channels)
    with AudioWriter(path, 48000, channels, name) as writer:
        for block in waveform.split(1000, dim=-1):
            writer.write(block)
    read, sample_rate = read_audio(path)
    assert sample_rate == 48000 and read.shape == waveform.shape
    assert (read - waveform).abs().max() <= tolerance
    assert soundfile.info(path).subtype == FORMATS[name].subtype
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("name", "clipped"), [("wav16", 3), ("flac24", 3), ("wavfloat", 0)])
def test_loud_samples_clip_without_wrapping_or_rescaling(tmp_path, name, clipped):
    waveform = torch.tensor([[0.5, 1.0, 1.5, -2.0], [-0.5, -1.0, 0.25, 30.0]])
    path = tmp_path / "x"
    assert write_audio(path, waveform, RATE, name) == clipped
    expected = waveform if name == "wavfloat" else waveform.clamp(-1, 1)
    torch.testing.assert_close(read_audio(path)[0], expected, rtol=0, atol=1e-4)


def test_failure_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "x.wav"
    write_audio(path, noise(), RATE)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), AudioWriter(path, RATE, 2) as writer:
        writer.write(noise(100))
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("block", [100, 100_000])
def test_full_disk(tmp_path, full_disk, name, block):
    with pytest.raises(OSError, match="x.out: .*disk full") as caught:  # noqa: SIM117 (the writer is under test)
        with AudioWriter(tmp_path / "x.out", RATE, 2, name) as writer:
            for part in noise(3 * RATE).split(block, dim=-1):
                writer.write(part)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path):
    with pytest.raises(OSError, match="x.wav: cannot be written"):
        write_audio(tmp_path / "none" / "x.wav", noise(), RATE)


def test_unknown_format(tmp_path):
    with pytest.raises(ValueError, match="one of wav16, wav24, wavfloat, flac16, flac24, got 'mp3'"):
        AudioWriter(tmp_path / "x.mp3", RATE, 2, "mp3")


def test_long_wav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Beyond 4 GiB (here 10 kB) a wav of known length becomes RF64, and one of unknown length an error."""
    monkeypatch.setattr(audio_writer, "_WAV_LIMIT_BYTES", 10_000)
    write_audio(tmp_path / "long.wav", noise(), RATE)
    assert soundfile.info(tmp_path / "long.wav").format == "RF64"
    assert read_audio(tmp_path / "long.wav")[0].shape == (2, RATE)
    with pytest.raises(ValueError, match="at most 4 GiB.*flac"), AudioWriter(tmp_path / "x.wav", RATE, 2) as writer:
        writer.write(noise())
    assert not (tmp_path / "x.wav").exists()


def write_both(folder: Path, fail: BaseException | None = None) -> None:
    pair = [AudioWriter(folder / name, RATE, 2, "wav16") for name in ("a.wav", "b.wav")]
    with AudioWriters(pair) as files:
        for writer in files.writers:
            writer.write(torch.full((2, 10), 0.5))
            if fail:
                raise fail


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("broken", ["a.wav", "b.wav", None])
def test_files_appear_together_or_not_at_all(tmp_path, monkeypatch, existed, broken):
    """If renaming one of them fails, the folder is unchanged."""
    if existed:
        for name in ("a.wav", "b.wav"):
            (tmp_path / name).write_text(f"old {name}")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target.name == broken and self.suffix == ".part":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    if broken:
        with pytest.raises(OSError, match="no"):
            write_both(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    else:
        write_both(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav"]
        assert soundfile.info(tmp_path / "b.wav").frames == 10


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(143)])
def test_an_error_leaves_none_of_several_files(tmp_path, error):
    with pytest.raises(type(error)):
        write_both(tmp_path, error)
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_written_and_read_as_tensors_are(tmp_path):
    waveform = (1.2 * noise(2000).sign()).numpy()
    assert write_audio(tmp_path / "a.wav", waveform, RATE) == waveform.size
    write_audio(tmp_path / "t.wav", torch.from_numpy(waveform), RATE)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "t.wav").read_bytes()
    arrays = list(open_audio(tmp_path / "a.wav").arrays(0.01))
    assert all(isinstance(block, np.ndarray) and block.dtype == np.float32 for block in arrays)
    assert np.array_equal(np.concatenate(arrays, axis=-1), read_audio(tmp_path / "a.wav")[0].numpy())


@pytest.mark.parametrize(("name", "bits"), [("wav16", 16), ("flac16", 16), ("wav24", 24), ("flac24", 24)])
def test_samples_of_the_format_are_stored_exactly(tmp_path, name, bits):
    """Full scale included: libsndfile's own conversion of floats would scale by 32767 / 32768."""
    whole = torch.randint(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 4000), generator=torch.Generator().manual_seed(0))
    whole[:, :2] = torch.tensor([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1])
    waveform = whole.float() / 2 ** (bits - 1)
    assert write_audio(tmp_path / "x", waveform, RATE, name) == 0
    assert torch.equal(read_audio(tmp_path / "x")[0], waveform)


def test_what_a_killed_process_left_is_removed(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    stale = [tmp_path / f".x.wav.{ended.pid}.part{end}" for end in ("", ".old")]
    kept = [tmp_path / name for name in (f".x.wav.{os.getppid()}.part", f".y.wav.{ended.pid}.part", ".x.wav.me.part")]
    for path in (*stale, *kept):
        path.touch()
    write_audio(tmp_path / "x.wav", noise(100), RATE)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "x.wav"])
