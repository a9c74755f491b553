"""models.tracks: every layout of a data set, and what is said when one is incomplete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.tracks import STEMS, check_stems, default_data_root, open_tracks

RATE = 8000


def write_track(folder: Path, stems=STEMS, mixture=False, num_samples=800, suffix=".wav") -> dict[str, np.ndarray]:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(len(folder.name))
    audio = {stem: generator.uniform(-0.2, 0.2, (2, num_samples)).astype(np.float32) for stem in stems}
    if mixture:
        audio["mixture"] = sum(audio.values()) * np.float32(0.5)
    for name, array in audio.items():
        subtype = "FLOAT" if suffix == ".wav" else None
        soundfile.write(folder / f"{name}{suffix}", array.T, RATE, subtype=subtype)
    return audio


def names(tracks):
    return [track.name for track in tracks]


def test_flat_folder_is_in_every_split_but_valid(tmp_path):
    write_track(tmp_path / "b song")
    write_track(tmp_path / "a song", suffix=".flac")
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("not a track")
    for split in ("train", "test", "all"):
        assert names(open_tracks(tmp_path, split)) == ["a song", "b song"]
    assert open_tracks(tmp_path, "valid") == []


def test_hq_layout_takes_musdbs_validation_tracks_out_of_train(tmp_path):
    write_track(tmp_path / "train" / "ANiMAL - Rockshow")  # in musdb's list
    write_track(tmp_path / "train" / "some other song")
    write_track(tmp_path / "test" / "a test song")
    assert names(open_tracks(tmp_path, "train")) == ["some other song"]
    assert names(open_tracks(tmp_path, "valid")) == ["ANiMAL - Rockshow"]
    assert names(open_tracks(tmp_path, "test")) == ["a test song"]
    assert [track.split for track in open_tracks(tmp_path, "all")] == ["valid", "test", "train"]


def test_a_valid_folder_overrides_musdbs_list(tmp_path):
    write_track(tmp_path / "train" / "ANiMAL - Rockshow")
    write_track(tmp_path / "valid" / "held out")
    assert names(open_tracks(tmp_path, "train")) == ["ANiMAL - Rockshow"]
    assert names(open_tracks(tmp_path, "valid")) == ["held out"]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_reads_stems_ranges_and_mixture_as_sum(tmp_path, suffix):
    audio = write_track(tmp_path / "song", suffix=suffix)
    (track,) = open_tracks(tmp_path, "test")
    assert (track.sample_rate, track.num_frames, track.duration_s) == (RATE, 800, 0.1)
    tolerance = 0 if suffix == ".wav" else 2**-15
    stems = track.read_stems()
    assert tuple(stems) == STEMS
    for stem in STEMS:
        assert stems[stem].dtype == np.float32
        np.testing.assert_allclose(stems[stem], audio[stem], rtol=0, atol=tolerance)
    np.testing.assert_allclose(track.read_mixture(), sum(audio.values()), rtol=0, atol=4 * tolerance + 1e-6)
    np.testing.assert_array_equal(track.read_stem("drums", 790, 50), stems["drums"][:, 790:])
    np.testing.assert_array_equal(track.read_stem("mixture", 5, 7), track.read_mixture()[:, 5:12])


def test_mixture_file_wins_over_the_sum(tmp_path):
    audio = write_track(tmp_path / "song", mixture=True)
    (track,) = open_tracks(tmp_path, "test")
    np.testing.assert_array_equal(track.read_mixture(), audio["mixture"])
    assert set(track.read_stems(("mixture", *STEMS))) == {"mixture", *STEMS}


def test_missing_stem_is_named_unless_none_is_asked_for(tmp_path):
    write_track(tmp_path / "song", stems=("drums", "other"))
    with pytest.raises(ValueError, match=r"'song' has no vocals: expected vocals.wav or vocals.flac or vocals.ogg in"):
        open_tracks(tmp_path, "train")
    (track,) = open_tracks(tmp_path, "train", stems=())
    assert track.stems == ("drums", "other")
    np.testing.assert_allclose(
        track.read_mixture(), track.read_stem("drums") + track.read_stem("other"), rtol=0, atol=1e-7
    )
    with pytest.raises(ValueError, match="'song' has no bass"):
        track.read_stem("bass")


def test_stems_have_any_names(tmp_path):
    audio = write_track(tmp_path / "song", stems=("piano", "rest", "drums", "guitar"), mixture=True)
    (tmp_path / "song" / "cover.png").write_text("")
    (tmp_path / "song" / ".hidden.wav").write_text("")
    (track,) = open_tracks(tmp_path, "train", stems=("guitar", "piano"))
    assert track.stems == ("drums", "guitar", "piano", "rest")
    assert [file.name for file in track.files] == ["mixture.wav", "drums.wav", "guitar.wav", "piano.wav", "rest.wav"]
    np.testing.assert_array_equal(track.read_stems(("rest",))["rest"], audio["rest"])
    (tmp_path / "song" / "mixture.wav").unlink()
    (track,) = open_tracks(tmp_path, "train", stems=())
    total = sum(audio[stem] for stem in track.stems)
    np.testing.assert_allclose(track.read_mixture(), total, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="'song' has no bass: expected bass.wav or"):
        open_tracks(tmp_path, "train", stems=("guitar", "bass"))


def test_a_stem_in_two_formats_is_one_stem(tmp_path):
    write_track(tmp_path / "song")
    soundfile.write(tmp_path / "song" / "bass.flac", np.zeros((800, 2)), RATE)
    (track,) = open_tracks(tmp_path, "train")
    assert track.stems == STEMS and track.read_stem("bass").any()  # the wav


def test_a_mixture_alone_is_a_track_without_stems(tmp_path):
    (tmp_path / "song").mkdir()
    soundfile.write(tmp_path / "song" / "mixture.wav", np.zeros((800, 2)), RATE)
    (track,) = open_tracks(tmp_path, "test", stems=())
    assert track.stems == () and track.num_frames == 800


@pytest.mark.parametrize(
    "stems", [("a", "a"), ("",), ("a", " "), ("mixture",), ("a", "mixture"), ("a/b",), ("..",), ("a\\b",), ("a ",)]
)
def test_names_that_cannot_be_stems(tmp_path, stems):
    write_track(tmp_path / "song")
    with pytest.raises(
        ValueError,
        match="^stems: expected 1 to 64 different names of up to 64 letters that can be names of files, none of them ",
    ):
        open_tracks(tmp_path, "train", stems)
    with pytest.raises(ValueError, match="^--stems: expected 1 to 64 different"):
        check_stems(stems, "--stems")
    with pytest.raises(ValueError, match=r"^--stems: .* got \[\]"):
        check_stems((), "--stems")


def test_checks_find_what_headers_tell(tmp_path, monkeypatch):
    write_track(tmp_path / "song", stems=("vocals", "drums", "bass"))
    (track,) = open_tracks(tmp_path, "test", ("vocals",))
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_: pytest.fail("reads audio"))
    track.check(("vocals", "bass"))
    with pytest.raises(ValueError, match="'song' has no guitar: expected guitar.wav or"):
        track.check(("vocals", "guitar"))
    monkeypatch.undo()
    soundfile.write(tmp_path / "song" / "long.wav", np.zeros((801, 2)), RATE)
    with pytest.raises(ValueError, match=r"'song': expected stems of one shape .* long \(2, 801\)"):
        track.check(("vocals", "long"))
    soundfile.write(tmp_path / "song" / "fast.wav", np.zeros((800, 2)), 2 * RATE)
    with pytest.raises(ValueError, match="expected one sample rate, got 8000 and 16000 Hz in fast.wav"):
        track.check(("vocals", "fast"))
    (tmp_path / "song" / "text.wav").write_text("text")
    with pytest.raises(ValueError, match="'song': cannot read .*text.wav"):
        track.check(("vocals", "text"))


def test_stem_files_have_musdbs_stems_only(tmp_path):
    (tmp_path / "x.stem.mp4").write_text("never read")
    assert names(open_tracks(tmp_path, "train", ("bass", "vocals"))) == ["x"]
    expected = "'x' has no guitar: the stems of .*x.stem.mp4 are vocals, drums, bass, other; other stems need folders"
    with pytest.raises(ValueError, match=expected):
        open_tracks(tmp_path, "train", ("guitar", "bass"))


def test_a_render_file_marks_a_rendered_track(tmp_path):
    write_track(tmp_path / "song")
    assert not open_tracks(tmp_path, "train")[0].rendered
    (tmp_path / "song" / "render.json").write_text("{}")
    assert open_tracks(tmp_path, "train")[0].rendered


def test_stems_of_different_length_are_refused(tmp_path):
    write_track(tmp_path / "song", stems=("vocals", "drums", "bass"))
    soundfile.write(tmp_path / "song" / "other.wav", np.zeros((700, 2)), RATE)
    (track,) = open_tracks(tmp_path, "test")
    with pytest.raises(ValueError, match=r"'song': expected stems of one shape .* other \(2, 700\)"):
        track.read_stems()


def test_stems_of_different_rate_are_refused(tmp_path):
    write_track(tmp_path / "song", stems=("vocals", "drums", "bass"))
    soundfile.write(tmp_path / "song" / "other.wav", np.zeros((800, 2)), 2 * RATE)
    with pytest.raises(ValueError, match="expected one sample rate, got 8000 and 16000 Hz in other.wav"):
        open_tracks(tmp_path, "test")[0].read_stems()


def test_unreadable_files_are_named(tmp_path):
    write_track(tmp_path / "song")
    (tmp_path / "song" / "bass.wav").write_text("text")
    (track,) = open_tracks(tmp_path, "test")
    with pytest.raises(ValueError, match="'song': cannot read .*bass.wav"):
        track.read_stem("bass")
    with pytest.raises(ValueError, match="start 900 lies outside its 800 samples"):
        track.read_stem("drums", start=900)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.stem.mp4").write_text("text")
    (track,) = open_tracks(tmp_path / "broken", "test")
    with pytest.raises(ValueError, match="'x': expected a stem file of five audio streams"):
        track.read_stem("bass")


def test_a_file_that_is_cut_off_or_not_finite_is_named(tmp_path):
    write_track(tmp_path / "song")
    file = tmp_path / "song" / "bass.wav"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000])
    (track,) = open_tracks(tmp_path, "test")
    message = f"track 'song': cannot read {file} (truncated, expected {len(whole)} bytes, got {len(whole) - 1000})"
    for read in (track.read_stems, lambda: track.check(STEMS), track.read_mixture):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            read()
    audio = np.zeros((800, 2), dtype=np.float32)
    audio[80] = np.nan
    soundfile.write(file, audio, RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match="'song': cannot read .*bass.wav .expected finite samples, got NaN .* 0.010 s"):
        open_tracks(tmp_path, "test")[0].read_stem("bass")


def test_a_part_of_a_lossy_file_is_the_same_as_in_the_whole(tmp_path):
    """A decoder that seeks gives other samples near the end of an ogg file."""
    write_track(tmp_path / "song", num_samples=25 * RATE, suffix=".ogg")
    (track,) = open_tracks(tmp_path, "test")
    whole = track.read_stem("drums")
    for start, frames in ((0, 7), (10 * RATE - 3, 6), (9 * RATE, 12 * RATE), (25 * RATE - 100, 500), (25 * RATE, 5)):
        part = track.read_stem("drums", start, frames)
        np.testing.assert_array_equal(part, whole[:, start : start + frames])
    assert track.read_stem("drums", 5, 0).shape == (2, 0)


def test_roots_without_tracks_and_unknown_splits(tmp_path):
    with pytest.raises(FileNotFoundError, match="a folder without any.*expected"):
        open_tracks(tmp_path, "test")
    with pytest.raises(FileNotFoundError, match="folders holding guitar, rest as wav/flac/ogg"):
        open_tracks(tmp_path, "test", ("guitar", "rest"))
    with pytest.raises(FileNotFoundError, match="nothing there"):
        open_tracks(tmp_path / "missing", "test")
    with pytest.raises(ValueError, match="expected split train, valid, test or all, got 'dev'"):
        open_tracks(tmp_path, "dev")


def test_fingerprint_follows_the_audio(tmp_path):
    write_track(tmp_path / "a" / "song")
    write_track(tmp_path / "b" / "song")
    first, second = (open_tracks(tmp_path / root, "test")[0] for root in "ab")
    assert first.fingerprint() == second.fingerprint()
    soundfile.write(tmp_path / "b" / "song" / "bass.wav", np.zeros((800, 2)), RATE, subtype="FLOAT")
    assert first.fingerprint() != second.fingerprint()


def test_default_data_root(monkeypatch, tmp_path):
    monkeypatch.setenv("MUSDB_PATH", str(tmp_path))
    assert default_data_root("here") == (Path("here"), "data: here (from --data)")
    assert default_data_root(None) == (tmp_path, f"data: {tmp_path} (from MUSDB_PATH)")
    monkeypatch.delenv("MUSDB_PATH")
    root, message = default_data_root(None)
    assert root.is_file() and "excerpt" in message and "\n" not in message


def test_the_excerpt_equals_musdb(tmp_path, monkeypatch):
    import musdb

    monkeypatch.delenv("MUSDB_PATH", raising=False)
    excerpt, _ = default_data_root(None)
    (track,) = open_tracks(excerpt, "test")
    assert isinstance(track.duration_s, float) and 6 < track.duration_s < 6.2
    assert open_tracks(excerpt, "train") == []
    (tmp_path / "train").mkdir()
    for name in ("ANiMAL - Rockshow", "some song"):  # the first is one of musdb's validation tracks
        os.symlink(excerpt, tmp_path / "train" / f"{name}.stem.mp4")
    for split in ("train", "valid"):
        assert names(open_tracks(tmp_path, split)) == [t.name for t in musdb.DB(tmp_path, subsets="train", split=split)]
    theirs = musdb.DB(tmp_path, subsets="train", split="train")[0]
    audio = track.read_stems(("mixture", *STEMS))
    np.testing.assert_array_equal(audio["mixture"], theirs.audio.T.astype(np.float32))
    for stem in STEMS:
        np.testing.assert_array_equal(audio[stem], theirs.targets[stem].audio.T.astype(np.float32))
    np.testing.assert_array_equal(track.read_stem("drums", 1000, 50), audio["drums"][:, 1000:1050])
    with pytest.raises(ValueError, match="has no piano"):
        track.read_stem("piano")


def test_importing_needs_no_audio_library():
    code = (
        "import sys, models.tracks; print([m for m in ('soundfile', 'musdb', 'stempeg', 'torch') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert shown.stdout.strip() == "[]"
