"""Asks a submission for the stems of test signals that are known to break some submissions, and describes the answers.

It runs in the sandbox and sends descriptions only; `submission.preflight.answers` judges them. Like the grader, it
passes what `soundfile.read` returns: float64 arrays [T, C], or [T] for mono.
"""

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from submission.sandbox.network import AuditHook

RATE = 44100
FULL_QUALITY = ("music", "music again")
"""The signals that are long enough to judge time and reproducibility."""


def make_signals(seconds: float) -> dict[str, tuple[np.ndarray, int]]:
    """The test signals by name: the samples and the sample rate (Hz) of each.

    Args:
        seconds: length of "music" and "music again".
    """
    music = synthetic_music(seconds)
    damaged = music[: RATE // 2].copy()
    damaged[100:110] = np.nan
    return {
        "music": (music, RATE),
        "music again": (music, RATE),
        "full scale": (np.clip(8 * music[: 2 * RATE], -1, 32767 / 32768), RATE),
        "silence": (np.zeros((RATE, 2)), RATE),
        "mono": (music[:RATE, 0], RATE),
        "48 kHz": (music[:RATE], 48000),
        "odd length": (music[:4099], RATE),
        "one sample": (music[1000:1001], RATE),
        "NaN": (damaged, RATE),
    }


def synthetic_music(seconds: float) -> np.ndarray:
    """Chords, a bass line and noise bursts, [T, 2] float64 with a peak of 0.5; the same at each call."""
    num_samples = max(1, round(seconds * RATE))
    time_s = np.arange(num_samples) / RATE
    rng = np.random.default_rng(23)
    chords = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 277.2, 329.6, 440.0))
    bass = np.sin(2 * np.pi * 55 * (1 + np.floor(time_s) % 3 / 4) * time_s)
    drums = rng.standard_normal(num_samples) * np.exp(-(time_s % 0.5) / 0.05)
    left, right = chords + 2 * bass + 2 * drums, 0.6 * chords + 2 * bass + 2.4 * drums
    music = np.stack([left, right], axis=1)
    return 0.5 * music / np.abs(music).max()


def ask_for_stems(
    load_wrapper: Callable[[], ModuleType], seconds: float, audit: AuditHook, send: Callable[[str, Any], None]
) -> None:
    """Build the class, then ask it for the stems of each signal.

    It sends "built", then one message for each signal under the signal's name, then "modules".

    Args:
        load_wrapper: returns the kit's wrapper module, which holds the class.
        seconds: length of the music.
        audit: the audit hook of this process.
        send: sends a message to the parent process and waits for its reply.
    """
    module = load_wrapper()
    model = module.MySeparationModel()
    send("built", {**_describe_class(model), "attempts": audit.attempts, "unpickled": audit.unpickled})
    first: dict[str, np.ndarray] = {}
    for name, (samples, rate) in make_signals(seconds).items():
        original = samples.copy()
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                answer = model.separate_music_file(samples, rate)
                error = ""
            except Exception as failure:
                answer, error = None, f"{type(failure).__name__}: {' '.join(str(failure).split())}"[:500]
        description = {
            "took_s": time.perf_counter() - start,
            "limit_s": 1.57 * len(samples) / rate,
            "shape": [len(samples), 1 if samples.ndim == 1 else samples.shape[1]],
            "rate": rate,
            "error": error,
            "warnings": [str(warning.message)[:300] for warning in caught],
            "reduced": dict(getattr(getattr(model, "account", None), "reduced", {})),
            "faults": list(getattr(getattr(model, "account", None), "faults", [])),
            "changed_input": not np.array_equal(samples, original, equal_nan=True),
        }
        if not error:
            description |= _describe_answer(answer)
        if name == "music" and description.get("stems"):
            first = {stem: np.array(array) for stem, array in answer[0].items()}
        if name == "music again" and description.get("stems"):
            description["difference"] = _difference(first, answer[0])
        send(name, description)
    send("modules", {"modules": _third_party(), "attempts": audit.attempts, "unpickled": audit.unpickled})


def _describe_class(model: Any) -> dict[str, Any]:
    """What the class offers besides `separate_music_file`."""
    try:
        model.raise_aicrowd_error("test")
        raised = "nothing"
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"
    instruments = getattr(model, "instruments", None)
    return {
        "instruments": [str(name) for name in instruments]
        if isinstance(instruments, list | tuple)
        else repr(instruments),
        "raised": raised,
        "is_callable": callable(getattr(model, "separate_music_file", None)),
    }


def _describe_answer(answer: Any) -> dict[str, Any]:
    """Types, shapes and levels of what `separate_music_file` returned."""
    if not (isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(part, dict) for part in answer)):
        return {"error": f"returned {type(answer).__name__}, not a pair of dictionaries (arrays, sample rates)"}
    arrays, rates = answer
    return {
        "stems": {str(name): _describe_stem(array) for name, array in arrays.items()},
        "rates": {str(name): [type(rate).__name__, repr(rate)] for name, rate in rates.items()},
    }


def _describe_stem(array: Any) -> dict[str, Any]:
    if not isinstance(array, np.ndarray):
        return {"type": type(array).__name__}
    is_number = array.dtype.kind == "f"
    finite = np.isfinite(array) if is_number else np.ones(array.shape, bool)
    loudest = float(np.abs(np.where(finite, array, 0)).max(initial=0)) if is_number else 0.0
    at_limit = (array >= 32767 / 32768) | (array <= -1) if is_number else np.zeros(array.shape, bool)
    return {
        "type": "ndarray",
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "num_not_finite": int((~finite).sum()),
        "loudest": loudest,
        "clipped_share": float(at_limit.mean()) if array.size else 0.0,
    }


def _difference(first: dict[str, np.ndarray], second: dict[str, Any]) -> float | None:
    """The largest difference between two answers to the same signal; None if their stems or shapes differ."""
    if set(first) != set(second):
        return None
    largest = 0.0
    for name, array in first.items():
        other = np.asarray(second[name])
        if array.shape != other.shape:
            return None
        if array.dtype.kind == "f" and array.size:
            difference = np.abs(np.nan_to_num(array).astype(np.float64) - np.nan_to_num(other))
            largest = max(largest, float(difference.max()))
    return largest


def _third_party() -> dict[str, str]:
    """The loaded top-level modules, and the file of each."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." not in name and file:
            found[name] = str(Path(file))
    return found
