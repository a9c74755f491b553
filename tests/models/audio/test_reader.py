"""The samples read in blocks are those of the file; a damaged file is an error of one line that names it."""

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from models.audio.reader import check_finite, open_audio, read_audio

RATE = 44100
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    """Two seconds of a chord with a little noise, [2, T] float32."""
    time_s = np.arange(2 * RATE) / RATE
    chord = 0.1 * sum(np.sin(2 * np.pi * hz * time_s) for hz in (220, 277, 330))
    return (chord + np.random.default_rng(0).standard_normal((2, 2 * RATE)) * 0.01).astype(np.float32)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory, signal: np.ndarray) -> Path:
    """A folder with the signal in every format that soundfile writes and, with ffmpeg, some that it cannot."""
    folder = tmp_path_factory.mktemp("songs")
    soundfile.write(folder / "float.wav", signal.T, RATE, subtype="FLOAT")
    for name in ("song.wav", "song.flac", "song.ogg", "song.mp3", "song.aiff"):
        soundfile.write(folder / name, signal.T, RATE)
    soundfile.write(folder / "song64.wav", signal.T, RATE, format="RF64", subtype="PCM_16")
    if shutil.which("ffmpeg"):
        for arguments in (
            "song.m4a",
            "-movflags +faststart fast.m4a",
            "song.webm",
            "-write_xing 0 bare.mp3",
            "-f flac piped.flac",
        ):
            *options, name = arguments.split()
            target = "pipe:1" if name == "piped.flac" else str(folder / name)
            command = ["ffmpeg", "-v", "error", "-i", str(folder / "song.wav"), *options, target]
            output = subprocess.run(command, check=True, capture_output=True).stdout
            if output:
                (folder / name).write_bytes(output)
    return folder


def cut(path: Path, share: float, folder: Path) -> Path:
    content = path.read_bytes()
    target = folder / path.name
    target.write_bytes(content[: int(len(content) * share)])
    return target


def test_float_wav_is_exact_in_any_blocks(songs, signal):
    waveform, sample_rate = read_audio(songs / "float.wav")
    assert sample_rate == RATE and waveform.dtype == torch.float32
    assert torch.equal(waveform, torch.from_numpy(signal))
    for block_s in (0.011, 0.5, 60):
        blocks = list(open_audio(songs / "float.wav").blocks(block_s))
        assert torch.equal(torch.cat(blocks, dim=-1), waveform)
        assert blocks[0].shape == (2, min(round(block_s * RATE), 2 * RATE))


@pytest.mark.parametrize("name", ["song.wav", "song64.wav", "song.flac", "song.aiff", "song.ogg", "song.mp3"])
def test_soundfile_formats(songs, signal, name):
    file = open_audio(songs / name)
    assert (file.decoder, file.sample_rate, file.channels, file.num_frames) == ("soundfile", RATE, 2, 2 * RATE)
    waveform, _ = read_audio(songs / name)
    assert waveform.shape == (2, 2 * RATE)
    tolerance = 1e-4 if name not in ("song.ogg", "song.mp3") else 0.1
    assert (waveform - torch.from_numpy(signal)).abs().max() < tolerance


@needs_ffmpeg
@pytest.mark.parametrize("name", ["song.m4a", "fast.m4a", "piped.flac"])
def test_ffmpeg_formats(songs, signal, name):
    file = open_audio(songs / name)
    assert (file.decoder, file.sample_rate, file.channels) == ("ffmpeg", RATE, 2)
    assert file.num_frames is None or abs(file.num_frames - 2 * RATE) <= 2048
    waveform = torch.cat(list(file.blocks(0.3)), dim=-1)
    length = min(waveform.shape[-1], 2 * RATE)
    assert abs(waveform.shape[-1] - 2 * RATE) <= 2048
    assert (waveform[:, :length] - torch.from_numpy(signal)[:, :length]).abs().max() < 0.1


@needs_ffmpeg
def test_mp3_without_length_header(songs):
    """libsndfile only estimates its length; fewer samples than the estimate are no error."""
    waveform, _ = read_audio(songs / "bare.mp3")
    assert abs(waveform.shape[-1] - 2 * RATE) < 3000


def test_ffmpeg_absent(songs, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (songs / "other.xyz").write_bytes(b"\0\1\2\3" * 100)
    with pytest.raises(ValueError, match="other.xyz: soundfile cannot read it .*; install ffmpeg"):
        open_audio(songs / "other.xyz")


@pytest.mark.parametrize("name", ["song.wav", "song64.wav", "song.flac", "song.aiff", "song.ogg", "song.mp3"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_truncated(songs, tmp_path, capfd, name, share):
    path = cut(songs / name, share, tmp_path)
    with pytest.raises(ValueError, match=f"{path}: .*truncated") as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@needs_ffmpeg
@pytest.mark.parametrize("name", ["song.m4a", "fast.m4a", "song.webm", "piped.flac"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_through_ffmpeg(songs, tmp_path, name, share):
    path = cut(songs / name, share, tmp_path)
    with pytest.raises(ValueError, match=f"{path}: .*truncated") as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.0001])
@pytest.mark.parametrize("name", ["song.wav", "song.flac", "song.ogg", "song.mp3"])
def test_hardly_a_header(songs, tmp_path, name, share):
    path = cut(songs / name, share, tmp_path)
    with pytest.raises(ValueError, match=str(path)):
        read_audio(path)


@pytest.mark.parametrize("name", ["text.wav", "text.mp3", "text.txt", "text.raw", "text"])
def test_text(tmp_path, capfd, name):
    (tmp_path / name).write_text("these are words, not music\n" * 2000)
    with pytest.raises(ValueError, match=str(tmp_path / name)) as caught:
        read_audio(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_no_file_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.wav: no such file"):
        open_audio(tmp_path / "gone.wav")
    with pytest.raises(ValueError, match="got a folder"):
        open_audio(tmp_path)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(ValueError, match="empty.wav: the file is empty"):
        open_audio(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), RATE)
    with pytest.raises(ValueError, match="none.wav: holds no audio samples"):
        open_audio(tmp_path / "none.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(tmp_path, signal, value):
    damaged = signal.copy()
    damaged[1, RATE + 441] = value
    soundfile.write(tmp_path / "nan.wav", damaged.T, RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"nan.wav: expected finite samples, got NaN or infinity at 1.010 s"):
        list(open_audio(tmp_path / "nan.wav").blocks(0.1))


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_states_no_size(songs, tmp_path, size):
    content = bytearray((songs / "song.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    (tmp_path / "piped.wav").write_bytes(content)
    assert read_audio(tmp_path / "piped.wav")[0].shape == (2, 2 * RATE)


def test_mp4_of_64_bit_and_open_ended_boxes(tmp_path):
    """A file is truncated only if a box reaches beyond its end; ffmpeg checks the rest."""
    head = struct.pack(">I4s", 16, b"ftyp") + bytes(8) + struct.pack(">I4sQ", 1, b"free", 100) + bytes(84)
    for mdat, is_cut in ((struct.pack(">I4s", 0, b"mdat"), False), (struct.pack(">I4sQ", 1, b"mdat", 5000), True)):
        (tmp_path / "x.m4a").write_bytes(head + mdat + bytes(100))
        with pytest.raises(ValueError, match="expected 5116 bytes, got 232" if is_cut else "not an audio file|ffmpeg"):
            open_audio(tmp_path / "x.m4a")


def test_tags_are_skipped(songs, tmp_path):
    """A chunk of odd size before the samples of a wav, and an ID3v2 tag before an mp3, do not hide a truncation."""
    content = (songs / "song.wav").read_bytes()
    tagged = content[:36] + b"note" + struct.pack("<I", 3) + b"abc\0" + content[36:]
    (tmp_path / "song.wav").write_bytes(tagged)
    assert read_audio(tmp_path / "song.wav")[0].shape == (2, 2 * RATE)
    (tmp_path / "song.wav").write_bytes(tagged[:-4])
    with pytest.raises(ValueError, match=f"truncated, expected {len(tagged)} bytes, got {len(tagged) - 4}"):
        open_audio(tmp_path / "song.wav")
    tag = b"ID3\4\0\0" + bytes([0, 0, 2, 4]) + bytes(2 * 128 + 4)
    content = (songs / "song.mp3").read_bytes()
    (tmp_path / "song.mp3").write_bytes(tag + content)
    assert read_audio(tmp_path / "song.mp3")[0].shape == (2, 2 * RATE)
    (tmp_path / "song.mp3").write_bytes((tag + content)[:-100])
    with pytest.raises(ValueError, match="truncated"):
        open_audio(tmp_path / "song.mp3")


def test_check_finite_names_the_position():
    blocks = [torch.zeros(2, 2, 100), torch.zeros(2, 2, 100)]
    blocks[1][0, 1, 50] = torch.nan
    with pytest.raises(ValueError, match="output of x: .* at 1.500 s"):
        list(check_finite(blocks, 100, "output of x"))
