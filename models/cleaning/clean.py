"""Cleaning a data set: scores that are kept as they are found, and the folders of the tracks that follow from them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models.cleaning.decisions import Decision
from models.cleaning.scores import StemScore, score_track
from models.corruption.data_set import keep_stem, write_stem
from models.running.atomic import write_text
from models.separation.separator import Separator
from models.tracks import Track

SCORES = "scores"
FADE_S = 0.01


def stored_scores(separator: Separator, track: Track, stretch_s: float, out: Path) -> list[StemScore]:
    """The scores of a track's stems, found once and then kept in the folder of the cleaned data set.

    Raises:
        ValueError: the track cannot be read, or its kept scores are damaged.
    """
    path = out / SCORES / f"{track.name}.json"
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        text = json.dumps([asdict(score) for score in score_track(separator, track, stretch_s)]) + "\n"
        write_text(path, text)
    try:
        return [
            StemScore(
                row["track"],
                row["stem"],
                tuple(row["stems"]),
                tuple(row["energy"]),
                tuple(map(tuple, row["estimates"])),
            )
            for row in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: damaged; delete it and run again") from None


def clean_track(track: Track, decisions: Sequence[Decision], stretch_s: float, folder: Path) -> None:
    """Fill a track folder with what is left of a track.

    A stem that is kept or relabelled is a link to the original, one that is cut a copy with silence in the stretches,
    and the place of a stem that was dropped or moved is silent. There is no file of the mixture: it is the sum of what
    is left. Stems that the model does not have are kept.

    Args:
        track: the original.
        decisions: of its stems.
        stretch_s: length of a stretch.
        folder: empty.
    """
    judged = {decision.score.stem for decision in decisions}
    for stem in track.stems:
        if stem not in judged:
            keep_stem(track, stem, track.read_stem(stem), folder)
    filled = set()
    silence = None
    for decision in decisions:
        audio = track.read_stem(decision.score.stem)
        silence = np.zeros_like(audio)
        if decision.action == "cut":
            size = max(1, round(stretch_s * track.sample_rate))
            last = len(decision.score.energy) - 1
            write_stem(folder, decision.label, silenced(audio, decision.cuts, size, last, track), track.sample_rate)
            filled.add(decision.label)
        elif decision.action in ("keep", "relabel"):
            keep_stem(track, decision.score.stem, audio, folder, decision.label)
            filled.add(decision.label)
    for stem in judged - filled:
        assert silence is not None
        write_stem(folder, stem, silence, track.sample_rate)


def silenced(audio: np.ndarray, cuts: Sequence[int], size: int, last: int, track: Track) -> np.ndarray:
    """A copy of a stem [C, T] with silence in some stretches, faded over 10 ms on either side.

    Args:
        audio: the stem.
        cuts: numbers of stretches.
        size: samples of a stretch; the last one reaches to the end.
        last: number of the last stretch.
        track: for its sample rate.
    """
    gain = np.ones(audio.shape[-1], dtype=np.float32)
    fade = max(1, round(FADE_S * track.sample_rate))
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    for index in cuts:
        start, end = index * size, audio.shape[-1] if index == last else (index + 1) * size
        gain[start:end] = 0
        before, after = gain[max(0, start - fade) : start], gain[end : end + fade]
        np.minimum(before, ramp[::-1][fade - len(before) :], out=before)
        np.minimum(after, ramp[: len(after)], out=after)
    return audio * gain
