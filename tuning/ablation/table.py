"""The table of an ablation: the gain of each change, with its interval."""

import math
from collections.abc import Sequence

from tuning.ablation.ablation import Run
from tuning.analysis.significance import honest_difference, pooled_spread


def ablation_table(names: Sequence[str], runs: Sequence[Sequence[Run]]) -> str:
    """Markdown: each row's steps, processor minutes, loss, validation SDR of the stems, mean, and gain on the first.

    Figures are means over the seeds. A row with a failed seed has no figures, because the mean of only some seeds is
    not comparable. It is listed below the table.

    Args:
        names: of the rows.
        runs: the seeds of each row, the same number for each.
    """
    seeds = len(runs[0])
    complete = [row for row in runs if not any(run.error for run in row)]
    spread, freedom = pooled_spread([[run.metrics["valid_sdr"] for run in row] for row in complete])
    interval = honest_difference(spread, len(complete), freedom, seeds, seeds)
    metrics = dict.fromkeys(name for row in complete for run in row for name in run.metrics)
    stems = [name for name in metrics if name.startswith("valid_") and name != "valid_sdr"]
    titles = ["change", "steps", "processor minutes", "loss", *(name.removeprefix("valid_") for name in stems)]
    lines = ["| " + " | ".join([*titles, "mean", "gain"]) + " |", "|---|" + "---:|" * (len(titles) + 1)]
    for name, row in zip(names, runs, strict=True):
        if row not in complete:
            lines.append(f"| {name} | failed |" + " |" * len(titles))
            continue
        cells = [name, f"{_mean(row, 'step'):.0f}", f"{_mean(row, 'cpu_minutes'):.1f}", f"{_mean(row, 'loss'):.3f}"]
        cells += [f"{_mean(row, stem):.2f}" if stem in row[0].metrics else "" for stem in stems]
        gain = _mean(row, "valid_sdr") - _mean(runs[0], "valid_sdr") if runs[0] in complete else math.nan
        gain_text = "" if row is runs[0] or math.isnan(gain) else _gain(gain, interval)
        lines.append("| " + " | ".join([*cells, f"{_mean(row, 'valid_sdr'):.2f}", gain_text]) + " |")
    return "\n".join([*lines, "", *_remarks(names, runs, spread)]) + "\n"


def _mean(row: Sequence[Run], name: str) -> float:
    return sum(run.metrics[name] for run in row) / len(row)


def _gain(gain: float, interval: float) -> str:
    """A gain in dB, with its interval if it is known, bold if 0 lies outside."""
    if math.isnan(interval):
        return f"{gain:+.2f}"
    text = f"{gain:+.2f} ± {interval:.2f}"
    return f"**{text}**" if abs(gain) > interval else text


def _remarks(names: Sequence[str], runs: Sequence[Sequence[Run]], spread: float) -> list[str]:
    seeds = len(runs[0])
    if seeds == 1:
        remarks = [
            "Each row has one seed, so the spread between seeds is unknown and any gain may be chance. Use `--seeds 3`."
        ]
    elif math.isnan(spread):
        remarks = ["No row is complete."]
    else:
        remarks = [
            f"Means of {seeds} seeds, which differ within a row by a standard deviation of {spread:.2f} dB (pooled). "
            "Gains: with 95 % intervals (Tukey's honestly significant difference of all complete rows), bold if the "
            "interval excludes 0."
        ]
    failed = [
        f"- {name}, seed {number} failed: {run.error}"
        for name, row in zip(names, runs, strict=True)
        for number, run in enumerate(row)
        if run.error
    ]
    return [*remarks, "", *failed] if failed else remarks
