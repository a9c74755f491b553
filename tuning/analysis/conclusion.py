"""What a search shows, as the words of ``summary.md``: differences, the judged winner, and what does not follow."""

import math

import pandas as pd

from tuning.analysis.cross_fit import CrossFit
from tuning.analysis.paired import CONFIDENCE, Uncertainty
from tuning.analysis.results import Comparison
from tuning.analysis.track_table import ALL_TRACKS, TrackTable
from tuning.space.plan import Plan

ROWS = 20
TITLE = "## Differences"


def conclusion(comparison: Comparison, plan: Plan) -> list[str]:
    """Sections as Markdown: the differences from the best cell, the judged winner, what may be concluded."""
    tracks, doubt, cells = comparison.tracks, comparison.doubt, comparison.cells
    if tracks is None or doubt is None:
        return []
    if len(cells) == 1:
        return [f"{TITLE}\n\nOnly one cell is complete."]
    if not doubt.freedom:
        return [
            f"{TITLE}\n\nOne seed each, and the scores of one track or of their mean alone: the spread is unknown, so "
            "the order of the cells may be chance."
        ]
    parts = [f"{TITLE}\n\n{_design(tracks, doubt)}", _table(comparison), _winner(comparison)]
    if comparison.judged:
        parts.append("## The winner, judged by what did not choose it\n\n" + _judged(comparison.judged, tracks))
    return [*parts, "## What may be concluded\n\n" + "\n".join(_limits(comparison, doubt, tracks, plan))]


def best_level(cells: pd.DataFrame) -> int:
    """How many cells, from the best down, do not differ significantly from the best one, itself included."""
    return 1 + int((cells.holm.iloc[1:] >= 1 - CONFIDENCE).sum())


def _design(tracks: TrackTable, doubt: Uncertainty) -> str:
    num_cells, num_seeds, num_tracks = tracks.scores.shape
    scored = "the mean over tracks" if tracks.tracks == (ALL_TRACKS,) else _count(num_tracks, "validation track")
    text = (
        f"{num_cells} cells, {_count(num_seeds, 'seed')}, {scored}, alike for all cells, so that differences are "
        "paired over seeds and tracks. "
    )
    spreads = [
        f"from {name} to {name} by a standard deviation of {value:.2f} dB"
        for name, value in (("seed", doubt.seeds), ("track", doubt.tracks))
        if not math.isnan(value)
    ]
    return text + f"The difference of two cells varies {' and '.join(spreads)} for each cell."


def _table(comparison: Comparison) -> str:
    best = comparison.cells.index[0]
    pairs = comparison.pairs[comparison.pairs["first"] == best].head(ROWS)
    lines = [f"The best, `{best}`, against the others; all pairs are in `pairs.csv`.\n"]
    lines += ["| than | better by | 95 % interval | p (Holm) |", "|---|--:|--:|--:|"]
    for _, pair in pairs.iterrows():
        interval = f"{pair.low:+.2f} to {pair.high:+.2f}"
        lines.append(f"| {pair.second} | {pair.difference:+.2f} | {interval} | {_p_text(pair.holm)} |")
    return "\n".join(lines)


def _winner(comparison: Comparison) -> str:
    cells = comparison.cells
    level = best_level(cells)
    if level == len(cells):
        return "**No cell is significantly worse than the best.**"
    if level == 1:
        return f"**`{cells.index[0]}` is significantly better than every other cell.**"
    return (
        f"**The best cell is significantly better than the last {len(cells) - level}; "
        f"among the first {level} no difference from the best is significant.**"
    )


def _judged(judged: CrossFit, tracks: TrackTable) -> str:
    halves = " and ".join(
        name for name, is_split in (("seeds", judged.splits_seeds), ("tracks", judged.splits_tracks)) if is_split
    )
    names = [tracks.cells[pick] for pick in dict.fromkeys(judged.picks)]
    chosen = ", ".join(f"`{name}` ({judged.picks.count(tracks.cells.index(name))})" for name in names)
    return (
        f"One half of the {halves} chooses a cell and the validation at which its weights are taken, the other half "
        f"judges it; {len(judged.picks)} ways. Chosen: {chosen}. The chosen cell has {judged.own_sdr:.2f} dB where "
        f"it was chosen and {judged.sdr:.2f} dB where it was judged. Its lead over the second of the choice is "
        f"{judged.own_lead:+.2f} dB where it was chosen and {judged.lead:+.2f} dB where it was judged. The judged "
        "figures do not profit from the choice."
    )


def _limits(comparison: Comparison, doubt: Uncertainty, tracks: TrackTable, plan: Plan) -> list[str]:
    num_cells, num_seeds, num_tracks = tracks.scores.shape
    pairs = num_cells * (num_cells - 1) // 2
    lines = [
        "- An interval holds the true difference of its pair in 95 of 100 searches. The p values count all "
        f"{_count(pairs, 'pair')} (Holm): a search in which all cells are alike calls one of them significant in at "
        "most 5 of 100.",
        f"- A difference that is not significant is not equality. A pair has to be {doubt.half_width_among(pairs):.2f} "
        "dB apart to be told apart here, whatever the other pairs; more seeds make this smaller.",
    ]
    if num_seeds == 1:
        lines.append(
            "- **One seed: nothing is known about other seeds.** The intervals are about other tracks with these very "
            "networks. Train with `--seeds 2` or more before you call a cell better."
        )
    if num_tracks == 1:
        which = "The scores of each track are missing" if tracks.tracks == (ALL_TRACKS,) else "There is one track"
        lines.append(f"- {which}: the intervals are about other seeds on these very tracks, not about other tracks.")
    lines.append(
        f"- All of this is at {plan.budget} for each trial, on music like the validation tracks. A larger budget may "
        "reverse the order."
    )
    if not comparison.incomplete.empty:
        lines.append("- Incomplete cells are not compared; nothing is known of their rank.")
    return lines


def _count(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")


def _p_text(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
