"""The pre-flight check as a whole: nothing on a correct submission, and a report of each fault."""

from pathlib import Path

import pytest

from sabotage import MUSIC_S, after, fake_index, set_entry
from submission.preflight.check import check, render
from submissions import write_light_submission


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return write_light_submission(tmp_path / "copy")


@pytest.fixture(autouse=True)
def index(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    return fake_index(monkeypatch)


def test_nothing_is_found_on_a_correct_submission(copy: Path):
    findings, notes = check(copy, MUSIC_S, long_s=8.0)
    assert not findings, render(findings, notes)
    assert any("of real music" in note for note in notes) and any("Falcon 69" in note for note in notes)
    assert render(findings, notes).endswith("nothing found")
    assert any(note.startswith("separates") for note in notes)
    assert not list(copy.rglob("__pycache__"))


def test_each_fault_is_reported_once_and_counted(copy: Path):
    after("stems['bass'] = stem * np.nan")(copy)
    set_entry("gpu", 1)(copy)
    findings, notes = check(copy, MUSIC_S)
    assert len(findings) == 2
    assert "not tried on real music: fix its behaviour first" in notes
    report = render(findings, notes)
    assert report.endswith("2 found: fix them before the push") and report.count("    -> ") == 2
