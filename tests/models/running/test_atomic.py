"""models.running.atomic: a file is the old one or the new one, whatever happens while it is written."""

import json
import os
from pathlib import Path

import pytest

from models.running.atomic import replacing, write_bytes, write_json, write_text


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:  # who has the old file open keeps it whole
        with replacing(path) as part:
            part.write_text("new")
            assert part.parent == tmp_path and part != path
            assert path.read_text() == "old"
        assert reader.read() == "old"
    assert contents(tmp_path) == {"file": "new"}


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), ValueError("no")])
@pytest.mark.parametrize("existed", [True, False])
def test_the_old_file_stays_when_writing_fails(tmp_path, error, existed):
    path = tmp_path / "file"
    if existed:
        path.write_text("old")
    with pytest.raises(type(error)), replacing(path) as part:
        part.write_text("half of the n")
        raise error
    assert contents(tmp_path) == ({"file": "old"} if existed else {})


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, name, refuse)
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "file", "new")
    assert contents(tmp_path) == {"file": "old"}


def test_the_content_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    calls = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync") or fsync(descriptor))
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("replace") or replace(*paths))
    write_bytes(tmp_path / "file", b"\0\xff")
    assert calls == ["fsync", "replace"] and (tmp_path / "file").read_bytes() == b"\0\xff"


def test_text_is_utf_8(tmp_path):
    write_text(tmp_path / "file", "Mötley\n")
    assert (tmp_path / "file").read_bytes() == "Mötley\n".encode()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, '{\n "name": "M\\u00f6tley",\n "sdr": Infinity\n}\n'),
        ({"indent": 0}, '{\n"name": "M\\u00f6tley",\n"sdr": Infinity\n}\n'),
        ({"ensure_ascii": False}, '{\n "name": "Mötley",\n "sdr": Infinity\n}\n'),
    ],
)
def test_json_ends_in_a_line_end(tmp_path, options, expected):
    value = {"name": "Mötley", "sdr": float("inf")}
    write_json(tmp_path / "file", value, **options)
    assert (tmp_path / "file").read_text(encoding="utf-8") == expected
    assert json.loads(expected) == value


def test_json_without_infinities_refuses_them_and_keeps_the_old_file(tmp_path):
    write_json(tmp_path / "file", {"sdr": 1.0})
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file", {"sdr": float("nan")}, allow_nan=False)
    assert contents(tmp_path) == before


def test_two_writers_of_one_file_use_different_temporary_files(tmp_path):
    with replacing(tmp_path / "file") as first, replacing(tmp_path / "file") as second:
        first.write_text("first")
        second.write_text("second")
    assert contents(tmp_path) == {"file": "first"}  # the outer block ends last


@pytest.mark.parametrize("letter", ["a", "ö", "語", "🎵"])
def test_the_longest_name_can_be_written(tmp_path, letter):
    path = tmp_path / (letter * (255 // len(letter.encode())))
    write_text(path, "x")
    assert contents(tmp_path) == {path.name: "x"}
