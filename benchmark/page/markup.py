"""Text, tables and data as HTML. Text from outside (track names, labels) is escaped here and nowhere else."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NO_VALUE = "–"


def escape(text: object) -> str:
    """A text as HTML, for an element or a quoted attribute."""
    return html.escape(str(text), quote=True)


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
    return Cell(f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}"), value, detail)


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], words: Sequence[int] = (0,)) -> str:
    """A table that the reader can sort by any column; the first cell of a row is its heading.

    Args:
        caption: for readers and screen readers.
        columns: the headings.
        rows: the cells.
        words: the columns with text, aligned left; the others, with numbers, are aligned right.
    """

    def tone(index: int) -> str:
        return ' class="words"' if index in words else ""

    heads = "".join(
        f'<th scope="col"{tone(index)} aria-sort="none"><button type="button">{escape(name)}</button></th>'
        for index, name in enumerate(columns)
    )
    lines = []
    for row in rows:
        cells = [cell.render("th" if index == 0 else "td") for index, cell in enumerate(row)]
        cells = [
            cell if index not in words or index == 0 else cell.replace("<td", '<td class="words"', 1)
            for index, cell in enumerate(cells)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="sortable">'
        f"<caption><span>{escape(caption)}</span></caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>\n"
    )
