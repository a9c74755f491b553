"""What the report's players do with the audio: sums, mute and solo, residuals, links, the blind test, copies."""

import http.server
import threading
from functools import partial
from urllib.parse import parse_qs

import numpy as np
import pytest

from benchmark.page.build import write_report
from chromium import Chromium, find_chromium
from page_run import NAMES, make_run

# Notes what is started and copied; the page itself knows nothing of it.
SPY = """
window.starts = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, offset) {
  if (this.context instanceof AudioContext) starts.push({ offset, buffer: this.buffer });
  return start.call(this, when, offset);
};
"""
COPY = "navigator.clipboard.writeText = async (text) => { window.copied = text; }; 0"
LEFT = "[...starts.at(-1).buffer.getChannelData(0).slice(20000, 60000)]"
PLAY = "document.querySelector('#track .play')"


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
    return write_report(out)


@pytest.fixture
def page(browser, report):
    browser.problems.clear()
    browser.open(report.path)
    browser.evaluate(COPY)
    yield browser
    assert browser.problems == []


def heard(page, *selectors):
    """Press some buttons, and return what then plays: its left channel between two places."""
    page.evaluate("starts.length = 0; 0")
    for selector in selectors:
        page.click(selector)
    page.wait_for(f"starts.length > {len(selectors) - 1}")
    return np.array(page.evaluate(LEFT))


def test_a_sum_has_the_stems_that_are_not_muted(page):
    page.click("#track .play")
    page.wait_for("starts.length === 1")
    stems = {stem: heard(page, f"[data-cell='Reference, {stem}']") for stem in ("vocals", "drums", "bass", "other")}
    cell = "[data-cell='Reference, sum of the stems']"
    np.testing.assert_allclose(heard(page, cell), sum(stems.values()), atol=1e-5)
    muted = heard(page, "[aria-label='mute vocals in the sum']")
    np.testing.assert_allclose(muted, stems["drums"] + stems["bass"] + stems["other"], atol=1e-5)
    assert "Reference, sum of the stems (drums, bass, other)" in page.evaluate(
        "document.querySelector('.status').textContent"
    )
    solo = heard(page, "[aria-label='solo bass in the sum']")
    np.testing.assert_allclose(solo, stems["bass"], atol=1e-5)
    page.click("[aria-label='mute bass in the sum']")
    assert page.wait_for(f"{PLAY}.disabled") and "all are muted" in page.evaluate(
        "document.querySelector('.status').textContent"
    )


def test_a_residual_is_the_estimate_minus_the_truth(page):
    page.click("#track .play")
    page.wait_for("starts.length === 1")
    truth, estimate = (heard(page, f"[data-cell='{row}, drums']") for row in ("Reference", "BSRNN (small)"))
    residual = heard(page, ".transport label:nth-of-type(2) input")
    np.testing.assert_allclose(residual, estimate - truth, atol=1e-5)
    assert np.abs(residual).max() > 0.01
    assert page.evaluate("document.querySelector('.status').textContent") == "BSRNN (small), drums: residual"
    page.click("[data-cell='Reference, drums']")
    assert "no residual" in page.evaluate("document.querySelector('.status').textContent")


def test_a_link_holds_track_system_stem_and_second(page, report):
    page.click("#listening table.sortable tbody tr:nth-child(2) a")
    page.wait_for(f"document.querySelector('#track h3').textContent === {NAMES[1]!r}")
    page.click("[data-cell='BSRNN (small), bass']")
    page.click(".pictures figure:nth-child(3) .strip")  # its middle, at one of two seconds
    page.click("[aria-label^='Copy link']")
    link = page.wait_for("window.copied")
    assert link == page.evaluate("location.href")
    fields = parse_qs(link.partition("#")[2])
    second = float(fields.pop("second")[0])
    assert fields == {"track": [NAMES[1]], "system": ["bsrnn"], "stem": ["bass"]}
    page.open(report.path, "#" + link.partition("#")[2])
    page.call("Page.reload")
    page.wait_for(f"document.querySelector('#track h3')?.textContent === {NAMES[1]!r}")
    assert page.evaluate("document.querySelector('.cell[aria-pressed=true]').dataset.cell") == "BSRNN (small), bass"
    start = page.evaluate("JSON.parse(document.getElementById('audio-1').textContent).start_s")
    place = float(page.evaluate("document.querySelector('.transport input').value"))
    assert start + place == pytest.approx(second, abs=0.01) and place == pytest.approx(1.0, abs=0.05)


def test_a_wrong_link_opens_the_first_track(page, report):
    page.open(report.path, "#track=nowhere&system=nobody&second=x")
    page.call("Page.reload")
    page.wait_for(f"document.querySelector('#track h3')?.textContent === {NAMES[0]!r}")


def test_the_blind_test_plays_at_one_level_and_has_a_result(page):
    page.evaluate("document.querySelectorAll('#blind-test select')[3].value = '6'; 0")
    page.click("#blind-test .play")
    for number in range(6):
        page.wait_for(f"document.querySelector('#blind-test h3')?.textContent === 'Round {number + 1} of 6: vocals'")
        page.wait_for("document.querySelector('#blind-test .status').textContent === 'Ready.'")
        shown = page.evaluate("document.querySelector('#blind-test').textContent")
        assert "BSRNN" not in shown and "Demucs" not in shown
        levels = [np.sqrt(np.mean(heard(page, f"#blind-test .play-side:nth-child({side})") ** 2)) for side in (1, 2)]
        assert levels[0] == pytest.approx(levels[1], rel=0.03)  # one estimate is three times the other
        page.click("#blind-test .transport:nth-of-type(2) button:nth-child(1)")
    result = page.wait_for(
        "document.querySelector('#blind-test h3')?.textContent.startsWith('Result') &&"
        " document.querySelector('#blind-test .status').textContent"
    )
    first = int(result.split("BSRNN (small) ")[1].split(",")[0])
    p = {0: 0.031, 1: 0.219, 2: 0.688, 3: 1.0}[min(first, 6 - first)]
    expected = "Neither was preferred" if first == 3 else f"p = {p:.3f}"
    assert expected in result and ("this is sure" in result) == (p < 0.05) and "no difference 0" in result
    assert page.evaluate("document.querySelectorAll('#blind-test li').length") == 6


def test_tables_are_copied_as_csv_and_latex(page, out):
    page.click("#results .copies button:first-child")
    lines = page.wait_for("window.copied").splitlines()
    assert lines[0].startswith("system,system note,mean,vocals,drums,bass,other,accompaniment")
    assert [line.split(",")[0] for line in lines[1:]][-1] == "Mixture" and len(lines) == 4
    value = float(lines[1].split('"')[-1].split(",")[1]) if '"' in lines[1] else float(lines[1].split(",")[2])
    shown = page.evaluate("document.querySelector('#results table').rows[1].cells[1].firstChild.textContent")
    assert value == pytest.approx(float(shown.replace("\u2212", "-")), abs=0.005)
    page.evaluate("window.copied = ''; 0")
    page.click("#results .copies button:nth-of-type(2)")
    text = page.wait_for("window.copied")
    assert text.startswith("\\begin{table}") and text.count("\\midrule") == 2 and "{lrrrrrr}" in text
    assert "\\textbf{" in text and "/script" in text and "\u2212" not in text
    page.evaluate("window.copied = ''; document.querySelector('#origin details').open = true; 0")
    page.click("#origin .copies button")
    assert page.wait_for("window.copied").startswith("@misc{bandsplit_benchmark,")


def test_audio_beside_the_page_plays_from_a_server_only(browser, out, tmp_path):
    report = write_report(out, tmp_path / "a page.html", beside=True)
    assert report.audio == tmp_path / "a page-audio" and report.num_audible == len(NAMES)
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        browser.call("Page.navigate", url=f"{address}a%20page.html")
        browser.wait_for("document.readyState === 'complete' && document.querySelectorAll('#track .play').length")
        browser.wait_for("[...document.querySelectorAll('.pictures img')].every((image) => image.naturalHeight === 96)")
        browser.click("#track .play")
        assert browser.wait_for("starts.length === 1 && starts[0].buffer.length > 80000")
        assert {problem.startswith(f"request: {address}") for problem in browser.problems} == {True}
    finally:
        server.shutdown()
        server.server_close()
    browser.open(report.path)
    browser.click("#track .play")
    assert browser.wait_for("document.querySelector('.status').textContent.includes('only from a web server')")
    browser.problems.clear()
