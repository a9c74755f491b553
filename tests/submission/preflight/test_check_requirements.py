"""The pre-flight check of requirements: wrong lines, conflicts, and versions that the index does not have."""

import shutil
from pathlib import Path

import pytest

from sabotage import fake_index, only, remove, write
from submission.preflight.requirements import check_requirements
from submissions import write_light_submission


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return write_light_submission(tmp_path / "copy")


@pytest.fixture(autouse=True)
def index(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    return fake_index(monkeypatch)


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("numpy\nsoundfile\nray[tune]\n", "ray is for training", "requirements.txt:3"),
        ("numpy\n", "soundfile is missing", "requirements.txt"),
        ("numpy\nsoundfile\nbandsplit-nonsense==1.0\n", "no such version", "requirements.txt:3"),
        ("numpy\nsoundfile==99.9\n", "no such version", "requirements.txt:2"),
        ("numpy\nsoundfile\nthis is no requirement\n", "expected a requirement, got", "requirements.txt:3"),
    ],
)
def test_sabotaged_requirements(copy: Path, text: str, what: str, where: str):
    write("requirements.txt", text)(copy)
    finding = only(check_requirements(copy)[0])
    assert what in finding.what and finding.where == where


def test_conflicting_pins_are_found(copy: Path):
    write("requirements.txt", "scipy\nsoundfile\nnumpy==1.0\n")(copy)
    findings, _ = check_requirements(copy)
    assert any("numpy==1.0 does not resolve: scipy" in finding.what for finding in findings)


def test_the_requirements_of_the_repository_resolve(copy: Path):
    from submissions import ROOT

    shutil.copyfile(ROOT / "submission/requirements.txt", copy / "requirements.txt")
    assert check_requirements(copy) == ([], [])


def test_without_an_index_what_is_not_installed_is_a_note(copy: Path, index: dict[str, list[str]]):
    write("requirements.txt", "numpy\nsoundfile\nbandsplit-nonsense==1.0\n")(copy)
    index.clear()
    findings, notes = check_requirements(copy)
    assert not findings and "bandsplit-nonsense==1.0 is not installed here" in notes[0]
    index["bandsplit-nonsense"] = ["0.9", "1.0"]
    assert check_requirements(copy) == ([], [])


def test_missing_requirements_file(copy: Path):
    remove("requirements.txt")(copy)
    assert only(check_requirements(copy)[0]).what == "the file is missing"
