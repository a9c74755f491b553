"""Builds the page of a search from its charts and its written summary."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from models.running import atomic
from tuning.analysis.extrapolation import Curve
from tuning.analysis.results import Comparison
from tuning.page.charts import curve_chart, front_chart, parallel_chart
from tuning.space.plan import Plan

REPORT = "report.html"
STYLE = Path(__file__).parent / "page.css"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_page(out: Path, comparison: Comparison, curves: Sequence[Curve], plan: Plan, summary: str) -> None:
    """Write ``report.html``.

    Args:
        out: folder of the search.
        comparison: of its cells.
        curves: of its trials.
        plan: of the search.
        summary: the text of ``summary.md``.
    """
    atomic.write_text(out / REPORT, page(comparison, curves, plan, summary))


def page(comparison: Comparison, curves: Sequence[Curve], plan: Plan, summary: str) -> str:
    """The page as HTML. All texts are escaped; nothing is loaded or executed."""
    charts = []
    if not comparison.cells.empty:
        charts.append(("Quality and cost", front_chart(comparison.cells)))
        if plan.varied:
            charts.append(("Settings", parallel_chart(comparison.cells, plan)))
    if curves:
        charts.append(("Learning curves", curve_chart(curves)))
    drawn = "".join(f"<section><h2>{title}</h2>\n{chart}</section>\n" for title, chart in charts)
    title = html.escape(f"Search: {', '.join(plan.grid)}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        f"{markdown(summary.partition('## ')[0])}{drawn}{markdown(''.join(summary.partition('## ')[1:]))}"
        "</main>\n</body>\n</html>\n"
    )


def markdown(text: str) -> str:
    """The Markdown that the summary uses as HTML: headings, tables, lists, code blocks and paragraphs."""
    return "".join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block.strip())


def _block(block: str) -> str:
    lines = block.strip().splitlines()
    if lines[0].startswith("#"):
        level = len(lines[0]) - len(lines[0].lstrip("#"))
        rest = _block("\n".join(lines[1:])) if lines[1:] else ""
        return f"<h{level}>{_inline(lines[0].lstrip('# '))}</h{level}>\n{rest}"
    if lines[0].startswith("```"):
        code = "\n".join(lines[1:-1])
        return f"<pre>{html.escape(code)}</pre>\n"
    if lines[0].startswith("|"):
        table = [line for line in lines if line.startswith("|")]
        after = "\n".join(lines[len(table) :])
        return _table(table) + (_block(after) if after else "")
    if lines[0].startswith("- "):
        items = re.split(r"^- ", block.strip(), flags=re.MULTILINE)[1:]
        return "<ul>" + "".join(f"<li>{_inline(item.strip())}</li>" for item in items) + "</ul>\n"
    return f"<p>{_inline(' '.join(lines))}</p>\n"


def _table(lines: Sequence[str]) -> str:
    head, rule, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    kinds = [' class="number"' if each.endswith(":") else "" for each in rule]

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}{k}>{_inline(c)}</{tag}>" for c, k in zip(cells, kinds, strict=True)) + "</tr>"

    rows = "".join(row(cells, "td") for cells in body)
    return f'<div class="scroll"><table><thead>{row(head, "th")}</thead><tbody>{rows}</tbody></table></div>\n'


def _inline(text: str) -> str:
    text = html.escape(text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
