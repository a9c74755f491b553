"""Music through a lossy codec: ffmpeg encodes and decodes it, and the codec's delay is taken away."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

ENCODERS = {"mp3": ("libmp3lame", "mp3"), "aac": ("aac", "m4a")}
"""ffmpeg's encoder of each codec, and the file's ending."""
MOST_DELAY = 8192
"""Samples: encoder and decoder together shift by less."""
COMPARED_S = 60


def coded(audio: np.ndarray, sample_rate: int, codec: str, kbit_per_s: int) -> np.ndarray:
    """Encode and decode audio.

    Args:
        audio: float32.
        sample_rate: Hz.
        codec: one of ENCODERS.
        kbit_per_s: its bit rate.

    Shape:
        - audio, output: [C, T]; sample t of the output is that of the input, coded

    Raises:
        ValueError: ffmpeg cannot encode or decode it.
    """
    encoder, ending = ENCODERS[codec]
    raw = ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(audio.shape[0])]
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / f"coded.{ending}")
        samples = np.ascontiguousarray(audio.T, dtype="<f4").tobytes()
        _ffmpeg([*raw, "-i", "pipe:0", "-c:a", encoder, "-b:a", f"{kbit_per_s}k", file], samples)
        decoded = np.frombuffer(_ffmpeg(["-i", file, *raw, "pipe:1"]), "<f4").reshape(-1, audio.shape[0]).T
    lag = delay(audio, decoded, COMPARED_S * sample_rate)
    return shifted(decoded, lag, audio.shape[-1])


def delay(audio: np.ndarray, late: np.ndarray, num_compared: int) -> int:
    """By how many samples a signal is later than another: the maximum of their cross-correlation; 0 for silence.

    Args:
        audio, late: the signals.
        num_compared: only so many samples from the start are compared.

    Shape:
        - audio, late: [C, T], of different lengths
    """
    one, two = (signal.mean(axis=0, dtype=np.float64)[:num_compared] for signal in (audio, late))
    size = 1 << (max(len(one), len(two)) + MOST_DELAY).bit_length()
    product = np.fft.rfft(two, size) * np.conj(np.fft.rfft(one, size))
    correlation = np.fft.irfft(product, size)
    around = np.concatenate((correlation[-MOST_DELAY:], correlation[: MOST_DELAY + 1]))
    return int(np.argmax(around)) - MOST_DELAY if around.any() else 0


def shifted(audio: np.ndarray, lag: int, num_samples: int) -> np.ndarray:
    """Audio [C, T] from the sample `lag` on, with zeros where there is none, as [C, num_samples]."""
    before = max(0, -lag)
    kept = audio[:, max(0, lag) :][:, : num_samples - before]
    return np.pad(kept, ((0, 0), (before, num_samples - before - kept.shape[1])))


def _ffmpeg(arguments: list[str], data: bytes = b"") -> bytes:
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], input=data, capture_output=True)
    if done.returncode:
        raise ValueError(f"ffmpeg: {' '.join(done.stderr.decode(errors='replace').split())[:200]}")
    return done.stdout
