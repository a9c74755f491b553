"""Songs whose stems are known to the test alone: in places one stem plays, in places another, in places both."""

from pathlib import Path

import numpy as np
import soundfile

from conftest import SAMPLE_RATE, synthetic_stems

SECTION_S = 12.0
SECTIONS = (("vocals",), ("drums", "bass"), ("vocals", "drums", "bass"), ())
"""What plays in each section of a known song."""


def known_stems(seed: int) -> dict[str, np.ndarray]:
    """Stems [2, T] that play in their sections only."""
    section = round(SECTION_S * SAMPLE_RATE)
    stems = synthetic_stems(seed, len(SECTIONS) * SECTION_S)
    for index, playing in enumerate(SECTIONS):
        for stem, audio in stems.items():
            if stem not in playing:
                audio[:, index * section : (index + 1) * section] = 0
    return stems


def write_song(path: Path, audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Write [C, T] as a float wav file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, sample_rate, subtype="FLOAT")


def write_known_song(songs: Path, estimates: Path, name: str, seed: int) -> None:
    """Write a song's mixture, and its true stems as the estimates of another system."""
    stems = known_stems(seed)
    write_song(songs / f"{name}.wav", np.sum(list(stems.values()), axis=0))
    for stem, audio in stems.items():
        write_song(estimates / name / f"{stem}.wav", audio)


def expected_labels(stem: str, starts_s: list[float], segment_s: float = 6.0) -> list[str]:
    """The true label of a stem in segments, as far as they lie in sections of one kind."""
    labels = []
    for start_s in starts_s:
        first, last = int(start_s // SECTION_S), int(np.ceil((start_s + segment_s) / SECTION_S))
        playing = {name for section in SECTIONS[first:last] for name in section}
        labels.append("absent" if stem not in playing else "alone" if playing == {stem} else "mixed")
    return labels
