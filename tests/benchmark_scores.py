"""Made-up results, as they are read back, for what is computed from them."""

import math

from models.tracks import STEMS


def make_result(system, track, values, csdr=None, nan_frames=0, stems=STEMS, **changes):
    """`values`: the SDR of each stem it has."""
    stems = stems[: len(values)]
    others = {"si_sdr": 1, "isr": 2, "sir": 3, "sar": 4}
    scores = {
        "stems": list(stems),
        "sdr": dict(zip(stems, values, strict=True)),
        "csdr": dict(zip(stems, csdr or values, strict=True)),
        **{name: {stem: values[at] + shift for at, stem in enumerate(stems)} for name, shift in others.items()},
        "num_frames": 5,
        "nan_frames": nan_frames,
    }
    result = {
        "key": {"system": system, "track": track},
        "row": {
            "label": system.upper(),
            "parameters": 1_250_000,
            "gmacs_per_second": 3.04,
            "checkpoint": "small@12345678",
            "note": "",
        },
        "scores": scores,
        "duration_s": 10.0,
        "separate_s": 1.0,
        "separate_cpu_s": 1.5,
        "score_s": 0.1,
        "peak_memory_bytes": 2**30,
        "load_1min": 1.5,
        "jobs": 1,
        "date": "2026-01-02T03:04:05+00:00",
    }
    return result | changes


RESULTS = [
    make_result("a", "one", (1.0, 2.0, 3.0, 4.0), csdr=(0.0, 1.0, 2.0, 3.0)),
    make_result("a", "two", (3.0, 2.0, 3.0, 4.0), csdr=(8.0, 1.0, 2.0, 3.0), nan_frames=2, separate_s=4.0),
    make_result("a", "three", (8.0, 2.0, 3.0, 4.0), csdr=(1.0, math.nan, 2.0, 3.0), peak_memory_bytes=2**31),
    make_result("vocals only", "one", (5.0,)),
]


def many_results(system, shift=0.0, num_tracks=12, stems=STEMS):
    """Results of tracks that differ by far more than the systems do."""
    base = [[index + 0.01 * index**2 + column for column in range(len(stems))] for index in range(num_tracks)]
    values = [[shift + value for value in track] for track in base]
    return [make_result(system, f"track {index}", values[index], stems=stems) for index in range(num_tracks)]
