"""Folders are searched with all that is below them; hidden files and the output folder are left out."""

from pathlib import Path

import pytest

from models.songs.find import Song, find_songs


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_folder_with_all_below_it(tmp_path):
    touch(tmp_path, "b/x.FLAC", "a/deep/y.mp4", "z.opus", "notes.txt", "b/cover.jpg", ".hidden.wav", ".git/k.wav")
    touch(tmp_path, "b/stems/x/vocals.wav")
    found = find_songs([tmp_path], tmp_path / "b" / "stems")
    assert found == [
        Song(tmp_path / "a/deep/y.mp4", Path("a/deep")),
        Song(tmp_path / "b/x.FLAC", Path("b")),
        Song(tmp_path / "z.opus", Path()),
    ]


def test_files_are_taken_as_they_are(tmp_path):
    touch(tmp_path, "f/x.wav")
    files = [tmp_path / "gone.wav", tmp_path / "f" / "x.weird"]
    assert find_songs([*files, tmp_path / "f"], tmp_path / "out") == [
        *map(Song, files),
        Song(tmp_path / "f/x.wav", Path()),
    ]


def test_refused(tmp_path):
    touch(tmp_path, "f/notes.txt")
    with pytest.raises(ValueError, match="f: no audio or video files in this folder"):
        find_songs([tmp_path / "f"], tmp_path / "out")
    touch(tmp_path, "f/x.wav")
    with pytest.raises(ValueError, match="expected a folder other than that of the songs"):
        find_songs([tmp_path / "f"], tmp_path / "f" / "." / ".." / "f")
