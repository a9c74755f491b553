"""The report under axe-core in a real browser: nothing that a person with a disability would trip over."""

from importlib.resources import files
from pathlib import Path

import pytest

from benchmark.page.build import write_report
from chromium import Chromium, find_chromium
from page_run import make_run

AXE = Path(str(files("axe_playwright_python"))) / "axe.min.js"  # the wheel is installed for this file alone
STATES = {
    "as it opens": "0",
    "with all that is collapsed": "document.querySelectorAll('details').forEach((part) => { part.open = true; })",
    "with a chosen cell": "document.querySelector('[data-cell=\"BSRNN (small), sum of the stems\"]').click()",
    "in the blind test": "document.querySelector('#blind-test .play').click()",
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: the report is not tested in a browser; `make test` as root installs it")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    names = [f"Song {index}" for index in range(7)]
    return write_report(make_run(tmp_path_factory.mktemp("run"), names=names, duration_s=1.0), wanted=["Song 1"])


def violations(browser):
    return browser.evaluate(
        "axe.run({ resultTypes: ['violations'] }).then((found) => found.violations.map((each) =>"
        " `${each.impact} ${each.id}: ${each.nodes.map((node) => node.target.join(' ')).slice(0, 3).join(', ')}`))"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("width", "is_phone"), [(1400, False), (390, True)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, report, width, is_phone, scheme):
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.resize(width, 844, is_phone=is_phone)
    browser.open(report.path)
    browser.evaluate(f"{AXE.read_text('utf-8')}; 0")
    found = {}
    for state, action in STATES.items():
        browser.evaluate(f"{action}; 0")
        browser.wait_for("!document.querySelector('#blind-test').textContent.includes('Getting the audio ready')")
        if problems := violations(browser):
            found[state] = problems
    assert found == {}


def test_axe_finds_what_is_wrong(browser, report):
    browser.open(report.path)
    browser.evaluate(f"{AXE.read_text('utf-8')}; 0")
    browser.evaluate("document.querySelector('.transport input').removeAttribute('aria-label'); 0")
    assert any(problem.startswith("critical label") for problem in violations(browser))
