"""The commands on this repository: its package passes the check."""

from functools import partial
from pathlib import Path

import pytest

from submission.__main__ import main
from submission.preflight import check


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The long track lasts 8 seconds instead of a minute."""
    monkeypatch.setattr(check, "check", partial(check.check, long_s=8.0))


@pytest.mark.slow
def test_the_package_of_this_repository_passes_the_check(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert main(["package", "--out", str(tmp_path / "pkg")]) == 0
    assert f"python -m submission check {tmp_path / 'pkg'}" in capsys.readouterr().out
    code = main(["check", str(tmp_path / "pkg")])
    output = capsys.readouterr().out
    assert code == 0, output
    assert output.endswith("nothing found\n") and "note: off the network by:" in output
    assert "note: scores " in output and "note: separates 8 s of real music" in output


def test_a_finding_is_exit_code_1(tmp_path: Path, capsys):
    from submissions import write_light_submission

    root = write_light_submission(tmp_path / "light")
    (root / "apt.txt").unlink()
    assert main(["check", str(root)]) == 1
    assert "apt.txt: the file is missing\n    -> add it" in capsys.readouterr().out
