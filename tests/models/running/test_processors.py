"""models.running.processors: only the processors that this process may use are counted."""

import os
import platform
from pathlib import Path

import pytest

from models.running.processors import num_cpus, processor_name


def test_processors_that_the_process_may_not_use_do_not_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 6}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert num_cpus() == 3


@pytest.mark.parametrize(("counted", "expected"), [(64, 64), (None, 1)])
def test_where_the_system_has_no_such_limit_all_count(monkeypatch, counted, expected):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert num_cpus() == expected


def test_the_name_is_the_systems_else_the_architecture(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self: "processor\t: 0\nmodel name\t: A 4: fast one\nflags\t: fpu\n")
    assert processor_name() == "A 4: fast one"
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(Path, "read_text", lambda self: "processor\t: 0\n")
    assert processor_name() == "aarch64"

    def refuse(self: Path) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert processor_name() == "aarch64"
