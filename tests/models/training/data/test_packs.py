"""Packs: decoded once, the same audio within 16 bits, test tracks never read, every misuse a clear error."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import SAMPLE_RATE, STEMS, TRAIN_TRACK, VALID_TRACK, synthetic_stems, write_track
from models.__main__ import main
from models.presets.training import DataConfig
from models.training.data import packs
from models.training.data.mixing import RandomMixer
from models.training.data.origin import read_origin
from models.training.data.packs import open_data, open_pack, prepare_pack


def test_audio_survives_within_half_a_step(hq_root, tmp_path):
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    (track,) = pack.split("train")
    assert track.name == TRAIN_TRACK
    stored = track.audio() * track.scale
    for index, (_, stem) in enumerate(synthetic_stems(0).items()):
        assert np.abs(stored[index] - stem).max() <= 0.5 * track.scale + 1e-7


def test_loud_stems_do_not_clip(tmp_path):
    stems = {name: 8 * stem for name, stem in synthetic_stems(1).items()}
    for name in ("a", "b"):
        write_track(tmp_path / "data" / "train" / name, stems, with_mixture=False)
    pack = prepare_pack([tmp_path / "data"], tmp_path / "pack", STEMS, SAMPLE_RATE)
    track = pack.tracks[0]
    assert np.abs(track.audio() * track.scale).max() == pytest.approx(1.6, rel=1e-3)


def test_splits_are_musdbs_and_the_test_split_is_never_read(hq_root, tmp_path):
    shutil.rmtree(next((hq_root / "test").iterdir()) / "..", ignore_errors=True)
    (hq_root / "test" / "broken").mkdir(parents=True)
    (hq_root / "test" / "broken" / "vocals.wav").write_text("not audio")
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    assert {track.name: track.split for track in pack.tracks} == {TRAIN_TRACK: "train", VALID_TRACK: "valid"}
    assert pack.origin == hq_root.name
    assert pack.describe("train") == "1 tracks, 0.1 minutes"


def test_without_validation_every_tenth_training_track_validates(tmp_path, capsys):
    for index in range(11):
        write_track(tmp_path / "songs" / f"track {index:02d}", synthetic_stems(index, 0.1), with_mixture=False)
    pack = prepare_pack([tmp_path / "songs"], tmp_path / "pack", STEMS, SAMPLE_RATE)
    assert [track.name for track in pack.split("valid")] == ["track 00", "track 10"]
    assert len(pack.split("train")) == 9
    assert "2 of 11 training tracks validate" in capsys.readouterr().err


def test_rendered_tracks_train_and_never_validate(tmp_path, capsys):
    for split, name in (("train", "a render"), ("train", "b"), ("train", "c"), ("valid", "d render")):
        folder = tmp_path / "data" / split / name
        write_track(folder, synthetic_stems(0, 0.1), with_mixture=False)
        if "render" in name:
            (folder / "render.json").write_text("{}")
    pack = prepare_pack([tmp_path / "data"], tmp_path / "pack", STEMS, SAMPLE_RATE)
    assert {track.name: (track.split, track.rendered) for track in pack.tracks} == {
        "a render": ("train", True),
        "b": ("valid", False),
        "c": ("train", False),
        "d render": ("train", True),
    }
    assert "1 of 2 training tracks validate" in capsys.readouterr().err
    assert pack.describe("train") == "1 tracks, 0.0 minutes and 2 rendered tracks, 0.0 minutes"
    entries = json.loads((tmp_path / "pack" / "index.json").read_text())["tracks"]
    assert [entry.get("rendered") for entry in entries] == [True, None, None, True]


@pytest.mark.parametrize(("start", "num_samples"), [(0, 4410), (-100, 200), (4300, 500), (5000, 10), (-50, 20), (7, 1)])
def test_parts_are_read_with_silence_around(hq_root, tmp_path, start, num_samples):
    track = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE).tracks[0]
    whole = np.zeros((4, 2, 20000), dtype=np.float32)
    whole[..., 5000 : 5000 + 4410] = track.audio()[..., :4410] * np.float32(track.scale)
    short = np.load(track.path)[..., :4410]
    np.save(track.path, short)
    assert track.num_samples == 4410
    for stem, channels in ((0, range(2)), (3, range(1, 2))):
        part = track.read(stem, channels, start, num_samples)
        assert np.array_equal(part, whole[stem, channels, 5000 + start : 5000 + start + num_samples])


@pytest.fixture
def no_decoding(monkeypatch):
    """Fails the test if a track is decoded."""
    monkeypatch.setattr(packs, "_decode", lambda *_: pytest.fail("decodes"))


def own_stems(folder, names=("guitar", "piano", "rest"), seed=0):
    stems = synthetic_stems(seed, 0.2)
    write_track(folder, dict(zip(names, stems.values(), strict=False)), with_mixture=False)
    return stems


def test_stems_of_ones_own(tmp_path):
    made = own_stems(tmp_path / "songs" / "a")
    own_stems(tmp_path / "songs" / "b")
    pack = prepare_pack([tmp_path / "songs"], tmp_path / "pack", ("rest", "guitar"), SAMPLE_RATE)
    assert pack.stems == ("rest", "guitar")
    track = pack.split("train")[0]
    stored = track.audio() * track.scale
    assert stored.shape == (2, 2, 8820)
    assert np.abs(stored[0] - made["bass"]).max() < 1e-4 and np.abs(stored[1] - made["vocals"]).max() < 1e-4
    config = DataConfig(sources=("rest", "guitar"), crop_s=0.1)
    batch = RandomMixer(pack, config, ("guitar",), seed=0).batch(0, 2)
    assert batch.targets.shape == (2, 1, 1, 4410) and "guitar of 'b'" in "".join(batch.origins)


def test_everything_is_checked_before_the_first_track_is_decoded(tmp_path, no_decoding):
    for name in ("a", "b", "c"):
        own_stems(tmp_path / "songs" / name)
    last = tmp_path / "songs" / "c"
    (last / "piano.wav").rename(last / "keys.wav")
    stems = ("guitar", "piano", "rest")
    with pytest.raises(ValueError, match="'c' has no piano: expected piano.wav"):
        prepare_pack([tmp_path / "songs"], tmp_path / "pack", stems, SAMPLE_RATE)
    soundfile.write(last / "piano.wav", np.zeros((8820, 2)), 48000)
    with pytest.raises(ValueError, match="'c': expected one sample rate, got 44100 and 48000 Hz in piano.wav"):
        prepare_pack([tmp_path / "songs"], tmp_path / "pack", stems, SAMPLE_RATE)
    soundfile.write(last / "piano.wav", np.zeros((100, 2)), SAMPLE_RATE)
    with pytest.raises(ValueError, match="'c': expected stems of one shape"):
        prepare_pack([tmp_path / "songs"], tmp_path / "pack", stems, SAMPLE_RATE)
    with pytest.raises(ValueError, match="^stems: expected 1 to 64 different names"):
        prepare_pack([tmp_path / "songs"], tmp_path / "pack", ("mixture",), SAMPLE_RATE)
    assert not (tmp_path / "pack").exists()


def test_data_without_training_or_validation_tracks_is_refused_at_once(tmp_path, no_decoding):
    data, pack = tmp_path / "data", tmp_path / "pack"
    write_track(data / "test" / "a", synthetic_stems(0, 0.1), with_mixture=False)
    with pytest.raises(ValueError, match="at least two training tracks .* got 0"):
        prepare_pack([data], pack, STEMS, SAMPLE_RATE)
    write_track(data / "valid" / "b", synthetic_stems(0, 0.1), with_mixture=False)
    with pytest.raises(ValueError, match="at least one training track, got 0"):
        prepare_pack([data], pack, STEMS, SAMPLE_RATE)
    (data / "train").mkdir()
    (data / "valid" / "b").rename(data / "train" / "b")
    (data / "valid").rmdir()
    with pytest.raises(ValueError, match="at least two training tracks .* got 1"):
        prepare_pack([data], pack, STEMS, SAMPLE_RATE)
    with pytest.raises(FileNotFoundError, match="no tracks in"):
        prepare_pack([data / "valid"], pack, STEMS, SAMPLE_RATE)
    assert not pack.exists()


def test_the_prepare_command(tmp_path, capsys):
    for name in ("a", "b", "c"):
        own_stems(tmp_path / "songs" / name, names=("drums", "rest"))
    (tmp_path / "songs" / "c" / "render.json").write_text("{}")
    command = ["prepare", "--data", str(tmp_path / "songs"), "--out", str(tmp_path / "pack")]
    assert main([*command, "--stems", "rest, drums"]) == 0
    assert "1 training and 1 validation tracks, 1 rendered tracks" in capsys.readouterr().out
    assert open_pack(tmp_path / "pack").stems == ("rest", "drums")
    for wrong, message in (
        (["--stems", "rest,rest"], "--stems: expected 1 to 64 different names"),
        (["--stems", ""], "--stems: expected 1 to 64 different names"),
        (["--stems", "rest", "--sample-rate", "0"], "--sample-rate: expected at least 1 Hz, got 0"),
    ):
        assert main([*command, *wrong]) == 2
        assert message in capsys.readouterr().err


def test_one_track_is_not_enough(tmp_path):
    write_track(tmp_path / "songs" / "only", synthetic_stems(0, 0.1))
    with pytest.raises(ValueError, match="at least two training tracks .* got 1"):
        prepare_pack([tmp_path / "songs"], tmp_path / "pack", STEMS, SAMPLE_RATE)


def test_mono_and_other_rates_are_converted(tmp_path):
    for name in ("a", "b"):
        folder = tmp_path / "songs" / name
        folder.mkdir(parents=True)
        time_s = np.arange(24000) / 48000
        for stem in STEMS:
            soundfile.write(folder / f"{stem}.wav", 0.5 * np.sin(2 * np.pi * 440 * time_s), 48000, subtype="FLOAT")
    track = prepare_pack([tmp_path / "songs"], tmp_path / "pack", STEMS, SAMPLE_RATE).tracks[0]
    audio = track.audio() * track.scale
    assert audio.shape == (4, 2, 22050)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22050) / 44100)
    assert np.abs(audio[0, 0] - expected)[1000:-1000].max() < 1e-3
    assert np.array_equal(audio[0, 0], audio[0, 1])


def test_finished_tracks_are_not_decoded_again(hq_root, tmp_path, monkeypatch):
    first = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    (tmp_path / "pack" / first.split("valid")[0].path.with_suffix(".json").name).unlink()
    decoded = []
    original = packs._decode
    monkeypatch.setattr(packs, "_decode", lambda track, *rest: decoded.append(track.name) or original(track, *rest))
    assert prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE) == first
    assert decoded == [VALID_TRACK]


def test_silent_stems_are_marked(hq_root, tmp_path):
    file = hq_root / "train" / TRAIN_TRACK / "bass.wav"
    audio, _ = soundfile.read(file)
    soundfile.write(file, np.zeros_like(audio), SAMPLE_RATE)
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    assert pack.split("train")[0].silent == (False, False, True, False)


def test_a_missing_stem_names_track_and_stem(hq_root, tmp_path):
    (hq_root / "train" / TRAIN_TRACK / "drums.wav").unlink()
    with pytest.raises(ValueError, match=f"{TRAIN_TRACK}.*drums"):
        prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


def test_nan_in_a_stem_names_the_track(hq_root, tmp_path):
    file = hq_root / "train" / TRAIN_TRACK / "drums.wav"
    audio, _ = soundfile.read(file, dtype="float32")
    audio[5] = np.nan
    soundfile.write(file, audio, SAMPLE_RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match=f"{TRAIN_TRACK}.*drums.wav .expected finite samples, got NaN"):
        prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


def test_open_data_takes_a_pack_or_folders(hq_root, tmp_path):
    made = open_data([hq_root], tmp_path / "cache", STEMS, SAMPLE_RATE)
    assert made.folder == tmp_path / "cache"
    assert open_data([made.folder], tmp_path / "unused", STEMS, SAMPLE_RATE) == made
    assert not (tmp_path / "unused").exists()
    with pytest.raises(ValueError, match="is a pack of vocals, drums, bass, other at 44100 Hz, expected .* 48000 Hz"):
        open_data([made.folder], tmp_path / "unused", STEMS, 48000)
    with pytest.raises(ValueError, match="expected vocals at 44100 Hz"):
        prepare_pack([hq_root], made.folder, ("vocals",), SAMPLE_RATE)


def test_damaged_and_absent_packs(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a pack with index.json"):
        open_pack(tmp_path)
    for content in ("{", json.dumps({"stems": []}), "[]"):
        (tmp_path / "index.json").write_text(content)
        with pytest.raises(ValueError, match="not a pack's index"):
            open_pack(tmp_path)


@pytest.mark.parametrize(("place", "name"), [(".", "inner"), ("..", "outer"), ("", "inner"), ("/", "/")])
def test_a_folder_that_is_named_by_its_place_has_its_own_name(tmp_path, monkeypatch, place, name):
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "outer" / "inner")
    assert read_origin(Path(place)) == name
