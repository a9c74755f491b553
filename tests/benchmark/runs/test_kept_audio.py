"""benchmark.runs.audio: all stems of a track are aligned, files are complete, and nothing is stored twice."""

import numpy as np
import pytest

from benchmark.runs.audio import (
    decode,
    encode,
    estimate_file,
    excerpt_folder,
    excerpt_start,
    keep_audio,
    references_file,
)
from benchmark.runs.result_key import result_key
from benchmark.runs.settings import Settings
from benchmark.runs.store import has_audio, read_result, result_path, track_id
from benchmark_fakes import Fake, fake_source, run_here
from models.running import atomic
from models.tracks import STEMS, open_tracks

pytestmark = pytest.mark.usefixtures("short_filters", "short_warm_up")

SETTINGS = Settings("cpu", 1, keep_audio_s=2)


@pytest.fixture
def track(hq_root):
    return open_tracks(hq_root, "all")[0]


def noise(channels, num_samples, seed=0):
    return np.random.default_rng(seed).normal(scale=0.1, size=(channels, num_samples)).astype(np.float32)


@pytest.mark.parametrize("num_samples", [1, 100, 1152, 70_001])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_excerpt_keeps_its_length_and_place(channels, num_samples):
    time_s = np.arange(num_samples) / 44100
    audio = np.tile(0.5 * np.sin(2 * np.pi * 300 * time_s**2), (channels, 1)).astype(np.float32)
    decoded, rate = decode(encode(audio, 44100))
    assert decoded.shape == audio.shape and rate == 44100
    if num_samples > 2000:  # shifted by one sample, it would fit worse
        errors = [
            float(np.square(audio[:, 5000:60_000] - decoded[:, 5000 + lag : 60_000 + lag]).sum())
            for lag in range(-3, 4)
        ]
        assert np.argmin(errors) == 3


@pytest.mark.parametrize(("rate", "stored"), [(48000, 48000), (96000, 44100), (44056, 44100), (8000, 8000)])
def test_any_rate_and_any_number_of_channels_can_be_kept(rate, stored):
    decoded, decoded_rate = decode(encode(noise(3, rate), rate))
    assert decoded_rate == stored and decoded.shape == (1, pytest.approx(stored, abs=2))


def test_loud_samples_clip_instead_of_wrapping():
    decoded, _ = decode(encode(np.full((1, 44100), 3.0, np.float32), 44100))
    assert decoded[0, 10_000:30_000].min() > 0.9


def test_a_damaged_file_is_named_so():
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode(b"no mp3 at all")


def test_the_loudest_seconds_are_kept():
    mixture = 0.01 * noise(2, 100_000)
    mixture[:, 45_000:60_000] += noise(2, 15_000, seed=1)
    assert excerpt_start(mixture, 10_000, 2) == 40_000
    assert excerpt_start(mixture, 10_000, 10) == excerpt_start(mixture[:, :5], 10_000, 2) == 0
    assert excerpt_start(np.zeros((2, 50_000)), 10_000, 2) == 0


def test_all_files_of_a_track_have_the_same_samples(track, tmp_path):
    stems = track.read_stems()
    estimates = {stem: 0.5 * audio for stem, audio in stems.items()}
    kept = keep_audio(tmp_path, track, "1f", "a/b: c", 2, track.read_mixture(), stems, estimates)
    assert kept["folder"] == excerpt_folder(track.name, "1f", 2) and (kept["length_s"], kept["seconds"]) == (2.0, 2)
    names = [references_file(kept["folder"], stem) for stem in ("mixture", *STEMS)]
    names += [estimate_file(kept["folder"], "a/b: c", stem) for stem in STEMS]
    assert sorted(names) == sorted(
        str(path.relative_to(tmp_path)) for path in (tmp_path / "audio").rglob("*") if path.is_file()
    )
    start = round(kept["start_s"] * 44100)
    audio = {name: decode((tmp_path / name).read_bytes())[0] for name in names}
    assert {decoded.shape for decoded in audio.values()} == {(2, 88_200)}
    reference, estimate = audio[names[1]], audio[names[5]]
    np.testing.assert_allclose(reference, stems["vocals"][:, start : start + 88_200], atol=0.05)
    np.testing.assert_allclose(estimate, 0.5 * reference, atol=0.05)


def test_references_are_stored_once_and_the_mixture_is_no_estimate(track, tmp_path):
    mixture, stems = track.read_mixture(), track.read_stems()
    keep_audio(tmp_path, track, "1f", "mixture", 2, mixture, stems, dict.fromkeys(STEMS, mixture))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp3")}
    assert len(before) == 5
    keep_audio(tmp_path, track, "1f", "a", 2, mixture, stems, stems)
    assert before == {path: path.stat().st_mtime_ns for path in before} and len(list(tmp_path.rglob("*.mp3"))) == 9


def test_an_interrupted_write_leaves_nothing(track, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(atomic.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        keep_audio(tmp_path, track, "1f", "a", 2, track.read_mixture(), {}, track.read_stems())
    assert not [path for path in (tmp_path / "audio").rglob("*") if path.is_file()]


def test_a_run_keeps_audio_before_it_keeps_the_result(track, tmp_path, monkeypatch):
    run_here(monkeypatch, Fake(), fake_source(), [track], tmp_path, SETTINGS)
    key = result_key(fake_source(), track, SETTINGS)
    assert key == result_key(fake_source(), track, Settings("cpu", 1))  # no figure depends on it
    result = read_result(result_path(tmp_path, "fake", *track_id(key)), key)
    assert result and all(
        (tmp_path / estimate_file(result["audio"]["folder"], "fake", stem)).is_file() for stem in STEMS
    )
    assert has_audio(result, 2) and has_audio(result, 0) and not has_audio(result, 3)
    run_here(monkeypatch, Fake(), fake_source(), [track], tmp_path / "none")
    without = read_result(result_path(tmp_path / "none", "fake", *track_id(key)), key)
    assert without and without["audio"] is None and not has_audio(without, 2)
    assert not (tmp_path / "none" / "audio").exists()
