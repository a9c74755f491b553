"""models.running.console: every command fails in one line, with the exit code that says what kind of failure it was."""

import io
import sys

import pytest

from models.running.console import run_command, show_any_name


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_the_commands(code, capsys):
    assert run_command(lambda: code, "benchmark") == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("--jobs: expected\n  at least 1"), 2, "benchmark: --jobs: expected at least 1\n"),
        (FileNotFoundError("no such folder"), 2, "benchmark: no such folder\n"),
        (OSError(28, "No space left on device"), 2, "benchmark: [Errno 28] No space left on device\n"),
        (FloatingPointError("step 4: loss nan"), 2, "benchmark: step 4: loss nan\n"),
        (
            ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"),
            2,
            "benchmark: this needs the package torch, which is not installed; of pip install 'bandsplit[EXTRA]', "
            "the extras separate, train, benchmark, tuning and submission bring what their commands need\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted: go on\n"),
    ],
)
def test_a_failure_is_one_line(error, code, line, capsys):
    def fail() -> int:
        raise error

    assert run_command(fail, "benchmark", "interrupted: go on") == code
    assert capsys.readouterr() == ("", line)


def test_a_fault_of_ours_keeps_its_trace():
    def fail() -> int:
        raise KeyError("stem")

    with pytest.raises(KeyError):
        run_command(fail, "benchmark")


def test_a_name_that_the_terminal_cannot_show_is_printed_with_escapes(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    show_any_name()
    print("Mötley \udcff")
    stream.flush()
    assert stream.buffer.getvalue() == b"M\\xf6tley \\udcff\n"


def test_a_missing_module_of_ours_is_no_failure_of_the_user():
    def fail() -> int:
        raise ModuleNotFoundError("No module named 'models.none'", name="models.none")

    with pytest.raises(ModuleNotFoundError):
        run_command(fail, "benchmark")
