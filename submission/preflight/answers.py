"""Pre-flight check of what a submission does: the class is built and asked for stems, off the network, in a child."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from submission.preflight.findings import Finding
from submission.preflight.requirements import check_imports
from submission.rules.challenge import INSTRUMENTS, MEMORY_BYTES, NUM_CPUS, TIME_FACTOR
from submission.sandbox.run import Outcome, Stage, run_child
from submission.sandbox.signals import FULL_QUALITY, probes

MUSIC_S = 8.0
BUILD_LIMIT_S = 90.0
PROBE_LIMIT_S = 20.0
CLIPPED_SHARE = 1e-3
AUDIBLE = 1e-3
PCM16_STEP = 1 / 32768


def check_behaviour(root: Path, music_s: float = MUSIC_S, gpu: bool = False) -> tuple[list[Finding], list[str]]:
    """Run every probe; returns what was found, and notes of what is only worth knowing.

    Args:
        root: the submission.
        music_s: length of the music that it must separate in time.
        gpu: whether it may see a GPU.
    """
    names = list(probes(0.1))
    limits = {name: TIME_FACTOR * music_s if name in FULL_QUALITY else PROBE_LIMIT_S for name in names}
    stages = [Stage("built", BUILD_LIMIT_S), *(Stage(name, limits[name]) for name in names), Stage("modules", 10.0)]
    with tempfile.TemporaryDirectory(prefix="bandsplit-check-") as scratch:
        outcome = run_child(
            {"root": str(root), "cpus": NUM_CPUS, "probe_s": music_s},
            stages,
            folder=root,
            scratch=Path(scratch),
            environment={} if gpu else {"CUDA_VISIBLE_DEVICES": ""},
            memory_bytes=MEMORY_BYTES,
        )
    return list(judge(root, outcome)), list(_notes(outcome))


def judge(root: Path, outcome: Outcome) -> Iterator[Finding]:
    """What a child's descriptions show to be wrong."""
    where = "my_submission/user_config.py"
    built = outcome.messages.get("built")
    summary = outcome.messages.get("modules") or built or {}
    if attempts := summary.get("attempts"):
        when = "while it is built" if built and built["attempts"] else "while it separates"
        yield Finding(
            f"reaches for the network {when}: {attempts[0]}",
            where,
            "ship everything it loads; the grader has no network",
        )
    if unpickled := summary.get("unpickled"):
        yield Finding(f"unpickles {', '.join(unpickled[:3])}", where, "load weights from safetensors")
    if outcome.failure:
        yield _broken_off(outcome)
    if built:
        yield from _judge_class(built, where)
    told: set[str] = set()
    for name, answer in outcome.messages.items():
        if isinstance(answer, dict) and "took_s" in answer:
            for finding in _judge_answer(name, answer):
                if finding.what not in told:  # the same fault in every probe is one finding
                    told.add(finding.what)
                    yield finding
    yield from _judge_reduction(outcome)
    if "modules" in outcome.messages:
        yield from check_imports(root, outcome.messages["modules"]["modules"])


def _broken_off(outcome: Outcome) -> Finding:
    """The child did not reach its end."""
    done = [message for message in outcome.messages if message != "failed"]
    log = f"; it wrote: {outcome.log.splitlines()[-1][:300]}" if outcome.log else ""
    if not done:
        if outcome.is_late:
            return Finding(
                f"is not built after {BUILD_LIMIT_S:.0f} s", "__init__", "load local weights, and nothing else"
            )
        return Finding(
            f"cannot be built: {outcome.failure}{log if outcome.failure.startswith('ended') else ''}",
            "my_submission/user_config.py",
            "mend the import or __init__; it must work with the files of the submission alone",
        )
    if outcome.is_late:
        stage = outcome.failure.partition(":")[0]
        return Finding(
            f"too slow: {outcome.failure.partition(': ')[2]}", f"probe {stage!r}", "a track has 1.57 x its duration"
        )
    return Finding(f"broke off after {done[-1]!r}: {outcome.failure}{log}", "separate_music_file", "mend the code")


def _judge_class(built: dict[str, Any], where: str) -> Iterator[Finding]:
    if sorted(map(str, built["instruments"])) != sorted(INSTRUMENTS):
        yield Finding(
            f"instruments: expected {list(INSTRUMENTS)}, got {built['instruments']}", where, "make it that property"
        )
    if built["raised"] != "NameError: probe":
        yield Finding(
            f"raise_aicrowd_error: expected NameError with the message, got {built['raised']}",
            where,
            "def raise_aicrowd_error(self, msg): raise NameError(msg)",
        )
    if not built["is_callable"]:
        yield Finding("has no separate_music_file", where, "add the method")


def _judge_answer(name: str, answer: dict[str, Any]) -> Iterator[Finding]:
    where = f"probe {name!r}"
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
        yield Finding("changes the array that it was given", where, "work on a copy")
    difference = answer.get("difference", 0.0)
    if (difference is None or difference > PCM16_STEP) and not answer["reduced"]:
        size = "in form" if difference is None else f"by up to {difference:.4f}"
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
            f"{stem} holds NaN or infinity: stored as full scale, which wrecks the score",
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
            f"{stem} sounds (up to {array['loudest']:.3f}) where the mixture is silent: a silent reference then scores"
            " hugely negative",
            where,
            "return silence for silence",
        )


def _judge_reduction(outcome: Outcome) -> Iterator[Finding]:
    """A predictor that says itself that a network failed, or, on a quiet machine, twice that the time ran short."""
    answers = [outcome.messages.get(name, {}) for name in FULL_QUALITY]
    ways = "; ".join(f"{seconds:.1f} s by {way}" for way, seconds in answers[0].get("reduced", {}).items())
    where = f"probe {FULL_QUALITY[0]!r}"
    if faults := answers[0].get("faults"):
        yield Finding(f"a network fails: {faults[0]}; instead: {ways}", where, "mend or replace its checkpoint")
    elif all(answer.get("reduced") for answer in answers) and not is_busy():
        yield Finding(f"too slow for its best way here: {ways}", where, "take a smaller checkpoint, or less overlap")


def is_busy() -> bool:
    """Whether other work kept this machine's processors."""
    return os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)


def _notes(outcome: Outcome) -> Iterator[str]:
    music = outcome.messages.get(FULL_QUALITY[0])
    if music:
        share = outcome.took_s.get(FULL_QUALITY[0], music["took_s"]) / music["limit_s"]
        yield f"separates {music['shape'][0] / 44100:.0f} s of music in {100 * share:.1f} % of the allowed time"
        if any(outcome.messages.get(name, {}).get("reduced") for name in FULL_QUALITY):
            load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
            yield f"some music was separated less well, as the time ran short here ({load})"
    if "built" in outcome.took_s:
        yield f"the class is built in {outcome.took_s['built']:.1f} s"
    if outcome.peak_bytes:
        yield f"takes {outcome.peak_bytes / 1e6:.0f} MB of memory"
