"""The forest plot: the winner minus each other system, with intervals, and a line at no difference."""

import math
from collections.abc import Sequence

from benchmark.page.charts import Scale, linear_scale, percent, tick_label
from benchmark.page.contents import Contents
from benchmark.page.markup import escape, signed
from benchmark.page.verdict import Difference, Verdict, difference, words_of

ROW_PX = 30


def forest_section(verdict: Verdict, contents: Contents) -> str:
    """The plot of what decides, and, collapsed, a plot for each stem."""
    if not verdict.differences and not verdict.unranked:
        return ""
    winner = verdict.winner.short
    main = forest_plot(winner, verdict.stem, verdict.differences) + _legend(winner) if verdict.differences else ""
    names = {found.other.name for found in (*verdict.differences, *verdict.unranked)}
    others = [system for system in contents.systems if system.name in names]
    plots = []
    for stem in contents.stems:
        found = [each for other in others if (each := difference(contents, verdict.winner, other, [stem]))]
        if found and stem != verdict.stem:
            plots.append(forest_plot(winner, stem, sorted(found, key=lambda each: each.value)))
    stems = f'<details><summary>Stem by stem</summary><div class="charts">{"".join(plots)}</div></details>'
    return main + (stems if plots else "")


def _legend(winner: str) -> str:
    return (
        f'<p class="quiet">Right of the line: {escape(winner)} is better. Lines are 95 % intervals over the tracks. A'
        " hollow dot is not sure: it may be chance.</p>\n"
    )


def forest_plot(winner: str, stem: str, differences: Sequence[Difference]) -> str:
    """A row for each difference. The figures are text beside the drawing, which is hidden from screen readers."""
    ends = [end for found in differences for end in (found.low, found.high, found.value) if math.isfinite(end)]
    scale = linear_scale([0.0, *ends])
    title = f"{winner} minus each other system: global SDR, {words_of(stem)}"
    lines = [f'<figure class="forest"><figcaption>{escape(title)}</figcaption><ul>']
    for found in differences:
        sure = "" if found.is_sure else " unsure"
        interval = "no interval" if math.isnan(found.low) else f"{signed(found.low)} to {signed(found.high)}"
        words = "" if found.is_sure else ", not sure"
        lines.append(
            f'<li class="row {found.other.color}{sure}"><span class="name">{escape(found.other.short)}</span>'
            f'<svg height="{ROW_PX}" aria-hidden="true">{_drawing(found, scale)}</svg>'
            f'<span class="value">{_plus(found.value)} dB <small>{escape(interval + words)}</small></span></li>'
        )
    labels = "".join(tick_label(scale, tick, 12) for tick in scale.ticks)
    lines.append(
        f'</ul><div class="row axis" aria-hidden="true"><span class="name">dB</span><svg height="18">{labels}</svg>'
        f'<span class="value"></span></div></figure>\n'
    )
    return "".join(lines)


def _plus(value: float) -> str:
    return ("+" if value > 0 else "") + signed(value)


def _drawing(found: Difference, scale: Scale) -> str:
    middle = ROW_PX / 2
    zero, at = percent(scale.share(0.0)), percent(scale.share(found.value))
    parts = [
        *(
            f'<line class="grid" x1="{percent(scale.share(tick))}" x2="{percent(scale.share(tick))}" y2="{ROW_PX}"/>'
            for tick in scale.ticks
        ),
        f'<line class="zero" x1="{zero}" x2="{zero}" y2="{ROW_PX}"/>',
    ]
    if not math.isnan(found.low):
        low, high = (percent(scale.share(end)) for end in (found.low, found.high))
        parts.append(f'<line class="whisker" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>')
        parts += [
            f'<line class="whisker" x1="{end}" x2="{end}" y1="{middle - 5}" y2="{middle + 5}"/>' for end in (low, high)
        ]
    parts.append(f'<circle class="point" cx="{at}" cy="{middle}" r="5.5"/>')
    return "".join(parts)
