"""Learning curves in ``summary.md``: when the winner was known, and what stopped trials would have reached."""

from collections.abc import Sequence

from tuning.analysis.extrapolation import LEAST, Curve, check_on_unseen_cells, extrapolate

SHARES = (0.1, 0.25, 0.5, 0.75)
ROWS = 20


def forecast(curves: Sequence[Curve]) -> list[str]:
    """Sections as Markdown; none with too few finished trials."""
    finished = [curve for curve in curves if curve.is_finished]
    first = max((curve.shares[0] for curve in finished), default=1.0)
    checks = [check_on_unseen_cells(curves, share) for share in SHARES if share >= first]
    lines = [
        f"| {check.share:.0%} | {check.right:.0%} | {check.right_so_far:.0%} | {check.error:.2f} | {check.held:.0%} |"
        for check in checks
        if check
    ]
    parts = []
    if lines:
        head = (
            "| part of the budget | winner, extrapolated | winner, order so far | error (dB) | 95 % interval holds |\n"
            "|--:|--:|--:|--:|--:|\n"
        )
        parts.append(
            "## How early the winner was known\n\nFitted to random halves of the finished cells, tested on the other "
            "halves: how often the best of the unseen cells was named.\n\n" + head + "\n".join(lines)
        )
    stopped = [curve for curve in curves if not curve.is_finished]
    if len(finished) >= LEAST and stopped:
        parts.append(_stopped(finished, stopped))
    return parts


def _stopped(finished: Sequence[Curve], stopped: Sequence[Curve]) -> str:
    best = max(curve.values[-1] for curve in finished)
    lines = ["| trial | cell | had | SDR | at the end (95 % interval) |", "|--:|---|--:|--:|--:|"]
    may_win = []
    for curve in stopped:
        share = float(curve.shares[-1])
        value, half = extrapolate(finished, [curve], share)[0]
        may_win += [curve.trial] if value + half > best else []
        shown = f"{curve.values[-1]:.2f} | {value:.2f} ± {half:.2f}"
        lines.append(f"| {curve.trial} | {curve.cell} | {share:.0%} | {shown} |")
    lines = lines[: ROWS + 2]
    if may_win:
        verdict = f"The intervals of {len(may_win)} of these {len(stopped)} trials reach over the best trial's."
    else:
        verdict = "No interval reaches over the best finished trial."
    return (
        "## Trials without the whole budget\n\nExtrapolated by the curves of the finished trials, which are the better "
        f"ones if a scheduler chose them. {verdict} The best has {best:.2f} dB.\n\n" + "\n".join(lines)
    )
