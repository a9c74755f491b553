"""Text, tables and data as HTML. Text from outside (track names, labels) is escaped here or by the template."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

NO_VALUE = "–"
SOFT_BREAKS = {"accompaniment": "accom\N{SOFT HYPHEN}pani\N{SOFT HYPHEN}ment"}
"""Where long headings may break on a phone."""


def escape(text: object) -> str:
    """A text as HTML, for an element or a quoted attribute."""
    return html.escape(str(text), quote=True)


def signed(value: float, digits: int = 2) -> str:
    """A number with a minus sign instead of a hyphen."""
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def json_island(identity: str, value: Any) -> str:
    """Data for the page's script, in an element that is not executed; the content is escaped so that it cannot end it.

    Raises:
        ValueError: the value holds numbers that are not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{escape(identity)}">{text}</script>\n'


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes:
        text: the text.
        sort: the value for sorting its column; None is always sorted last.
        detail: a second, smaller line: an interval or a note.
        link: an address in the page, or of a web page, for the text.
        tone: a class of the style sheet.
    """

    text: str
    sort: float | str | None = None
    detail: str = ""
    link: str = ""
    tone: str = ""

    def render(self, tag: str) -> str:
        """The cell as HTML, `td` or `th`."""
        sort = "" if self.sort is None else f' data-sort="{escape(self.sort)}"'
        scope = ' scope="row"' if tag == "th" else ""
        tone = f' class="{self.tone}"' if self.tone else ""
        text = escape(self.text)
        if self.link:
            text = f'<a href="{escape(self.link)}">{text}</a>'
        detail = f"<small>{escape(self.detail)}</small>" if self.detail else ""
        return f"<{tag}{scope}{tone}{sort}>{text}{detail}</{tag}>"


def number(value: float | None, digits: int = 2, detail: str = "") -> Cell:
    """A cell with a number; a dash if there is none."""
    if value is None or value != value:
        return Cell(NO_VALUE)
    return Cell(signed(value, digits), value, detail)


def mark_best(rows: Sequence[Sequence[Cell]], is_higher_better: bool = True) -> list[list[Cell]]:
    """The rows with the best number of each column marked, in a table of more than one row."""
    marked = [list(row) for row in rows]
    if len(marked) < 2:
        return marked
    for column in range(1, len(marked[0])):
        values = [value for row in marked if isinstance(value := row[column].sort, float)]
        best = (max if is_higher_better else min)(values, default=None)
        for row in marked:
            if best is not None and row[column].sort == best:
                row[column] = replace(row[column], tone="best")
    return marked


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    words: Sequence[int] = (0,),
    foot: Sequence[Sequence[Cell]] = (),
    sorted_by: int | None = None,
    is_descending: bool = True,
    tone: str = "",
) -> str:
    """A table that the reader can sort by any column; the first cell of a row is its heading.

    Args:
        caption: for readers and screen readers.
        columns: the headings.
        rows: the cells.
        words: the columns with text, aligned left; the others, with numbers, are aligned right.
        foot: rows that stay at the end, however the table is sorted.
        sorted_by: the column by which the rows are sorted already.
        is_descending: whether the largest is first there.
        tone: another class of the style sheet.
    """

    def head(index: int, name: str) -> str:
        words_class = ' class="words"' if index in words else ""
        order = ("descending" if is_descending else "ascending") if index == sorted_by else "none"
        text = escape(SOFT_BREAKS.get(name, name))
        return f'<th scope="col"{words_class} aria-sort="{order}"><button type="button">{text}</button></th>'

    def lines(body: Sequence[Sequence[Cell]]) -> str:
        return "".join(_row(row, words) for row in body)

    heads = "".join(head(index, name) for index, name in enumerate(columns))
    last = f"<tfoot>{lines(foot)}</tfoot>" if foot else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="{" ".join(filter(None, ("sortable", tone)))}">'
        f"<caption><span>{escape(caption)}</span></caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{lines(rows)}</tbody>{last}</table></div>\n"
    )


def _row(row: Sequence[Cell], words: Sequence[int]) -> str:
    cells = [cell.render("th" if index == 0 else "td") for index, cell in enumerate(row)]
    cells = [
        cell if index not in words or index == 0 else cell.replace("<td", '<td class="words"', 1)
        for index, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(cells)}</tr>"
