"""A finished run of fake systems on synthetic music, for the tests of its report."""

import numpy as np
import pytest

from benchmark.provenance.weights import BOUND_ROLE, OURS_ROLE, Source
from benchmark.runs.record import write_record
from benchmark.runs.result_key import result_key
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure
from benchmark.scoring.scores import FRAME_MEDIANS
from benchmark_fakes import Fake, run_here
from conftest import synthetic_stems, write_track
from models.metrics import csdr, frame_sdr, global_sdr
from models.tracks import STEMS, open_tracks

HOSTILE = "</script><script>document.title='taken over'</script>"
NAMES = ("First - Song", "Second - <img src=x onerror=alert(1)> & \"quotes\" 'n' [more]", "Third - Ünï \u2028 code")
FAILURE = Failure("demucs", HOSTILE, "it <b>broke</b>")


def leaking(share):
    """Each stem's estimate is the mixture times `share`."""

    def change(estimates):
        return {stem: np.float32(2 * share) * audio for stem, audio in estimates.items()}

    return change


def quick_score(references, estimates, stems, sample_rate, scorer, workers, **others):
    """As `scoring.score`, with true SDRs; the other ratios, which are slow, are replaced by negative SDRs."""
    frames = frame_sdr(references, estimates, sample_rate)

    def by_stem(values):
        return dict(zip(stems, values.tolist(), strict=True))

    overall, medians = by_stem(global_sdr(references, estimates)), by_stem(csdr(frames))
    return {
        "stems": list(stems),
        **dict.fromkeys(("sdr", "si_sdr"), overall),
        **dict.fromkeys(FRAME_MEDIANS, medians),
        "frames": {"SDR": by_stem(frames), **{metric: by_stem(-frames) for metric in ("ISR", "SIR", "SAR")}},
        "num_frames": frames.shape[1],
        "nan_frames": int(np.isnan(frames[0]).sum()),
    }


def make_run(root, keep_audio_s=2, stems=STEMS, names=NAMES, duration_s=3.0, everyone=False, twice=False):
    """Write a data set and a run on it into a folder; returns the run's folder.

    `stems`: of the third system, or of all systems with `everyone`. `twice`: the tracks are in two splits.
    """
    out = root / "out"
    for seed, name in enumerate(names):
        for split in ("test", "train") if twice else ("test",):
            write_track(root / "music" / split / name, synthetic_stems(seed, duration_s))
    tracks = open_tracks(root / "music", "all")
    rest = stems if everyone else STEMS
    systems = {
        Source("mixture", "Mixture (lower bound)", "mixture", "", "", "0", "the mixture", role=BOUND_ROLE): Fake(
            rest, change=leaking(1.0)
        ),
        Source("bsrnn", "BSRNN (small, ours, 9 min)", "mixture", "", "small@1", "1", role=OURS_ROLE): Fake(
            rest, change=leaking(0.3)
        ),
        Source("demucs", f"Demucs {HOSTILE}", "mixture", "", "demucs@2", "2"): Fake(stems, change=leaking(0.1)),
    }
    settings = Settings("cpu", 1, keep_audio_s)
    for source, system in systems.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("benchmark.runs.measure.score", quick_score)
            run_here(patch, system, source, tracks, out, settings)
    keys = [result_key(source, track, settings) for source in systems for track in tracks]
    write_record(out, f"synthetic music {HOSTILE}", keys, [FAILURE])
    return out
