"""All scores of one track, with our own BSSEval or with museval."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.scoring.bsseval import METRICS, bsseval
from models.metrics import csdr, frame_sdr, global_sdr, si_sdr

SCORERS = ("bandsplit", "museval", "sdr")
"""`sdr` computes no ISR, SIR and SAR (NaN), in a hundredth of the time."""
FRAME_MEDIANS = {"csdr": "SDR", "isr": "ISR", "sir": "SIR", "sar": "SAR"}
"""The scores that are medians over frames, and the metric of these frames."""
WHOLE_TRACK = ("sdr", "si_sdr")


def score(
    references: np.ndarray,
    estimates: np.ndarray,
    stems: Sequence[str],
    sample_rate: int,
    scorer: str = "bandsplit",
    workers: int = 1,
) -> dict[str, Any]:
    """Score the stems of a track together.

    Args:
        references: true stems.
        estimates: estimated stems.
        stems: their names.
        sample_rate: in Hz; frames are one second.
        scorer: one of SCORERS; all give equal frames.
        workers: threads of our scorer.

    Shape:
        - references, estimates: [S, C, T]

    Returns:
        `stems`; `sdr` (global) and `si_sdr` of each stem, in dB over the whole track; `csdr`, `isr`, `sir` and `sar` of
        each stem, medians over its frames; `frames`, {metric: {stem: [dB]}} of SDR, ISR, SIR and SAR; `num_frames` and
        `nan_frames`.
    """
    score_frames = {"museval": museval_frames, "sdr": sdr_frames}.get(scorer, bsseval)
    frames = score_frames(references, estimates, sample_rate, workers)

    def by_stem(values: np.ndarray) -> dict[str, Any]:
        return dict(zip(stems, values.tolist(), strict=True))

    return {
        "stems": list(stems),
        "sdr": by_stem(global_sdr(references, estimates)),
        "si_sdr": by_stem(si_sdr(references, estimates)),
        **{name: by_stem(csdr(frames[metric])) for name, metric in FRAME_MEDIANS.items()},
        "frames": {metric: by_stem(frames[metric]) for metric in METRICS},
        "num_frames": frames["SDR"].shape[1],
        "nan_frames": int(np.isnan(frames["SDR"][0]).sum()),
    }


def sdr_frames(
    references: np.ndarray, estimates: np.ndarray, frame_samples: int, workers: int = 1
) -> dict[str, np.ndarray]:
    """The frames' SDR alone; the other metrics are NaN."""
    frames = frame_sdr(references, estimates, frame_samples)
    return {metric: frames if metric == "SDR" else np.full_like(frames, np.nan) for metric in METRICS}


def museval_frames(
    references: np.ndarray, estimates: np.ndarray, frame_samples: int, workers: int = 1
) -> dict[str, np.ndarray]:
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
