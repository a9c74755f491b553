"""The report in a real browser: it opens offline, sorts, plays, switches streams in place, and works by keyboard."""

import pytest

from benchmark.page.build import write_report
from chromium import Chromium, find_chromium
from page_run import NAMES, make_run

# Notes what is started, and when by the audio clock; the page itself knows nothing of it.
SPY = """
window.starts = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, offset) {
  window.starts.push({ when, offset, length: this.buffer.duration, buffer: this.buffer });
  return start.call(this, when, offset);
};
"""
# How far one decoded buffer lies behind another, in samples: the shift of the least squared difference.
LAG = """
(() => {
  const [a, b] = [starts[0], starts[1]].map((start) => start.buffer.getChannelData(0));
  const scale = (x) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  const [aScale, bScale] = [scale(a), scale(b)];
  let best = [Infinity, 0];
  for (let lag = -40; lag <= 40; lag += 1) {
    let error = 0;
    for (let index = 30000; index < 50000; index += 1) error += (a[index] / aScale - b[index + lag] / bScale) ** 2;
    if (error < best[0]) best = [error, lag];
  }
  return best[1];
})()
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: the report is not tested in a browser; `make test` as root installs it")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as started:
        started.call("Page.addScriptToEvaluateOnNewDocument", source=SPY)
        yield started


@pytest.fixture(scope="module")
def report(out):
    return write_report(out, out / "a report.html")


@pytest.fixture
def page(browser, report):
    assert report.num_audible == len(NAMES)
    browser.problems.clear()
    browser.resize(1400, 900)
    browser.open(report.path)
    yield browser
    assert browser.problems == []  # no errors on the console, no request to anywhere


def names(page, table):
    return page.evaluate(
        f"[...document.querySelectorAll('{table} tbody th')].map((head) => head.firstChild.textContent)"
    )


def test_every_table_sorts_by_every_column(page):
    tables = page.evaluate(
        "[...document.querySelectorAll('table.sortable')].map((table) => table.tHead.rows[0].cells.length)"
    )
    assert len(tables) >= 5
    for column in range(tables[0]):
        page.click(f"#results table thead th:nth-child({column + 1}) button")
        values = page.evaluate(
            "[...document.querySelector('#results table').tBodies[0].rows]"
            f".map((row) => row.cells[{column}].dataset.sort ?? null)"
        )
        assert values == (sorted(values) if column == 0 else sorted(values, key=float, reverse=True))
    assert (
        page.evaluate("document.querySelector('#results table').querySelectorAll('[aria-sort=descending]').length") == 1
    )
    arrow = "getComputedStyle(document.querySelector('#results table thead th:first-child button'), '::after').content"
    assert "\u2195" in page.evaluate(arrow)  # a heading shows that it sorts before it is pressed
    bounds = page.evaluate(
        "[...document.querySelector('#results table').tFoot.rows].map((row) => row.cells[0].textContent)"
    )
    assert bounds == ["Mixturelower bound"]  # stays at the end
    published = "#published table"
    page.click(f"{published} thead th:nth-child(3) button")
    best = names(page, published)
    page.click(f"{published} thead th:nth-child(3) button")
    assert names(page, published) == best[::-1] and best[0].startswith("SubRoformer")
    page.evaluate("document.querySelector('#published thead th button').focus()")
    page.press("Enter")
    assert names(page, published) == sorted(best, key=str.casefold)


def test_streams_change_in_place_and_in_step(page):
    assert page.evaluate("document.querySelector('.play').textContent") == "Play"
    page.click(".play")
    page.wait_for("starts.length === 1 && document.querySelector('.play').textContent === 'Pause'")
    page.wait_for("Number(document.querySelector('.transport input').value) > 0.2")
    page.click("#track [data-cell='BSRNN (small), drums']")
    first, second = page.wait_for("starts.length === 2 && starts.map(({ when, offset }) => ({ when, offset }))")
    length = page.evaluate("starts[0].length")
    assert length == page.evaluate("starts[1].length") == pytest.approx(2.0, abs=0.001)
    expected = (first["offset"] + second["when"] - first["when"]) % length
    assert second["offset"] == pytest.approx(expected, abs=1e-6) and second["when"] > first["when"]
    assert page.evaluate("starts[0].buffer !== starts[1].buffer")
    assert page.evaluate(LAG) == 0
    assert page.evaluate("document.querySelector('.status').textContent") == "BSRNN (small), drums"
    before = page.evaluate("Number(document.querySelector('.transport input').value)")
    page.wait_for(f"Math.abs(Number(document.querySelector('.transport input').value) - {before}) > 0.1")
    page.click(".play")
    page.wait_for("document.querySelector('.play').textContent === 'Play'")
    place = page.evaluate("Number(document.querySelector('.transport input').value)")
    page.click(".play")  # continues at the same position
    third = page.wait_for("starts.length === 3 && starts[2].offset")
    assert third == pytest.approx(place, abs=0.05)


def test_it_works_from_the_keyboard(page):
    page.evaluate("document.querySelector('#track .cell[aria-pressed=true]').focus()")
    checked = "document.querySelector('#track .cell[aria-pressed=true]').getAttribute('data-cell')"
    assert page.evaluate(checked) == "Mixture, vocals"
    for key, label in (
        ("ArrowDown", "Reference, vocals"),
        ("ArrowDown", "BSRNN (small), vocals"),
        ("ArrowRight", "BSRNN (small), drums"),
        ("ArrowUp", "Reference, drums"),
        ("ArrowLeft", "Reference, vocals"),
    ):
        page.press(key)
        assert page.evaluate(checked) == label
        assert page.evaluate("document.activeElement.getAttribute('data-cell')") == label
    assert "system=reference&stem=vocals" in page.evaluate("location.hash")
    assert page.evaluate("document.querySelectorAll('#track .cell[tabindex=\"0\"]').length") == 1
    page.press(" ")
    page.wait_for("starts.length === 1 && document.querySelector('.play').textContent === 'Pause'")
    page.press("ArrowDown")
    page.wait_for("starts.length === 2")
    page.press(" ")
    page.wait_for("document.querySelector('.play').textContent === 'Play'")
    before = page.evaluate("starts.length")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.press(" ")  # not on a cell: it scrolls the page
    page.wait_for("scrollY > 100")
    page.evaluate("document.querySelector('#track h3').focus()")
    page.press(" ")
    assert page.evaluate("starts.length") == before
    page.evaluate("document.querySelector('.transport input').focus()")
    page.press("ArrowRight")
    page.press("Tab")
    assert page.evaluate("document.activeElement.type") == "checkbox"
    page.press(" ")  # its own key: it does not play
    assert page.evaluate("document.querySelector('.transport [type=checkbox]').checked") is False
    assert page.evaluate("starts.length") == 2


def test_a_track_opens_by_its_link_and_its_address(page, out):
    page.click("#listening table.sortable tbody tr:nth-child(2) a")
    page.wait_for(f"document.querySelector('#track h3').textContent === {NAMES[1]!r}")
    assert page.evaluate("location.hash") == "#track-1"
    assert page.evaluate("document.activeElement === document.querySelector('#track h3')")
    page.click(".play")
    page.wait_for("starts.length === 1")
    page.click(".neighbours a:last-child")
    page.wait_for("document.querySelector('#track h3').textContent.startsWith('Third')")
    assert page.evaluate("document.querySelector('.play').textContent") == "Play"  # it does not play on unseen
    page.click("#distribution .dot")
    page.wait_for("document.querySelector('#track h3').textContent.startsWith('First')")


def test_scores_and_pictures_follow_the_choice(page):
    table = "document.querySelector('#listening table.sortable')"
    before = page.evaluate(f"{table}.rows[1].cells[2].textContent")
    page.evaluate(
        "(() => { const select = document.querySelectorAll('#track-choice select')[1]; select.value = '1';"
        " select.dispatchEvent(new Event('change')); })()"
    )
    assert page.evaluate(f"{table}.rows[1].cells[2].textContent") != before
    assert page.evaluate(f"{table}.caption.textContent") == "All tracks: Global SDR (dB), drums"
    page.click("#track [data-cell='Reference, bass']")
    captions = page.evaluate("[...document.querySelectorAll('.pictures figcaption')].map((text) => text.textContent)")
    assert captions[:3] == ["Mixture", "Reference, bass", "BSRNN (small), bass"] and len(captions) == 4
    page.wait_for("[...document.querySelectorAll('.pictures img')].every((image) => image.naturalHeight === 96)")
    assert page.evaluate("document.querySelector('.time-plot figcaption').textContent").endswith("bass")
    page.click(".pictures figure:nth-child(3) .strip")
    assert page.evaluate("document.querySelector('.status').textContent") == "BSRNN (small), bass"
    assert page.evaluate("Number(document.querySelector('.transport input').value)") == pytest.approx(1.0, abs=0.02)


def test_hostile_content_is_not_run_and_names_are_shown_in_full(page):
    assert page.evaluate("document.title").startswith("Music demixing benchmark: synthetic music </script>")
    assert names(page, "#listening table.sortable") == list(NAMES)
    assert page.evaluate("document.querySelectorAll('img[src=x], b').length") == 0


def test_a_phone_has_no_sideways_scrolling(page):
    page.resize(360, 740, is_phone=True)
    page.wait_for("innerWidth === 360")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    seen = "(cell) => cell.getBoundingClientRect().right <= 360"
    assert page.evaluate(
        f"[...document.querySelectorAll('#results table.scores tr')].every((row) => [...row.cells].every({seen}))"
    )
    assert page.evaluate(f"[...document.querySelectorAll('#track .matrix .cell')].every({seen})")
    page.click(".play")
    page.wait_for("starts.length === 1")
    small = page.evaluate(
        "[...document.querySelectorAll('#track button')].filter((b) => b.getBoundingClientRect().height < 36).length"
    )
    assert small == 0


def test_a_score_is_part_of_its_buttons_name(page):
    name = page.evaluate("document.querySelector('[data-cell=\"BSRNN (small), drums\"]').ariaLabel")
    text = page.evaluate("document.querySelector('[data-cell=\"BSRNN (small), drums\"]').textContent")
    assert (
        name == f"BSRNN (small), drums: {text} dB"
        and text.replace("\u2212", "-").replace(".", "").lstrip("-").isdigit()
    )


def test_a_system_has_its_colour_in_every_plot(page):
    page.click("#track [data-cell='BSRNN (small), drums']")
    color = "(selector) => getComputedStyle(document.querySelector(selector)).color"
    assert (
        page.evaluate(f"new Set(['.legend .c0', '.line.c0', '#distribution .row.c0', '#cost g.c0'].map({color})).size")
        == 1
    )
    assert page.evaluate("document.querySelector('.legend .c0').parentElement.textContent") == "BSRNN (small)"


def test_a_page_without_audio_opens_too(browser, out, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.page.build.excerpt", lambda *arguments: None)
    report = write_report(out, tmp_path / "silent.html")
    browser.problems.clear()
    browser.open(report.path, "#track-2")
    assert "holds no audio of this track" in browser.evaluate("document.querySelector('#track').textContent")
    browser.click("#track [data-cell='BSRNN (small), drums']")
    assert browser.evaluate("document.querySelector('.legend .chosen').textContent") == "BSRNN (small)"
    assert browser.evaluate("document.querySelectorAll('.play').length") == 0 and browser.problems == []
