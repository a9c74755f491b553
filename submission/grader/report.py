"""The report of an evaluation as text: scores, times and the grader's verdict."""

from collections.abc import Sequence

import numpy as np

from models.running.processors import num_cpus
from submission.grader.session import Result
from submission.rules.challenge import INSTRUMENTS, NUM_CPUS


def is_rejected(results: Sequence[Result]) -> bool:
    """Whether a track failed: one is enough to fail the submission."""
    return any(result.failure for result in results)


def projected_s(took_s: float, processor_s: float, here: int, there: int) -> float:
    """Projected time, seconds, on another number of processors of the same kind, by Amdahl's law.

    A run took `took_s` and used `processor_s` of processor time on `here` processors. It had s seconds of serial and p
    seconds of parallel work: s + p = processor_s and s + p / here = took_s. Where these do not give p > 0 (one
    processor, or a run that waited), all work counts as serial and the time stays `took_s`.
    """
    if here <= 1 or here == there:
        return took_s
    parallel_s = max(0.0, min((processor_s - took_s) * here / (here - 1), processor_s))
    return took_s - parallel_s / here + parallel_s / there


def render(results: Sequence[Result], barrier: str, data: str) -> str:
    """The report: a table of the tracks, the scores, the time, and the verdict."""
    here = min(num_cpus(), NUM_CPUS)
    lines = [f"Data: {data}. Network: {barrier}. {here} processors.", "", *_table(results, here), ""]
    done = [result for result in results if result.took_s is not None]
    if done:
        share = sum(result.took_s or 0 for result in done) / sum(result.limit_s for result in done)
        projected = sum(_projected(result, here) for result in done) / sum(result.limit_s for result in done)
        worst = max(done, key=lambda result: (result.took_s or 0) / result.limit_s)
        worst_share = (worst.took_s or 0) / worst.limit_s
        lines += [
            f"Time: {100 * share:.1f} % of the allowed time over all tracks, at most {100 * worst_share:.1f} %"
            f" ({worst.track}). Projected to {NUM_CPUS} such vCPU by Amdahl's law: {100 * projected:.1f} %. Loading the"
            f" class took up to {max(result.start_s or 0 for result in done):.1f} s and is not counted.",
        ]
    for result in results:
        if result.reduced:
            listed = "; ".join(f"{seconds:.1f} s by {way}" for way, seconds in result.reduced.items())
            lines.append(f"Separated at lower quality because time ran short: {result.track}: {listed}")
    if written := dict.fromkeys(path for result in results for path in result.written):
        lines.append(f"Written outside the predictions, where the grader's disk may refuse it: {', '.join(written)}")
    for result in results:
        if result.failure:
            lines.append(f"FAILED: {result.track}: {result.failure}")
            lines += [f"    {line}" for line in result.log.splitlines()[-8:]]
    if is_rejected(results):
        failed = sum(bool(result.failure) for result in results)
        lines.append(f"REJECTED: {failed} of {len(results)} tracks failed, and one is enough.")
    else:
        means = {name: np.mean([result.sdr[name] for result in results]) for name in INSTRUMENTS}
        listed = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        score = np.mean([result.song_sdr for result in results])
        lines.append(f"SCORE: {score:.3f} dB, mean over {len(results)} songs ({listed}).")
    return "\n".join(lines)


def _table(results: Sequence[Result], here: int) -> list[str]:
    header = ["track", *INSTRUMENTS, "song", "allowed s", "took s", "share", f"on {NUM_CPUS} vCPU", "peak MB"]
    rows = [[result.track, *_scores(result), *_times(result, here)] for result in results]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [_line(row, widths) for row in (header, rule, *rows)]


def _scores(result: Result) -> list[str]:
    if result.failure:
        return ["failed"] * (len(INSTRUMENTS) + 1)
    return [f"{result.sdr[name]:.2f}" for name in INSTRUMENTS] + [f"{result.song_sdr:.2f}"]


def _times(result: Result, here: int) -> list[str]:
    peak = "–" if result.peak_bytes is None else f"{result.peak_bytes / 1e6:.0f}"
    if result.took_s is None:
        return [f"{result.limit_s:.2f}", "–", "–", "–", peak]
    shares = (result.took_s / result.limit_s, _projected(result, here) / result.limit_s)
    return [f"{result.limit_s:.2f}", f"{result.took_s:.2f}", *(f"{100 * share:.1f} %" for share in shares), peak]


def _projected(result: Result, here: int) -> float:
    return projected_s(result.took_s or 0.0, result.processor_s or 0.0, here, NUM_CPUS)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    return f"| {' | '.join(cells)} |"
