"""models.running.hashes: every byte and every name counts, and the values never change: results are kept under them."""

import hashlib

import pytest

from models.running.hashes import names_and_hashes, sha256


@pytest.mark.parametrize("size", [0, 1, (1 << 18) + 1, 3 << 20])
def test_the_hash_of_a_file_is_that_of_its_content(tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(content[:size])
    assert sha256(tmp_path / "file") == hashlib.sha256(content[:size]).hexdigest()


def test_several_files_are_hashed_one_after_the_other(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"abc")
    second.write_bytes(b"de")
    assert sha256(first, second) == hashlib.sha256(b"abcde").hexdigest() != sha256(second, first)


def test_names_contents_and_order_count():
    files = [("a.wav", "1f"), ("b.wav", "2f")]
    assert names_and_hashes(files) == hashlib.sha256(b"a.wav\n1f\nb.wav\n2f\n").hexdigest()[:16]
    others = [files[::-1], files[:1], [("a.wav", "1f"), ("c.wav", "2f")], [("a.wav", "1f"), ("b.wav", "3f")]]
    assert len({names_and_hashes(each) for each in [files, *others]}) == 5
