"""Label noise: recordings that are filed under another stem's name."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np


def draw_labels(
    generator: np.random.Generator, stems: Sequence[str], sounding: Sequence[str], share: float
) -> dict[str, str]:
    """Draw the label of each recording of a song.

    Each recording that sounds is labelled wrong with probability ``share``. Where two or more of a song are, they
    change places, each into the place of another: stems are exchanged. A single one goes into the place of any other
    stem, and is mixed with what is there.

    Source: Fabbro et al. 2023 (arXiv 2308.06979), the section on robust music source separation that introduces
    SDXDB23_LabelNoise: a stem is the sum of the recordings of its label, and label noise is recordings that have the
    label of another class.
    Differs: the challenge's songs are raw recordings, many to a stem, and here a stem is one recording; the rate of
    errors by kind is ours.

    Args:
        generator: of the song.
        stems: all labels.
        sounding: the recordings that are not silent; a silent one has nothing to mislabel.
        share: probability.

    Returns:
        For each recording, its label.
    """
    labels = {stem: stem for stem in stems}
    wrong = [stem for stem in sounding if generator.random() < share]
    if len(wrong) == 1:
        others = [stem for stem in stems if stem != wrong[0]]
        labels[wrong[0]] = str(generator.choice(others))
    elif wrong:
        circle = [str(stem) for stem in generator.permutation(wrong)]
        labels |= dict(itertools.pairwise([*circle, circle[0]]))
    return labels


def apply_labels(audio: Mapping[str, np.ndarray], labels: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Which recordings each stem holds once they are filed by their labels.

    Args:
        audio: {stem: [C, T]}, the recordings.
        labels: the label of each.

    Returns:
        For each stem, the recordings that it is the sum of, silent ones left out. A stem whose audio stays the same,
        because an equal recording took the place of its own, holds its own.
    """
    held: dict[str, tuple[str, ...]] = {}
    for stem, own in audio.items():
        names = tuple(name for name, label in labels.items() if label == stem and audio[name].any())
        if np.array_equal(total(audio, names, own), own) and own.any():
            names = (stem,)
        held[stem] = names
    return held


def total(audio: Mapping[str, np.ndarray], names: Sequence[str], like: np.ndarray) -> np.ndarray:
    """The sum of some recordings [C, T]; silence shaped as ``like`` where there is none."""
    if not names:
        return np.zeros_like(like)
    return np.stack([audio[name] for name in names]).sum(axis=0, dtype=np.float32)
