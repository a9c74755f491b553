"""Made-up results in the form in which they are read back, for tests of tables and statistics."""

import math

from models.tracks import STEMS

OTHERS = {"isr": 2, "sir": 3, "sar": 4, "si_sar": 5}
"""Differences of the other scores of stems together from the SDR, dB."""


def make_result(system, track, values, csdr=None, nan_frames=0, stems=STEMS, role="peer", split="test", **changes):
    """`values`: the SDR of each of its stems; `measured` is added to the default mapping, not a replacement."""
    stems = stems[: len(values)]
    by_stem = dict(zip(stems, values, strict=True))
    frames = {"csdr": dict(zip(stems, csdr or values, strict=True))}
    frames |= {name: {stem: by_stem[stem] + shift for stem in stems} for name, shift in OTHERS.items()}
    own = [stem for stem in stems if stem in STEMS]
    sets = [own, ["vocals", "accompaniment"]] if len(own) > 1 and "accompaniment" in stems else [list(stems)]
    measured = {
        "machine": "Abacus (2 cores)",
        "threads": 2,
        "jobs": 1,
        "load_1min": 1.5,
        "date": "2026-01-02T03:04:05+00:00",
        "python": "3.11",
        "commit": "abc1234",
        "command": "python -m benchmark run",
    }
    result = {
        "key": {"system": system, "split": split, "track": track, "device": "cpu"},
        "row": {
            "label": system.upper(),
            "role": role,
            "parameters": 1_250_000,
            "gmacs_per_second": 3.04,
            "checkpoint": "small@12345678",
            "note": "",
        },
        "scores": {
            "stems": list(stems),
            "sdr": by_stem,
            "si_sdr": {stem: value + 1 for stem, value in by_stem.items()},
            "together": [
                {
                    "stems": together,
                    **{name: {stem: scores[stem] for stem in together} for name, scores in frames.items()},
                    "num_frames": 5,
                    "nan_frames": nan_frames,
                }
                for together in sets
            ],
        },
        "duration_s": 10.0,
        "separate_s": 1.0,
        "separate_cpu_s": 1.5,
        "score_s": 0.1,
        "peak_memory_bytes": 2**30,
        "measured": measured | changes.pop("measured", {}),
    }
    return result | changes


RESULTS = [
    make_result("a", "one", (1.0, 2.0, 3.0, 4.0), csdr=(0.0, 1.0, 2.0, 3.0)),
    make_result("a", "two", (3.0, 2.0, 3.0, 4.0), csdr=(8.0, 1.0, 2.0, 3.0), nan_frames=2, separate_s=4.0),
    make_result("a", "three", (8.0, 2.0, 3.0, 4.0), csdr=(1.0, math.nan, 2.0, 3.0), peak_memory_bytes=2**31),
    make_result("vocals only", "one", (5.0,)),
]


def many_results(system, shift=0.0, num_tracks=12, stems=STEMS, role="peer"):
    """Results of tracks that differ by far more than the systems do.

    The differences between two systems are not quite the same on all tracks: for equal ones the signed-rank test would
    try all 4096 combinations of their signs, in a second.
    """
    base = [[index + 0.01 * index**2 + column for column in range(len(stems))] for index in range(num_tracks)]
    values = [[shift * (1 + 1e-7 * index) + value for value in track] for index, track in enumerate(base)]
    return [make_result(system, f"track {index}", values[index], stems=stems, role=role) for index in range(num_tracks)]
