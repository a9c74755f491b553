"""Stores excerpts of the references and estimates beside a run's results, so that its report can play them.

The files are `DIR/audio/<track>/<excerpt>/references/<stem>.mp3` and `.../systems/<system>/<stem>.mp3`; every browser
plays mp3. All files of an excerpt have the same length and encoder, hence the same delay, so that a player can switch
between them in place. The excerpt's name holds the hash of the track's files and the wanted length, so another
recording with the same name has other files. A file is complete when it exists.
"""

import io
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.runs.store import safe_name
from models.running import atomic
from models.tracks import Track

MIXTURE = "mixture"
"""The stem, and the system that returns it."""
REFERENCES, SYSTEMS = "references", "systems"
QUALITY = 0.5
"""Compression level of libsndfile's variable bit rate, 0 best to 1 smallest: 80 to 150 kbit/s for stereo music."""
RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""The sample rates of mp3."""


def keep_audio(
    out: Path,
    track: Track,
    audio_hash: str,
    system: str,
    seconds: int,
    mixture: np.ndarray,
    references: Mapping[str, np.ndarray],
    estimates: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Store the excerpt of a track: the system's estimates, and the mixture and references unless they exist.

    Args:
        out: the run's folder.
        track: the track.
        audio_hash: of its files, as in the result's key.
        system: the system's name.
        seconds: the longest excerpt.
        mixture: [C, T].
        references: {stem: [C, T]}.
        estimates: {stem: [C, T]}.

    Returns:
        The entry for the result: the excerpt's folder, start and length, and the wanted seconds.

    Raises:
        OSError: a file cannot be written.
    """
    start = excerpt_start(mixture, track.sample_rate, seconds)
    span = slice(start, start + seconds * track.sample_rate)
    folder = excerpt_folder(track.name, audio_hash, seconds)
    wanted = {references_file(folder, stem): audio for stem, audio in {MIXTURE: mixture, **references}.items()}
    wanted = {path: audio for path, audio in wanted.items() if not (out / path).is_file()}
    if system != MIXTURE:  # its estimates are the mixture
        wanted |= {estimate_file(folder, system, stem): audio for stem, audio in estimates.items()}
    with ThreadPoolExecutor(2) as pool:  # the encoder lets other threads run
        encoded = pool.map(lambda audio: encode(audio[:, span], track.sample_rate), wanted.values())
        for path, data in zip(wanted, encoded, strict=True):
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(out / path, data)
    length = min(mixture.shape[-1] - start, seconds * track.sample_rate)
    return {
        "folder": folder,
        "start_s": start / track.sample_rate,
        "length_s": length / track.sample_rate,
        "seconds": seconds,
    }


def excerpt_folder(track: str, audio_hash: str, seconds: int) -> str:
    """The folder of a track's excerpt, relative to the run's folder."""
    return f"audio/{safe_name(track)}/{audio_hash}-{seconds}s"


def references_file(folder: str, stem: str) -> str:
    """The file of the mixture or of a true stem, relative to the run's folder."""
    return f"{folder}/{REFERENCES}/{safe_name(stem)}.mp3"


def estimate_file(folder: str, system: str, stem: str) -> str:
    """The file of a system's stem, relative to the run's folder."""
    return f"{folder}/{SYSTEMS}/{safe_name(system)}/{safe_name(stem)}.mp3"


def excerpt_start(mixture: np.ndarray, sample_rate: int, seconds: int) -> int:
    """The first sample of the loudest excerpt of a mixture [C, T], at a whole second like the frames of the scores.

    It depends only on the mixture, so that all systems get the same excerpt of a track.
    """
    num_seconds = mixture.shape[-1] // sample_rate
    if num_seconds <= seconds:
        return 0
    energies = np.array([_energy(block) for block in _seconds(mixture, sample_rate)])
    sums = np.convolve(energies, np.ones(seconds), mode="valid")
    return int(np.argmax(sums)) * sample_rate


def _seconds(mixture: np.ndarray, sample_rate: int) -> Iterator[np.ndarray]:
    for index in range(mixture.shape[-1] // sample_rate):
        yield mixture[:, index * sample_rate : (index + 1) * sample_rate]


def _energy(block: np.ndarray) -> float:
    return float(np.square(block, dtype=np.float64).sum())


def encode(audio: np.ndarray, sample_rate: int) -> bytes:
    """Audio [C, T] as an mp3 file. Samples beyond +-1 are clipped; more than two channels are averaged to one.

    Audio at a rate that mp3 does not have is resampled to 44.1 kHz.
    """
    import soundfile

    if audio.shape[0] > 2:
        audio = audio.mean(axis=0, keepdims=True)
    if sample_rate not in RATES_HZ:
        from scipy.signal import resample_poly

        audio, sample_rate = resample_poly(audio, 44100, sample_rate, axis=-1), 44100
    file = io.BytesIO()
    soundfile.write(
        file,
        np.clip(audio, -1, 1).T,
        sample_rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=QUALITY,
    )
    return file.getvalue()


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """The audio [C, T] of a kept file, and its sample rate.

    Raises:
        ValueError: it is damaged.
    """
    import soundfile

    try:
        audio, sample_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError(f"a kept audio file cannot be decoded ({error})") from error
    return audio.T, sample_rate
