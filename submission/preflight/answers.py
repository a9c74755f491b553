"""Pre-flight check of a submission's behaviour: a sandboxed process builds the class and asks it for stems."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from submission.preflight.findings import Finding
from submission.preflight.requirements import check_imports
from submission.rules.challenge import INSTRUMENTS, MEMORY_BYTES, NUM_CPUS, TIME_FACTOR
from submission.sandbox.run import Outcome, Stage, run_child
from submission.sandbox.signals import FULL_QUALITY, make_signals

MUSIC_S = 8.0
BUILD_LIMIT_S = 90.0
PROBE_LIMIT_S = 20.0
CLIPPED_SHARE = 1e-3
AUDIBLE = 1e-3
PCM16_STEP = 1 / 32768


def check_behaviour(root: Path, music_s: float = MUSIC_S, gpu: bool = False) -> tuple[list[Finding], list[str]]:
    """Ask for the stems of every test signal; returns the findings, and notes for information.

    Args:
        root: the submission.
        music_s: length of the music that it must separate in time, seconds.
        gpu: whether the submission may use a GPU.
    """
    names = list(make_signals(0.1))
    limits = {name: TIME_FACTOR * music_s if name in FULL_QUALITY else PROBE_LIMIT_S for name in names}
    stages = [Stage("built", BUILD_LIMIT_S), *(Stage(name, limits[name]) for name in names), Stage("modules", 10.0)]
    with tempfile.TemporaryDirectory(prefix="bandsplit-check-") as scratch:
        outcome = run_child(
            {"root": str(root), "cpus": NUM_CPUS, "music_s": music_s},
            stages,
            folder=root,
            scratch=Path(scratch),
            environment={} if gpu else {"CUDA_VISIBLE_DEVICES": ""},
            memory_bytes=MEMORY_BYTES,
        )
    return list(judge(root, outcome)), list(_notes(outcome))


def judge(root: Path, outcome: Outcome) -> Iterator[Finding]:
    """The findings in the messages of a sandboxed process."""
    where = "my_submission/user_config.py"
    built = outcome.messages.get("built")
    summary = outcome.messages.get("modules") or built or {}
    if attempts := summary.get("attempts"):
        when = "while it is built" if built and built["attempts"] else "while it separates"
        yield Finding(
            f"tries to reach the network {when}: {attempts[0]}",
            where,
            "ship everything it loads; the grader has no network",
        )
    if unpickled := summary.get("unpickled"):
        yield Finding(f"unpickles {', '.join(unpickled[:3])}", where, "load weights from safetensors")
    if outcome.failure:
        yield _broken_off(outcome)
    if built:
        yield from _judge_class(built, where)
    reported: set[str] = set()
    for name, answer in outcome.messages.items():
        if isinstance(answer, dict) and "took_s" in answer:
            for finding in _judge_answer(name, answer):
                if finding.what not in reported:  # the same fault in several signals is one finding
                    reported.add(finding.what)
                    yield finding
    yield from _judge_reduction(outcome)
    if "modules" in outcome.messages:
        yield from check_imports(root, outcome.messages["modules"]["modules"])


def _broken_off(outcome: Outcome) -> Finding:
    """The finding for a process that ended before its last message."""
    done = [message for message in outcome.messages if message != "failed"]
    log = f"; it wrote: {outcome.log.splitlines()[-1][:300]}" if outcome.log else ""
    if not done:
        if outcome.is_late:
            return Finding(f"is not built after {BUILD_LIMIT_S:.0f} s", "__init__", "load only local weights there")
        return Finding(
            f"cannot be built: {outcome.failure}{log if outcome.failure.startswith('ended') else ''}",
            "my_submission/user_config.py",
            "fix the import or __init__; both may use only files of the submission",
        )
    if outcome.is_late:
        stage = outcome.failure.partition(":")[0]
        return Finding(
            f"too slow: {outcome.failure.partition(': ')[2]}", f"signal {stage!r}", "a track has 1.57 x its duration"
        )
    return Finding(f"failed after {done[-1]!r}: {outcome.failure}{log}", "separate_music_file", "fix the code")


def _judge_class(built: dict[str, Any], where: str) -> Iterator[Finding]:
    if sorted(map(str, built["instruments"])) != sorted(INSTRUMENTS):
        yield Finding(
            f"instruments: expected {list(INSTRUMENTS)}, got {built['instruments']}", where, "return that list"
        )
    if built["raised"] != "NameError: test":
        yield Finding(
            f"raise_aicrowd_error: expected NameError with the message, got {built['raised']}",
            where,
            "def raise_aicrowd_error(self, msg): raise NameError(msg)",
        )
    if not built["is_callable"]:
        yield Finding("has no separate_music_file", where, "add the method")


def _judge_answer(name: str, answer: dict[str, Any]) -> Iterator[Finding]:
    where = f"signal {name!r}"
    if answer["error"]:
        yield Finding(f"separate_music_file fails: {answer['error']}", where, "it must return stems for any track")
        return
    for kind, keys in (("arrays", answer["stems"]), ("sample rates", answer["rates"])):
        if sorted(keys) != sorted(INSTRUMENTS):
            yield Finding(
                f"wrong keys of the {kind}: expected {', '.join(INSTRUMENTS)}, got {', '.join(sorted(keys)) or 'none'}",
                where,
                "return exactly the four instruments",
            )
    for stem, (kind, value) in answer["rates"].items():
        if kind not in ("int", "int32", "int64"):
            yield Finding(
                f"sample rate of {stem} is {value}, a {kind}: the grader raises TypeError",
                where,
                "return int(sample_rate)",
            )
        elif value not in (str(answer["rate"]), f"np.{kind}({answer['rate']})"):
            yield Finding(f"sample rate of {stem} is {value}, not the track's {answer['rate']}", where, "keep the rate")
    for stem, array in answer["stems"].items():
        yield from _judge_array(name, where, stem, array, answer)
    if answer["changed_input"]:
        yield Finding("changes its input array", where, "work on a copy")
    difference = answer.get("difference", 0.0)
    if (difference is None or difference > PCM16_STEP) and not answer["reduced"]:
        size = "in stems or shapes" if difference is None else f"by up to {difference:.4f}"
        yield Finding(f"not reproducible: two answers differ {size}", where, "seed or remove what is random")


def _judge_array(name: str, where: str, stem: str, array: dict[str, Any], answer: dict[str, Any]) -> Iterator[Finding]:
    if array["type"] != "ndarray":
        yield Finding(f"{stem} is a {array['type']}, not a numpy array", where, "return numpy arrays")
        return
    if array["dtype"] not in ("float32", "float64"):
        yield Finding(f"{stem} has dtype {array['dtype']}: the grader cannot write it", where, "return float32")
    num_samples, channels = answer["shape"]
    shape = array["shape"]
    if shape != [num_samples, channels] and not (channels == 1 and shape == [num_samples]):
        if shape == [channels, num_samples] and num_samples != channels:
            yield Finding(
                f"{stem} is transposed, (channels, samples): the grader cannot write it", where, "return array.T"
            )
        else:
            yield Finding(
                f"{stem} has the wrong sample count or shape: expected {(num_samples, channels)}, got {tuple(shape)}",
                where,
                "return as many samples as the mixture has",
            )
    if array["num_not_finite"]:
        yield Finding(
            f"{stem} holds NaN or infinity: stored as full scale, which ruins the score",
            where,
            "return finite samples",
        )
    if name in FULL_QUALITY and array["clipped_share"] > CLIPPED_SHARE:
        yield Finding(
            f"{100 * array['clipped_share']:.1f} % of {stem} is clipped, though the mixture peaks at 0.5",
            where,
            "return samples in [-1, 1), at the mixture's level",
        )
    if name == "silence" and array["loudest"] > AUDIBLE:
        yield Finding(
            f"{stem} is not silent (peak {array['loudest']:.3f}) though the mixture is: with a silent reference the"
            " score is far below 0 dB",
            where,
            "return silence for silence",
        )


def _judge_reduction(outcome: Outcome) -> Iterator[Finding]:
    """A finding if the predictor reports a failed network, or reports twice that time ran short on a quiet machine."""
    answers = [outcome.messages.get(name, {}) for name in FULL_QUALITY]
    ways = "; ".join(f"{seconds:.1f} s by {way}" for way, seconds in answers[0].get("reduced", {}).items())
    where = f"signal {FULL_QUALITY[0]!r}"
    if faults := answers[0].get("faults"):
        yield Finding(f"a network fails: {faults[0]}; instead: {ways}", where, "fix or replace its checkpoint")
    elif all(answer.get("reduced") for answer in answers) and not is_busy():
        yield Finding(f"too slow for full quality here: {ways}", where, "take a smaller checkpoint, or less overlap")


def is_busy() -> bool:
    """Whether other programs keep this machine's processors busy: a load above 1.5 for each processor."""
    return os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)


def _notes(outcome: Outcome) -> Iterator[str]:
    music = outcome.messages.get(FULL_QUALITY[0])
    if music:
        share = outcome.took_s.get(FULL_QUALITY[0], music["took_s"]) / music["limit_s"]
        yield f"separates {music['shape'][0] / 44100:.0f} s of music in {100 * share:.1f} % of the allowed time"
        if any(outcome.messages.get(name, {}).get("reduced") for name in FULL_QUALITY):
            load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
            yield f"some music was separated at lower quality because time ran short here ({load})"
    if "built" in outcome.took_s:
        yield f"the class is built in {outcome.took_s['built']:.1f} s"
    if outcome.peak_bytes:
        yield f"takes {outcome.peak_bytes / 1e6:.0f} MB of memory"
