"""The page of a search: its charts and words, whole, escaped, and without anything to load."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from search_folder import PLAN, write_search
from tuning.commands.report import write_report
from tuning.page.build import markdown
from tuning.page.charts import HEIGHT, Axis, parallel_chart


class Elements(HTMLParser):
    """Counts elements, and keeps what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href") and not value.startswith("data:")]


def test_the_page_has_front_settings_curves_and_words(tmp_path):
    write_search(tmp_path, spread=0.05, tracks=3)
    write_report(tmp_path, PLAN)
    text = (tmp_path / "report.html").read_text()
    found = Elements()
    found.feed(text)
    assert found.names.count("svg") == 3 and not found.loads and "script" not in found.names
    drawn = ["<svg" + each.partition("</svg>")[0] + "</svg>" for each in text.split("<svg")[1:]]
    charts = [ElementTree.fromstring(each) for each in drawn]
    front, settings, curves = charts
    assert len(front.findall("circle")) == 4 and len(front.findall("polyline")) == 1
    assert len(settings.findall("polyline")) == 4 and len(settings.findall("line")) == 3
    assert len(curves.findall("polyline")) == 8
    best = [line for line in settings.findall("polyline") if line.get("class") == "best"]
    assert [line.find("title").text for line in best] == ["model.bands=v1 model.hidden=16: 3.00 dB"]
    assert "<h2>What may be concluded</h2>" in text and "<td>model.bands=v1 model.hidden=8</td>" in text


def test_a_search_without_a_finished_trial_has_a_page(tmp_path):
    PLAN.save(tmp_path)
    write_search(tmp_path, seeds=1)
    write_report(tmp_path, PLAN)  # which asks for two seeds
    text = (tmp_path / "report.html").read_text()
    assert text.count("<svg") == 1 and "No cell is complete" in text


@pytest.mark.parametrize(
    ("scores", "row"),
    [
        ({"a": 1.0, "b": 0.5}, "| steps=2 | 2 | 1 | `a` | 1.00 | `b` | 0.50 |"),
        ({"a": 1.0, "b": None}, "| steps=2 | 2 | 1 | `a` | 1.00 | none |  |"),
    ],
)
def test_a_rung_in_which_cells_failed_has_a_row(tmp_path, scores, row):
    write_search(tmp_path)
    (tmp_path / "rungs.json").write_text(json.dumps([{"until": 2, "scores": scores, "kept": ["a"]}]))
    write_report(tmp_path, PLAN)
    assert row in (tmp_path / "summary.md").read_text()
    assert "<h2>Rungs</h2>" in (tmp_path / "report.html").read_text()


def test_a_setting_that_does_not_count_stands_below_its_axis(tmp_path):
    import pandas as pd

    grid = {"a.schedule": ("linear", "other"), "a.steps": ("log 1..100 if a.schedule=linear",)}
    cells = pd.DataFrame(
        {"a.schedule": ["linear", "other"], "a.steps": ["10", "-"], "mean": [1.0, 2.0]}, index=["one", "two"]
    )
    chart = ElementTree.fromstring(parallel_chart(cells, replace(PLAN, grid=grid, search="optuna", trials=2)))
    heights = {
        line.find("title").text: float(line.get("points").split()[1].split(",")[1])
        for line in chart.findall("polyline")
    }
    assert heights["two: 2.00 dB"] > HEIGHT - 44 > heights["one: 1.00 dB"]


def test_texts_are_escaped_and_marks_kept():
    assert markdown("# A <b>\n\n- `x<y`\n- **two**\n\n| a | b |\n|---|--:|\n| & | 1 |\nnote") == (
        "<h1>A &lt;b&gt;</h1>\n<ul><li><code>x&lt;y</code></li><li><strong>two</strong></li></ul>\n"
        '<div class="scroll"><table><thead><tr><th>a</th><th class="number">b</th></tr></thead>'
        '<tbody><tr><td>&amp;</td><td class="number">1</td></tr></tbody></table></div>\n<p>note</p>\n'
    )
    assert markdown("```\npython <x>\n```") == "<pre>python &lt;x&gt;</pre>\n"


def test_axes_place_values_and_have_round_ticks():
    assert Axis(0, 10, 100, 200).place(5) == 150 and Axis(1, 100, 0, 2, True).place(10) == pytest.approx(1)
    assert Axis(3, 3, 0, 10).place(3) == 5
    assert np.allclose(Axis(0.9, 2.1, 0, 1).ticks(), [1.0, 1.2, 1.4, 1.6, 1.8, 2.0]) and Axis(3, 3, 0, 1).ticks() == [3]
