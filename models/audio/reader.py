"""Reads audio files in blocks of bounded size.

Waveforms are float32 [C, T], tensors or arrays; torch is imported for tensors only. soundfile decodes wav, flac, ogg,
mp3 and aiff; ffmpeg decodes other formats (m4a, mp4, webm, ...) and sends the samples through a pipe. A damaged or
truncated file raises an error that names it.
"""

import json
import math
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Samples = TypeVar("Samples", np.ndarray, "Tensor")

BLOCK_S = 10.0
_UNKNOWN_FRAMES = 2**62  # libsndfile's frame count is at least this if the header states none
_PIPED_SIZES = (0x7FFFF000, 0xFFFFFFFF)  # sizes in the headers of wav files that sox and ffmpeg write into a pipe
_LARGEST_OGG_PAGE = 65_307


@dataclass(frozen=True)
class AudioFile:
    """A readable audio file; nothing stays open between calls."""

    path: Path
    """The file."""
    sample_rate: int
    """Hz."""
    channels: int
    """Number of channels."""
    num_frames: int | None
    """Samples per channel according to its header (an estimate for some lossy formats); None if unknown."""
    decoder: str
    """``soundfile`` or ``ffmpeg``."""

    def blocks(self, block_s: float = BLOCK_S) -> Iterator["Tensor"]:
        """Read the file as ``arrays`` does, into tensors."""
        import torch

        return map(torch.from_numpy, self.arrays(block_s))

    def arrays(self, block_s: float = BLOCK_S) -> Iterator[np.ndarray]:
        """Read the file in consecutive blocks [C, t] of ``block_s`` seconds (the last one shorter).

        Raises:
            ValueError: the file is damaged, empty or shorter than its header states, or holds NaN or infinite samples.
        """
        read = _soundfile_blocks if self.decoder == "soundfile" else _ffmpeg_blocks
        num_frames = 0
        block_frames = max(1, round(block_s * self.sample_rate))
        for block in check_finite(read(self, block_frames), self.sample_rate, str(self.path)):
            num_frames += block.shape[-1]
            yield block
        if num_frames == 0:
            raise ValueError(f"{self.path}: holds no audio samples")


def open_audio(path: str | Path) -> AudioFile:
    """Read the header of an audio file and check that the file is as long as the header states.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an audio file, empty or truncated; or it needs ffmpeg, which is not installed.
    """
    import soundfile

    path = Path(path)
    _check_is_file(path)
    _check_is_whole(path)
    if _is_mislabelled_mp3(path):
        return _open_with_ffmpeg(path, "it does not begin like an mp3 file")
    try:
        with soundfile.SoundFile(os.fsencode(path)) as sound:
            file = AudioFile(path, sound.samplerate, sound.channels, sound.frames, "soundfile")
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a *.raw file needs a given sample rate
        return _open_with_ffmpeg(path, str(error))
    if sound.frames >= _UNKNOWN_FRAMES:
        return _open_with_ffmpeg(path, "its header does not state its length")
    if sound.frames == 0:
        raise ValueError(f"{path}: holds no audio samples")
    return file


def read_audio(path: str | Path) -> tuple["Tensor", int]:
    """Read a whole file: its waveform [C, T] and its sample rate.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an audio file, empty, damaged or truncated, or it holds NaN or infinite samples.
    """
    import torch

    file = open_audio(path)
    return torch.cat(list(file.blocks()), dim=-1), file.sample_rate


def check_finite(blocks: Iterable[Samples], sample_rate: int, source: str) -> Iterator[Samples]:
    """Pass consecutive blocks [..., t] on unchanged and check them.

    Raises:
        ValueError: a sample is NaN or infinite; the message has the source and the position in seconds.
    """
    start = 0
    for block in blocks:
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(block.sum())
        if not math.isfinite(total):  # cheap first check; the sum of large finite samples may be infinite too
            is_finite = np.isfinite(np.asarray(block)).reshape(-1, block.shape[-1]).all(axis=0)
            if not is_finite.all():
                position_s = (start + int(is_finite.argmin())) / sample_rate
                raise ValueError(f"{source}: expected finite samples, got NaN or infinity at {position_s:.3f} s")
        start += block.shape[-1]
        yield block


def _soundfile_blocks(file: AudioFile, block_frames: int) -> Iterator[np.ndarray]:
    import soundfile

    num_frames = 0
    try:
        with soundfile.SoundFile(os.fsencode(file.path)) as sound:
            # libsndfile estimates the length of an mp3 whose header has none; the estimate may be wrong.
            promised = sound.frames if sound.format != "MP3" or _find_xing(file.path) else 0
            while len(samples := sound.read(block_frames, dtype="float32", always_2d=True)):
                num_frames += len(samples)
                yield samples.T.copy()
    except soundfile.SoundFileError as error:
        stop_s = num_frames / file.sample_rate
        raise ValueError(
            f"{file.path}: damaged or truncated, decoding failed after {stop_s:.1f} s ({error})"
        ) from error
    if num_frames < promised:
        raise ValueError(f"{file.path}: truncated, expected {promised} samples, got {num_frames}")


def _ffmpeg_blocks(file: AudioFile, block_frames: int) -> Iterator[np.ndarray]:
    source = ["-nostdin", "-v", "error", "-xerror", "-i", f"file:{file.path}", "-map", "0:a:0"]
    target = ["-ar", str(file.sample_rate), "-ac", str(file.channels), "-f", "f32le", "-"]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(["ffmpeg", *source, *target], stdout=subprocess.PIPE, stderr=messages)
        assert process.stdout is not None
        try:
            while data := process.stdout.read(block_frames * file.channels * 4):
                yield np.frombuffer(data, np.float32).reshape(-1, file.channels).T.copy()
            status = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        messages.seek(0)
        report = " ".join(messages.read().decode(errors="replace").split())
    if status != 0 or "ended prematurely" in report or "partial file" in report:
        raise ValueError(f"{file.path}: damaged or truncated (ffmpeg: {report[:200]})")


def _open_with_ffmpeg(path: Path, reason: str) -> AudioFile:
    """Read the first audio stream's properties with ffprobe; ``reason``: why soundfile cannot read the file."""
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        raise ValueError(f"{path}: soundfile cannot read it ({reason}); install ffmpeg, which reads more formats")
    query = ["-select_streams", "a:0", "-show_entries", "stream=sample_rate,channels:format=duration", "-of", "json"]
    probe = subprocess.run(["ffprobe", "-v", "error", *query, f"file:{path}"], capture_output=True, check=False)
    answer = json.loads(probe.stdout) if probe.returncode == 0 else {}
    stream: dict = next(iter(answer.get("streams", [])), {})
    sample_rate, channels = int(stream.get("sample_rate", 0)), int(stream.get("channels", 0))
    if sample_rate == 0 or channels == 0:
        raise ValueError(f"{path}: not an audio file that soundfile or ffmpeg can read, or a truncated one")
    duration_s = answer.get("format", {}).get("duration")
    num_frames = None if duration_s is None else round(float(duration_s) * sample_rate)
    return AudioFile(path, sample_rate, channels, num_frames, "ffmpeg")


def _check_is_file(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.is_file():
        raise ValueError(f"{path}: expected an audio file, got a {'folder' if path.is_dir() else 'device or pipe'}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes)")


def _check_is_whole(path: Path) -> None:
    """Compare the size in the container's header with the file's size; libsndfile accepts truncated files.

    Raises:
        ValueError: the file is smaller than its header states.
    """
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] in (b"RIFF", b"RF64", b"RIFX", b"FORM"):
            expected = _stated_chunk_end(file, "<" if head[:4] in (b"RIFF", b"RF64") else ">")
        elif head[:4] == b"OggS":
            expected = _stated_ogg_end(file)
        elif head[4:] == b"ftyp":
            expected = _stated_mp4_end(file)
        else:
            expected = _stated_mp3_end(path)
    size = path.stat().st_size
    if expected > size:
        raise ValueError(f"{path}: truncated, expected {expected} bytes, got {size}")


def _stated_chunk_end(file: IO[bytes], byte_order: str) -> int:
    """Where the data chunk of a wav or aiff file must end, 0 if there is none or its size is unknown."""
    wide_size = 0  # RF64 states it in a separate chunk before the data
    file.seek(12)
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack(f"{byte_order}4sI", header)
        if name in (b"data", b"SSND"):
            return file.tell() + (wide_size if size in _PIPED_SIZES else size)
        if name == b"ds64" and len(sizes := file.read(16)) == 16:
            wide_size = struct.unpack("<8xQ", sizes)[0]
            size -= 16
        file.seek(size + size % 2, os.SEEK_CUR)
    return 0


def _stated_ogg_end(file: IO[bytes]) -> int:
    """Where the last page of an ogg file must end, 0 if there is none. A page: 27 bytes, segment sizes, segments."""
    start = max(0, file.seek(0, os.SEEK_END) - _LARGEST_OGG_PAGE)
    file.seek(start)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return 0
    header = tail[page : page + 27]
    num_segments = header[26] if len(header) == 27 else 0
    return start + page + 27 + num_segments + sum(tail[page + 27 : page + 27 + num_segments])


def _stated_mp4_end(file: IO[bytes]) -> int:
    """Where the last box of an mp4 or m4a file must end. A box begins with its size; a size of 1: 64 bits follow."""
    end = 0
    file.seek(0)
    while len(header := file.read(16)) >= 8:
        size = struct.unpack(">I", header[:4])[0]
        if size == 1 and len(header) == 16:
            size = struct.unpack(">8xQ", header)[0]
        if size < 8:  # 0: the box ends with the file
            break
        end += size
        file.seek(end)
    return end


def _stated_mp3_end(path: Path) -> int:
    """Where the frames of an mp3 file must end according to its Xing header, 0 if it has none or no size."""
    found = _find_xing(path)
    if found is None:
        return 0
    start, header = found
    flags = struct.unpack(">I", header[4:8])[0]
    at = 12 if flags & 1 else 8  # the number of frames comes first, if present
    return start + struct.unpack(">I", header[at : at + 4])[0] if flags & 2 else 0


def _find_xing(path: Path) -> tuple[int, bytes] | None:
    """Where the first frame of an mp3 file starts, and the first 16 bytes of the Xing (or Info) header in it."""
    with path.open("rb") as file:
        start = _id3_size(file.read(10))
        file.seek(start)
        frame = file.read(64)
    if len(frame) < 64 or frame[0] != 0xFF or frame[1] < 0xE0:
        return None
    for offset in (36, 21, 13):  # after the side information; its size depends on MPEG version and channels
        if frame[offset : offset + 4] in (b"Xing", b"Info"):
            return start, frame[offset : offset + 16]
    return None


def _id3_size(head: bytes) -> int:
    """Size of the ID3v2 tag that begins with these 10 bytes, 0 if there is none; it is stored as 4 bytes of 7 bits."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def _is_mislabelled_mp3(path: Path) -> bool:
    """Whether a file named *.mp3 does not begin like an mp3; libsndfile would print its own messages about it."""
    with path.open("rb") as file:
        head = file.read(3)
    starts_well = head in (b"ID3", b"RIF") or (len(head) == 3 and head[0] == 0xFF and head[1] >= 0xE0)
    return path.suffix.lower() == ".mp3" and not starts_well
