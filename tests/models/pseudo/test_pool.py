"""The pool: known songs get their true labels, and each part is separated once and kept whole."""

import errno
import os
import types

import numpy as np
import pytest
from unlabelled_songs import expected_labels, known_stems, write_known_song, write_song

from conftest import SAMPLE_RATE
from models.pseudo import pool
from models.pseudo.estimates import EstimatesTeacher
from models.pseudo.pool import check_disk, label_song, pool_bytes, scan
from models.pseudo.songs import find_unlabelled

STEMS = ("vocals", "drums", "bass")


class Copies:
    """A teacher whose stems are given parts of the mixture."""

    def __init__(self, *shares: float, name: str = "copies") -> None:
        self.name, self.stems, self.calls = name, STEMS, []
        self._shares = shares or (0.5, 0.25, 0.125)

    def identity(self, song):
        return self.name

    def separate(self, song, mixture, start, stop):
        self.calls.append((song.name, start, stop))
        return {stem: share * mixture[:, start:stop] for stem, share in zip(STEMS, self._shares, strict=True)}


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Folder of a known song, and of its true stems."""
    root = tmp_path_factory.mktemp("known")
    write_known_song(root / "songs", root / "truth", "song", seed=1)
    return root


def scanned(folder, out):
    return [scan(song, out, SAMPLE_RATE) for song in find_unlabelled([folder], out)]


@pytest.mark.parametrize("error_db", [None, -40, -20])
def test_what_is_clean_is_called_clean_and_nothing_else_is(known, tmp_path, error_db):
    (song,) = scanned(known / "songs", tmp_path)
    truth = EstimatesTeacher(known / "truth", (*STEMS, "other"), [song.song], SAMPLE_RATE)
    if error_db is not None:  # every stem leaks into every other one
        separate, leak = truth.separate, 10 ** (error_db / 20)
        truth.separate = (
            lambda song, mixture, start, stop: {  # type: ignore[method-assign]
                stem: (1 - leak) * audio + leak * (mixture[:, start:stop] - audio)
                for stem, audio in separate(song, mixture, start, stop).items()
            }
        )
    parts = label_song(song, [truth], STEMS, SAMPLE_RATE, tmp_path)
    places = [(part, index) for part in parts for index in range(len(part.starts))]
    assert len(places) == 11  # the silent section has none
    starts_s = [3.0 * number for number in range(11)]
    for stem in STEMS:
        labels = [part.labels[stem][index] for part, index in places]
        expected = expected_labels(stem, starts_s)
        if error_db == -20:  # a leak 20 dB below is more than the rule takes for clean
            expected = ["mixed"] * 11
        assert labels == expected, stem
    assert "alone" in expected_labels("vocals", starts_s) and "absent" in expected_labels("bass", starts_s)


def test_rows_are_the_estimates_and_sum_to_the_mixture(known, tmp_path):
    (song,) = scanned(known / "songs", tmp_path)
    mixture = np.sum(list(known_stems(1).values()), axis=0)
    for part, where in zip(label_song(song, [Copies()], STEMS, SAMPLE_RATE, tmp_path), song.parts, strict=True):
        own = mixture[:, where.start : where.stop]
        rows = np.stack([part.track.read(row, (0, 1), 0, part.track.num_samples) for row in range(4)])
        assert np.abs(rows[1] - 0.25 * own).max() <= part.track.scale
        assert np.abs(rows.sum(axis=0) - own).max() <= 2 * part.track.scale < 1e-4


def test_parts_are_separated_once_for_a_teacher_and_again_for_another(known, tmp_path, monkeypatch):
    (song,) = scanned(known / "songs", tmp_path)
    teacher = Copies()
    first = label_song(song, [teacher], STEMS, SAMPLE_RATE, tmp_path)
    assert len(teacher.calls) == len(song.parts) == 2
    assert label_song(song, [teacher], STEMS, SAMPLE_RATE, tmp_path) == first and len(teacher.calls) == 2
    other = Copies(0.1, 0.1, 0.1, name="other")
    label_song(song, [other], STEMS, SAMPLE_RATE, tmp_path)
    assert len(other.calls) == 2 and len(list((tmp_path / "parts").glob("*.npy"))) == 2
    monkeypatch.setattr(pool, "salient_starts", None)  # where there is activity was kept too
    assert scanned(known / "songs", tmp_path) == [song]


@pytest.mark.parametrize("damage", ["no audio", "short audio", "text", "stopped"])
def test_a_part_that_is_not_whole_is_made_again(known, tmp_path, damage):
    (song,) = scanned(known / "songs", tmp_path)
    teacher = Copies()
    stop = iter([False, True])
    parts = label_song(
        song, [teacher], STEMS, SAMPLE_RATE, tmp_path, (lambda: next(stop)) if damage == "stopped" else lambda: False
    )
    path = parts[0].track.path
    if damage == "no audio":
        path.unlink()
    elif damage == "short audio":
        np.save(path, np.zeros((4, 2, 9), np.int16))
    elif damage == "text":
        path.with_suffix(".json").write_text(path.with_suffix(".json").read_text()[:40])
    else:
        assert len(parts) == 1
    again = Copies()
    assert len(label_song(song, [again], STEMS, SAMPLE_RATE, tmp_path)) == 2
    assert len(again.calls) == 1


def test_a_killed_write_leaves_no_part(known, tmp_path, monkeypatch):
    (song,) = scanned(known / "songs", tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        label_song(song, [Copies()], STEMS, SAMPLE_RATE, tmp_path)
    monkeypatch.undo()
    assert list((tmp_path / "parts").iterdir()) == []


def test_a_song_without_activity_or_shorter_than_a_segment(tmp_path):
    tone = 0.3 * np.sin(np.arange(2 * SAMPLE_RATE) / 30, dtype=np.float32)[None]
    fading = tone * np.linspace(0, 1, tone.shape[-1], dtype=np.float32)
    for name, audio in {"silent": 0 * tone, "hiss": 1e-4 * tone, "short": fading, "tiny": tone[:, :9]}.items():
        write_song(tmp_path / "songs" / f"{name}.wav", audio)
    hiss, short, silent, tiny = scanned(tmp_path / "songs", tmp_path)
    assert not hiss.parts and not silent.parts and not tiny.parts and not hiss.error + silent.error + tiny.error
    (part,) = short.parts
    assert short.segment == 2 * SAMPLE_RATE and (part.start, part.stop, part.starts) == (0, short.segment, (0,))
    (labelled,) = label_song(short, [Copies(1.0, 0.0, 0.5)], STEMS, SAMPLE_RATE, tmp_path)
    assert labelled.labels == {"vocals": ("alone",), "drums": ("absent",), "bass": ("mixed",)}


@pytest.mark.parametrize("name", ["nan.wav", "text.wav", "empty.wav", "cut.wav", "text.mp3"])
def test_a_file_that_cannot_be_used_says_why_in_one_line(tmp_path, name):
    tone = np.sin(np.arange(SAMPLE_RATE) / 30, dtype=np.float32)[None]
    path = tmp_path / "songs" / name
    if name == "nan.wav":
        tone[0, 22050] = np.nan
    write_song(path.with_suffix(".wav"), tone)
    if name == "cut.wav":
        path.write_bytes(path.read_bytes()[:2000])
    if path.stem in ("text", "empty"):
        path.with_suffix(".wav").unlink()
        path.write_text("not a song" if path.stem == "text" else "")
    (song,) = scanned(tmp_path / "songs", tmp_path)
    assert name in song.error and "\n" not in song.error and not song.parts
    assert ("NaN or infinity at 0.500 s" in song.error) == (name == "nan.wav")


def test_the_disk_that_is_said_is_that_of_the_files(known, tmp_path, monkeypatch):
    songs = scanned(known / "songs", tmp_path)
    needed = pool_bytes(songs, len(STEMS))
    assert f"{needed / 1e9:.2f} GB in {tmp_path}" in check_disk(tmp_path, needed)
    label_song(songs[0], [Copies()], STEMS, SAMPLE_RATE, tmp_path)
    written = sum(path.stat().st_size for path in (tmp_path / "parts").glob("*.npy"))
    assert needed <= written <= needed + 1000 * 2
    monkeypatch.setattr(pool.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1000))
    check_disk(tmp_path, needed)  # it is there already
    with pytest.raises(ValueError, match=r"expected enough free space for the pool, got .* choose another --out"):
        check_disk(tmp_path, 2 * written)


def test_killed_between_rows_and_labels_the_rows_of_another_teacher_do_not_count(known, tmp_path, monkeypatch):
    (song,) = scanned(known / "songs", tmp_path)
    first = label_song(song, [Copies()], STEMS, SAMPLE_RATE, tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pool.atomic, "write_text", killed)
        label_song(song, [Copies(0.1, 0.1, 0.1, name="other")], STEMS, SAMPLE_RATE, tmp_path)
    again = Copies()
    assert label_song(song, [again], STEMS, SAMPLE_RATE, tmp_path) == first
    assert len(again.calls) == 1


def test_a_disk_that_cannot_be_written_is_not_the_songs_fault(known, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pool.atomic, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        scanned(known / "songs", tmp_path)
