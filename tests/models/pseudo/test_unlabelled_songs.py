"""Songs without stems: which are found, and what is read."""

import numpy as np
import pytest
from unlabelled_songs import write_song

from conftest import SAMPLE_RATE, STEMS, synthetic_stems, write_track
from models.pseudo.songs import find_unlabelled, song_list

TONE = np.sin(np.arange(4410) / 20, dtype=np.float32)[None] / 2


def test_songs_are_named_by_their_place_and_other_files_are_passed_over(tmp_path):
    for name in ("b.wav", "album/a.wav", "run/pool/c.wav"):
        write_song(tmp_path / name, TONE)
    (tmp_path / "notes.txt").write_text("no song")
    songs = find_unlabelled([tmp_path, tmp_path / "b.wav"], tmp_path / "run")
    assert [song.name for song in songs] == ["album/a", "b"]


def test_a_track_folder_is_one_song_its_mixture_or_the_sum_of_its_stems(tmp_path):
    stems = synthetic_stems(0, 0.5)
    write_track(tmp_path / "songs" / "with", {name: 2 * stems[name] for name in STEMS})
    write_track(tmp_path / "songs" / "without", stems, with_mixture=False)
    with_mixture, without = find_unlabelled([tmp_path / "songs"], tmp_path / "out")
    assert [with_mixture.name, without.name] == ["with", "without"]
    assert [file.stem for file in with_mixture.files] == ["mixture"]
    assert np.allclose(with_mixture.read(SAMPLE_RATE), 2 * without.read(SAMPLE_RATE), atol=1e-6)
    (alone,) = find_unlabelled([tmp_path / "songs" / "without"], tmp_path / "out")
    assert alone.name == "without" and alone.digest == without.digest


def test_mono_becomes_two_equal_channels_and_other_rates_are_converted(tmp_path):
    write_song(tmp_path / "mono.wav", TONE[:, :2205], SAMPLE_RATE // 2)
    (song,) = find_unlabelled([tmp_path], tmp_path / "out")
    audio = song.read(SAMPLE_RATE)
    assert audio.shape == (2, 4410) and audio.dtype == np.float32 and (audio[0] == audio[1]).all()


@pytest.mark.parametrize("channels", [3, 6])
def test_more_than_two_channels_are_refused(tmp_path, channels):
    write_song(tmp_path / "surround.wav", np.repeat(TONE, channels, axis=0))
    with pytest.raises(ValueError, match=f"surround.wav: expected mono or stereo, got {channels} channels"):
        find_unlabelled([tmp_path], tmp_path / "out")[0].read(SAMPLE_RATE)


def test_what_is_not_there_or_empty_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="--unlabelled: no such file or folder: .*missing"):
        find_unlabelled([tmp_path / "missing"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no audio or video files"):
        find_unlabelled([tmp_path / "empty"], tmp_path / "out")


def test_the_digest_follows_from_the_content(tmp_path):
    write_song(tmp_path / "a.wav", TONE)
    write_song(tmp_path / "b.wav", TONE)
    write_song(tmp_path / "c.wav", TONE / 2)
    a, b, c = find_unlabelled([tmp_path], tmp_path / "out")
    assert a.digest == b.digest != c.digest


def test_long_lists_of_songs_are_counted():
    assert song_list("abc", 3) == "a; b; c" and song_list("abc", 1) == "a; and 2 more"
