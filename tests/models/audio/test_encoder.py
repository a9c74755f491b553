"""mp3, m4a, ogg and opus files: as long as what was written and close to it."""

import subprocess

import pytest
import torch

from models.audio.encoder import EncodedWriter
from models.audio.formats import ENCODED
from models.audio.reader import read_audio
from models.audio.writer import AudioWriters

RATE = 44100


def tone(rate: int = RATE, channels: int = 2, seconds: float = 1.37) -> torch.Tensor:
    time_s = torch.arange(round(seconds * rate)) / rate
    return torch.stack([0.3 * torch.sin(2 * torch.pi * 440 * (1 + index) * time_s) for index in range(channels)])


def encode(path, waveform, rate, name):
    with EncodedWriter(path, rate, waveform.shape[0], name) as writer:
        for block in waveform.split(1000, dim=-1):
            writer.write(block)


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (8000, 2), (96000, 2)])
def test_round_trip(tmp_path, name, rate, channels):
    waveform, path = tone(rate, channels), tmp_path / f"x{ENCODED[name].extension}"
    encode(path, waveform, rate, name)
    decoded, decoded_rate = read_audio(path)
    assert decoded.shape[0] == channels and list(tmp_path.iterdir()) == [path]
    other_rates = {("mp3", 96000): 48000, ("opus", 44100): 48000, ("opus", 96000): 48000}
    assert decoded_rate == other_rates.get((name, rate), rate)
    longer = decoded.shape[-1] - round(waveform.shape[-1] * decoded_rate / rate)
    most = 1023 if name == "m4a" else 40 if rate == 8000 else int(decoded_rate != rate)  # AAC: whole frames
    assert 0 <= longer <= most
    if decoded_rate == rate:
        error = decoded[:, : waveform.shape[-1]] - waveform
        assert 10 * torch.log10(waveform.square().sum() / error.square().sum()) > 20


def test_samples_beyond_full_scale_are_kept(tmp_path):
    encode(tmp_path / "x.mp3", 5 * tone(), RATE, "mp3")
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "x.mp3", "-f", "f32le", tmp_path / "x.raw"], check=True)
    samples = torch.frombuffer(bytearray((tmp_path / "x.raw").read_bytes()), dtype=torch.float32)
    assert 1.3 < samples.abs().max() < 1.7


def test_too_many_channels(tmp_path):
    with pytest.raises(ValueError, match="mp3 holds at most 2 channels, got 6; take wav16 or flac16"):
        EncodedWriter(tmp_path / "x.mp3", RATE, 6, "mp3")
    encode(tmp_path / "x.m4a", tone(channels=6), RATE, "m4a")
    assert read_audio(tmp_path / "x.m4a")[0].shape[0] == 6


def test_without_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="ffmpeg, which encodes opus, is not installed"):
        EncodedWriter(tmp_path / "x.opus", RATE, 2, "opus")


@pytest.mark.parametrize("name", ENCODED)
def test_a_missing_folder_is_one_line_and_leaves_nothing(tmp_path, name):
    with pytest.raises(OSError, match="x.out: cannot be written .*No such file") as caught:
        encode(tmp_path / "none" / "x.out", tone(seconds=20), RATE, name)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_the_old_files(tmp_path):
    (tmp_path / "a.mp3").write_text("old")
    writers = [EncodedWriter(tmp_path / name, RATE, 2, "mp3") for name in ("a.mp3", "b.mp3")]
    with pytest.raises(KeyboardInterrupt), AudioWriters(writers):
        for writer in writers:
            writer.write(tone())
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp3"] and (tmp_path / "a.mp3").read_text() == "old"


@pytest.mark.parametrize("name", ENCODED)
def test_full_disk(tmp_path, full_disk, name):
    with pytest.raises(OSError, match="x.out: cannot be written .*disk full") as caught:
        encode(tmp_path / "x.out", torch.rand(2, 20 * RATE) - 0.5, RATE, name)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []
