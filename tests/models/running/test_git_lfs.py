"""models.running.git_lfs: a pointer is told from every other file."""

import pytest

from models.running.git_lfs import is_pointer

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 3105848\n"


@pytest.mark.parametrize(
    ("content", "expected"), [(POINTER, True), (b"", False), (b"version 2", False), (b" " + POINTER, False)]
)
def test_a_pointer_begins_with_its_version(tmp_path, content, expected):
    (tmp_path / "weights").write_bytes(content)
    assert is_pointer(tmp_path / "weights") is expected
