"""A corrupted copy of data sets: what is drawn for each track, and how its folder is made."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models.corruption.bleeding import Leak, bleed, draw_leaks
from models.corruption.data_set import keep_stem, write_stem
from models.corruption.label_noise import apply_labels, draw_labels, total
from models.corruption.truth import StemTruth, write_track_truth
from models.tracks import Track

KINDS = ("label-noise", "bleeding")
DEFAULT_SHARE = {"label-noise": 0.3, "bleeding": 0.5}


def track_generator(seed: int, kind: str, name: str) -> np.random.Generator:
    """The random numbers of one track: the same whatever other tracks there are."""
    digest = hashlib.sha256(f"{kind} {name}".encode(errors="surrogateescape")).digest()
    return np.random.default_rng([seed, *digest[:16]])


def corrupt_track(track: Track, kind: str, seed: int, share: float, level_db: float, folder: Path) -> None:
    """Fill a track folder with corrupted stems, and the truth about them.

    Stems that stay as they are become links. The mixture stays the same: where bleeding changes the sum of the stems,
    or the track has a mixture of its own, there is a file of it.

    Args:
        track: the original.
        kind: one of ``KINDS``.
        seed: of the data set.
        share: probability that a recording is labelled wrong, or that a stem bleeds.
        level_db: energy of what bleeds, relative to the stem.
        folder: empty.

    Raises:
        ValueError: the track cannot be read, or has one stem only.
    """
    stems = track.stems
    if len(stems) < 2:
        raise ValueError(f"track {track.name!r}: expected two stems or more, got {', '.join(stems) or 'none'}")
    audio = track.read_stems(stems)
    if not all(np.isfinite(stem).all() for stem in audio.values()):
        raise ValueError(f"track {track.name!r}: a stem holds values that are not finite")
    sounding = [stem for stem in stems if audio[stem].any()]
    generator = track_generator(seed, kind, track.name)
    if kind == "label-noise":
        truth, changed = _mislabel(track, audio, draw_labels(generator, stems, sounding, share))
    else:
        truth, changed = _bleed(track, audio, draw_leaks(generator, stems, sounding, share), level_db)
    for stem in stems:
        if stem in changed:
            write_stem(folder, stem, changed[stem], track.sample_rate)
        else:
            keep_stem(track, stem, audio[stem], folder)
    has_mixture = any(file.stem == "mixture" for file in track.files)
    if has_mixture or track.path.is_file() or (changed and kind == "bleeding"):
        keep_stem(track, "mixture", track.read_mixture(), folder)
    write_track_truth(folder, truth)


def _mislabel(
    track: Track, audio: Mapping[str, np.ndarray], labels: Mapping[str, str]
) -> tuple[list[StemTruth], dict[str, np.ndarray]]:
    """The truth about each stem, and the stems that change."""
    truth, changed = [], {}
    for stem, names in apply_labels(audio, labels).items():
        own = audio[stem]
        if names == (stem,):
            action = "kept"
        elif names:
            action = "mixed" if stem in names else "exchanged"
        else:
            action = "emptied" if own.any() else "silent"
        truth.append(StemTruth(track.name, stem, action, "+".join(names)))
        if action not in ("kept", "silent"):
            changed[stem] = total(audio, names, own)
    return truth, changed


def _bleed(
    track: Track, audio: Mapping[str, np.ndarray], leaks: Mapping[str, Sequence[Leak]], level_db: float
) -> tuple[list[StemTruth], dict[str, np.ndarray]]:
    """The truth about each stem, and the stems that change."""
    truth, changed = [], {}
    for stem, own in audio.items():
        dirty = bleed(audio, stem, leaks[stem], level_db, track.sample_rate) if leaks[stem] else own
        held = stem if own.any() else ""
        if np.array_equal(dirty, own):
            truth.append(StemTruth(track.name, stem, "kept" if held else "silent", held))
        else:
            changed[stem] = dirty
            text = f"{level_db:g} dB: " + "; ".join(map(str, leaks[stem]))
            truth.append(StemTruth(track.name, stem, "bleeding", held, text))
    return truth, changed
