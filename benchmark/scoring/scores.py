"""All scores of one track, with our own BSSEval or with museval."""

import warnings
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmark.scoring.accompaniment import ACCOMPANIMENT, PAIR, accompaniment, with_accompaniment
from benchmark.scoring.bsseval import METRICS, BSSEval
from benchmark.scoring.log_wmse import LogWMSE
from benchmark.scoring.metrics import EXTRA, FRAME_MEDIANS, WHOLE_TRACK
from benchmark.scoring.si_sar import si_sar
from benchmark.scoring.silence import energy_at_silence
from benchmark.scoring.spectral import bleedless_and_fullness, l1_freq, mrstft
from models.metrics import csdr, global_sdr, si_sdr

SCORERS = ("bandsplit", "museval")
OF_EACH_STEM = tuple(metric for metric in WHOLE_TRACK if metric not in EXTRA)
Score = Callable[[np.ndarray, np.ndarray, list[str]], dict[str, Any]]
"""Scores references and estimates [S, C, T] of the named stems together; see `score`."""


def score(
    references: np.ndarray,
    estimates: np.ndarray,
    stems: Sequence[str],
    sample_rate: int,
    scorer: str = "bandsplit",
    workers: int = 1,
    frame_s: float = 1.0,
    equations: MutableMapping[tuple[str, ...], BSSEval] | None = None,
) -> dict[str, Any]:
    """Score the stems of a track together.

    Args:
        references: true stems.
        estimates: estimated stems.
        stems: their names.
        sample_rate: in Hz.
        scorer: one of SCORERS; both give equal frames.
        workers: threads of our scorer.
        frame_s: length of a frame in seconds; museval's is one.
        equations: our scorer's equations of this track by its stems, filled here: what several systems share.

    Shape:
        - references, estimates: [S, C, T]

    Returns:
        `stems`; `sdr` (global), `si_sdr` and `si_sar` of each stem, in dB over the whole track; `csdr`, `isr`, `sir`
        and `sar` of each stem, medians over its frames; `frames`, {metric: {stem: [dB]}} of SDR, ISR, SIR and SAR;
        `num_frames` and `nan_frames`.
    """
    frame_samples = round(frame_s * sample_rate)
    if scorer == "museval":
        frames = museval_frames(references, estimates, frame_samples)
    else:
        equations = {} if equations is None else equations
        solved = equations.setdefault(tuple(stems), BSSEval(references, workers))
        frames = solved.score(estimates, frame_samples)

    def by_stem(values: np.ndarray) -> dict[str, Any]:
        return dict(zip(stems, values.tolist(), strict=True))

    return {
        "stems": list(stems),
        "sdr": by_stem(global_sdr(references, estimates)),
        "si_sdr": by_stem(si_sdr(references, estimates)),
        "si_sar": by_stem(si_sar(references, estimates)),
        **{name: by_stem(csdr(frames[metric])) for name, metric in FRAME_MEDIANS.items()},
        "frames": {metric: by_stem(frames[metric]) for metric in METRICS},
        "num_frames": frames["SDR"].shape[1],
        "nan_frames": int(np.isnan(frames["SDR"][0]).sum()),
    }


def score_all(
    references: Mapping[str, np.ndarray], estimates: Mapping[str, np.ndarray], score: Score
) -> dict[str, Any]:
    """Score a system's stems together, and its vocals with its accompaniment.

    Scores of frames depend on which stems are scored together: a silent stem removes the frame for all, and SIR and SAR
    are projections on all true stems. So they are kept for each set. Scores of whole tracks do not depend on it.

    Args:
        references: the true vocals, drums, bass and other, each [C, T]; drums, bass and other may be left out for a
            system that has none of them and no accompaniment.
        estimates: the system's stems, each [C, T].
        score: scores stems together.

    Returns:
        `stems`: all that are scored, the accompaniment last. For each of OF_EACH_STEM: {stem: dB}. `together`: a
        list of what `score` returns for stems scored together, without the scores of whole tracks. Its first entry is
        of the system's own stems out of the four, its second of PAIR (only the accompaniment if there are no vocals).
        If the system's only stem is vocals and it has an accompaniment, the pair is the only entry.
    """
    parts = [stem for stem in estimates if stem != ACCOMPANIMENT]
    estimated = accompaniment(estimates)
    sets = []
    if estimated is None:
        sets.append(parts)
    else:
        pair = [stem for stem in PAIR if stem == ACCOMPANIMENT or stem in parts]
        sets += [parts, pair] if set(parts) - set(pair) else [pair]
        estimates = {**estimates, ACCOMPANIMENT: estimated}
    groups = []
    whole: dict[str, dict[str, float]] = {metric: {} for metric in OF_EACH_STEM}
    for stems in sets:
        true = with_accompaniment(references, stems)
        group = score(_stack(true, stems), _stack(estimates, stems), stems)
        for metric, values in whole.items():
            for stem, value in group.pop(metric).items():
                values.setdefault(stem, value)
        groups.append(group)
    return {"stems": list(whole["sdr"]), **whole, "together": groups}


def score_extra(
    references: Mapping[str, np.ndarray],
    estimates: Mapping[str, np.ndarray],
    mixture: np.ndarray,
    sample_rate: int,
    metrics: Sequence[str] = EXTRA,
) -> dict[str, dict[str, float]]:
    """Score a system's stems, and its accompaniment, by metrics that look at each stem alone.

    Args:
        references, estimates: as of `score_all`.
        mixture: [C, T].
        sample_rate: in Hz.
        metrics: some of EXTRA.

    Returns:
        {metric: {stem: value}}; the stems are those of `score_all`.
    """
    if not metrics:
        return {}
    estimated = accompaniment(estimates)
    if estimated is not None:
        estimates = {**estimates, ACCOMPANIMENT: estimated}
    hearing = LogWMSE(mixture, sample_rate) if "log_wmse" in metrics else None
    functions: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "mrstft": mrstft,
        "l1_freq": l1_freq,
        "silence": partial(energy_at_silence, sample_rate=sample_rate),
    }
    if hearing:
        functions["log_wmse"] = hearing.score
    scores: dict[str, dict[str, float]] = {metric: {} for metric in EXTRA if metric in metrics}
    for stem, true in with_accompaniment(references, list(estimates)).items():
        found = {metric: functions[metric](true, estimates[stem]) for metric in scores if metric in functions}
        if {"bleedless", "fullness"} & set(metrics):
            pair = bleedless_and_fullness(true, estimates[stem], sample_rate)
            found |= dict(zip(("bleedless", "fullness"), pair, strict=True))
        for metric, values in scores.items():
            values[stem] = found[metric]
    return scores


def _stack(stems: Mapping[str, np.ndarray], names: list[str]) -> np.ndarray:
    return np.stack([stems[name] for name in names])


def museval_frames(references: np.ndarray, estimates: np.ndarray, frame_samples: int) -> dict[str, np.ndarray]:
    """museval's frames; all NaN if a stem is silent throughout, which museval refuses."""
    import museval

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frames = museval.evaluate(
                references.transpose(0, 2, 1).astype(np.float64),
                estimates.transpose(0, 2, 1).astype(np.float64),
                win=frame_samples,
                hop=frame_samples,
            )
    except ValueError as error:
        if "all-zeros" not in str(error):
            raise
        num_frames = max(1, references.shape[-1] // frame_samples)
        return {metric: np.full((len(references), num_frames), np.nan) for metric in METRICS}
    except AttributeError as error:  # for singular equations museval uses a name that numpy 2 no longer has
        raise ValueError("museval cannot score these stems: their normal equations are singular") from error
    return dict(zip(METRICS, frames, strict=True))
