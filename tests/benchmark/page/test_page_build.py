"""benchmark.page: the page holds every figure, loads nothing, and handles hostile names and incomplete runs."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from benchmark import __main__ as command
from benchmark.page.build import write_report
from benchmark.page.contents import read_contents, split_labels
from benchmark.page.listening import extremes, select_tracks
from benchmark.page.markup import escape
from benchmark.page.sections import read_published
from benchmark.tables.summary import comparisons
from models.tracks import STEMS
from page_run import HOSTILE, NAMES, make_run


class Page(HTMLParser):
    """Parses a page like a browser: its elements, and the text in them."""

    VOID = {"meta", "link", "img", "input", "br", "line", "rect"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def scripts(self):
        """Each script's attributes and text."""
        return list(zip(self.all("script"), [text for tag, text in self.texts if tag == "script"], strict=True))

    def island(self, identity):
        return next(json.loads(text) for attributes, text in self.scripts() if attributes.get("id") == identity)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(out):
    return Page(write_report(out).path.read_text())


def test_nothing_is_loaded_and_only_the_one_script_may_run(page):
    assert {attributes["href"] for attributes in page.all("link")} == {"data:,"}
    assert not any("src" in attributes for _, attributes in page.elements)
    assert {tag for tag, _ in page.elements} <= {
        *("html", "head", "meta", "link", "title", "style", "body", "header", "main", "nav", "section", "noscript"),
        *("h1", "h2", "h3", "p", "a", "dl", "dt", "dd", "div", "span", "ul", "ol", "li", "small", "script"),
        *("footer", "pre"),
        *(
            "table",
            "caption",
            "thead",
            "tbody",
            "tfoot",
            "tr",
            "th",
            "td",
            "button",
            "figure",
            "figcaption",
            "details",
            "summary",
        ),
        *("svg", "line", "rect", "circle", "text", "g"),
    }
    (script,) = [text for attributes, text in page.scripts() if "type" not in attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [attributes["content"] for attributes in page.all("meta") if "http-equiv" in attributes]
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}';")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    outside = {attributes["href"] for attributes in page.all("a") if not attributes["href"].startswith("#")}
    assert outside == {row["source"] for row in read_published()}


def test_hostile_names_are_text(page):
    texts = [text for tag, text in page.texts if tag == "a"]
    assert set(NAMES) <= set(texts)
    assert any(HOSTILE in text and "it <b>broke</b>" in text for tag, text in page.texts if tag == "li")
    assert page.island("data")["systems"][2]["label"] == f"Demucs {HOSTILE}"
    assert len(page.scripts()) == 2 + len(NAMES)


def test_the_numbers_are_those_of_the_results(out, page):
    contents = read_contents(out)
    data = page.island("data")
    assert data["stems"] == [*STEMS, "accompaniment"] and [track["name"] for track in data["tracks"]] == list(NAMES)
    for number, system in enumerate(contents.systems):
        for track in data["tracks"]:
            stored, scores = track["scores"][number], system.results[track["name"]]["scores"]
            assert stored["sdr"] == [round(scores["sdr"][stem], 2) for stem in data["stems"]]
            four, pair = scores["together"]
            assert stored["mean"]["csdr"] == round(np.mean([four["csdr"][stem] for stem in STEMS]), 2)
            assert stored["frames"][1] == [round(value, 1) for value in four["frames"]["SDR"]["drums"]]
            assert stored["sar-1"][0] == round(pair["sar"]["vocals"], 2) and stored["sar-1"][1] is None
    shown = {text for tag, text in page.texts if tag in ("td", "th")}
    for system in contents.systems:
        expected = np.mean(list(system.values("sdr", "bass").values()))
        assert system.score("sdr", "bass") == pytest.approx(expected)
        assert f"{expected:.2f}".replace("-", "\u2212") in shown
        middle = np.median([result["scores"]["together"][0]["csdr"]["bass"] for result in system.results.values()])
        assert system.score("csdr", "bass", STEMS) == pytest.approx(middle)
    assert data["metrics"]["sar"] == "SAR" and data["metrics"]["sar-1"].startswith("SAR; vocals + accompaniment")


def test_audio_and_pictures_are_those_of_the_run(out, page):
    from benchmark.runs.audio import decode

    streams = page.island("audio-0")["streams"]
    estimates = {f"{number}/{stem}" for number in (1, 2) for stem in STEMS}
    assert set(streams) == {"mixture", *(f"r/{stem}" for stem in STEMS), *estimates}
    decoded = {name: decode(base64.b64decode(audio))[0] for name, (audio, _) in streams.items()}
    assert {audio.shape for audio in decoded.values()} == {(2, 88_200)}
    np.testing.assert_allclose(decoded["1/bass"], 0.3 * decoded["mixture"], atol=0.03)
    assert all(base64.b64decode(image)[8:12] == b"WEBP" for _, image in streams.values())


def test_a_run_without_audio_has_a_note(tmp_path, capsys):
    out = make_run(tmp_path, keep_audio_s=0, names=NAMES[:1], stems=("vocals",))
    assert command.main(["report", str(out), "--out", str(tmp_path / "deep" / "page.html")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"report: {tmp_path}/deep/page.html (") and "no audio was stored of 1 more" in printed
    text = (tmp_path / "deep" / "page.html").read_text()
    page = Page(text)
    assert "This page holds no audio" in text and len(page.scripts()) == 2
    assert page.island("data")["tracks"][0]["scores"][2]["sdr"][1:] == [None] * 4  # the system of vocals alone
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_of_accompaniment_alone_has_a_page(tmp_path):
    out = make_run(tmp_path, keep_audio_s=0, names=NAMES[:2], stems=("accompaniment",), everyone=True)
    page = Page(write_report(out).path.read_text())
    scores = page.island("data")["tracks"][0]["scores"][1]
    assert scores["sdr"][0] is not None and scores["mean"]["sdr"] is None


def test_a_name_in_two_splits_is_two_tracks(tmp_path):
    out = make_run(tmp_path, keep_audio_s=0, names=NAMES[:1], twice=True)
    page = Page(write_report(out).path.read_text())
    assert [track["name"] for track in page.island("data")["tracks"]] == [
        f"{NAMES[0]} ({s})" for s in ("train", "test")
    ]


def test_missing_files_are_left_out(out, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    for file in copy.glob("audio/*/*/systems/bsrnn/drums.mp3"):
        file.unlink()
    shutil.rmtree(next(copy.glob("audio/Third*")))
    next(copy.glob("tracks/demucs/*/First*")).unlink()
    report = write_report(copy)
    assert (report.num_audible, report.num_silent) == (2, 1)
    page = Page(report.path.read_text())
    assert "1/drums" not in page.island("audio-0")["streams"] and "2/bass" not in page.island("audio-0")["streams"]
    assert page.island("data")["tracks"][0]["scores"][2] is None
    file = next(copy.glob("audio/Second*/*/references/bass.mp3"))
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"bass\.mp3: .*cannot be decoded.* run the benchmark again"):
        write_report(copy)


def test_the_page_size_is_limited_by_default(out, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.page.build.DEFAULT_BYTES", 1)
    report = write_report(out, tmp_path / "a.html")
    assert (report.num_audible, report.num_left_out) == (
        1,
        2,
    ) and "2 more left out to limit its size" in report.describe()
    assert write_report(out, tmp_path / "b.html", ["all"]).num_audible == 3
    report = write_report(out, tmp_path / "c.html", ["second", "Third - Ünï \u2028 code"])
    assert report.num_audible == 2 and re.search(r"\(0\.\d MB, 3 tracks, audio of 2\)", report.describe())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "got nowhere, which holds no run"),
        (
            ["OUT", "--tracks", "Fourth"],
            "--tracks: expected all, or names out of 3 tracks, got 'Fourth', which matches none of them",
        ),
        (
            ["OUT", "--tracks", "-"],
            "--tracks: expected all, or names out of 3 tracks, got '-', which matches 3 of them",
        ),
        (["OUT", "--out", "OUT"], "expected a file, got a folder"),
    ],
)
def test_wrong_input_is_one_line(out, arguments, message, capsys):
    assert command.main(["report", *(argument.replace("OUT", str(out)) for argument in arguments)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("benchmark: ") and message in error


def test_a_run_without_results_has_no_report(out, tmp_path):
    (tmp_path / "run.json").write_text((out / "run.json").read_text())
    with pytest.raises(ValueError, match="nothing has been measured yet"):
        write_report(tmp_path)


def test_the_most_informative_tracks_come_first():
    assert extremes([["a", "b", "c", "d"], ["d", "a", "b", "c"]]) == ["a", "d", "c", "b"]
    assert extremes([["a"]]) == ["a"] and extremes([]) == []
    assert select_tracks([], "abcd", ["abcd"]) == ["a", "d", "b", "c"]
    assert select_tracks(["song"], ["Song", "song"], []) == ["song"]


def test_labels_are_split_from_their_remarks():
    labels = [
        "BSRNN (small, ours, 9 min)",
        "Mixture (lower bound)",
        "Demucs htdemucs",
        "A (x, 1)",
        "A (x, 2)",
        "B (y, 3) [extra data]",
    ]
    assert split_labels(labels) == [
        ("BSRNN (small)", "ours, 9 min"),
        ("Mixture", "lower bound"),
        ("Demucs htdemucs", ""),
        ("A (x, 1)", ""),
        ("A (x, 2)", ""),
        ("B (y)", "3, extra data"),
    ]


@pytest.mark.slow
def test_intervals_and_differences_are_shown_for_enough_tracks(tmp_path, page):
    shown = [text for tag, text in page.texts if tag == "small"]
    assert not any(" to " in text for text in shown)  # three tracks are too few
    out = make_run(tmp_path, keep_audio_s=0, names=[f"Song {index}" for index in range(10)], duration_s=1.0)
    contents = read_contents(out)
    ours = contents.systems[1]
    low, high = ours.interval("sdr", "drums")
    values = ours.values("sdr", "drums").values()
    assert min(values) <= low < ours.score("sdr", "drums") < high <= max(values)
    text = write_report(out).path.read_text()
    assert f"<small>{low:.2f} to {high:.2f}</small>".replace("-", "\u2212") in text
    found = comparisons(result for system in contents.systems for result in system.results.values())
    (mean,) = [comparison for comparison in found if (comparison.metric, comparison.stem) == ("sdr", "mean")]
    differences = text[text.index(">Differences in global SDR") :]
    assert f">{mean.difference:.2f}<".replace("-", "\u2212") in differences and mean.num_tracks == 10
    assert mean.corrected and f">{escape(mean.corrected)}<" in differences
    assert mean.verdict in ("better", "worse") and f">{mean.verdict}<" in differences
