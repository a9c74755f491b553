"""The local grader: scores as the benchmark's metric, limits as the grader's, results that survive a kill."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import TEST_TRACK, synthetic_stems, write_track
from models.metrics import global_sdr
from models.running.folder_lock import sole_writer
from models.separation.separator import load_separator
from models.tracks import Track, open_tracks
from submission.__main__ import main
from submission.grader import evaluate as module
from submission.grader.evaluate import evaluate, folder_hash
from submission.grader.report import is_rejected, projected_s, render
from submission.grader.session import Grader, Result, run_tracks, score
from submission.rules.challenge import INSTRUMENTS
from submissions import edit, write_light_submission, write_source

CLASS = "my_submission/user_config.py"


@pytest.fixture
def light(tmp_path: Path) -> Path:
    return write_light_submission(tmp_path / "light")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A data set of one song of half a second."""
    write_track(tmp_path / "data" / TEST_TRACK, synthetic_stems(0, 0.5))
    return tmp_path / "data"


def as_stored(samples: np.ndarray) -> np.ndarray:
    """The samples after rounding to PCM_16."""
    return np.clip(np.round(samples.astype(np.float64) * 32768), -32768, 32767) / 32768


def test_the_score_is_that_of_the_metric_after_pcm16(light: Path, song: Path, tmp_path: Path):
    (track,) = open_tracks(song, "test")
    (result,) = evaluate(light, [track], tmp_path / "out", Grader(time_factor=100.0))
    assert not result.failure, result
    mixture = track.read_mixture()
    for name in INSTRUMENTS:
        expected = global_sdr(track.read_stem(name), as_stored(mixture / 4))
        assert result.sdr[name] == pytest.approx(float(expected), abs=1e-3)
    assert result.limit_s == pytest.approx(50)
    assert 0 < result.took_s < result.limit_s and result.processor_s > 0


def test_a_real_predictor_scores_as_its_separator(song: Path, tmp_path: Path):
    source = write_source(tmp_path / "repository")
    (track,) = open_tracks(song, "test")
    # An hour for the track: on a busy machine, too, it has full quality.
    grader = Grader(time_factor=1200.0)
    edit(source / "submission/rules/challenge.py", "TIME_FACTOR = 1.57", "TIME_FACTOR = 1200.0")
    (result,) = evaluate(source, [track], tmp_path / "out", grader)
    assert not result.failure and not result.reduced, result
    mixture = track.read_mixture()
    stems = load_separator(str(source / "checkpoints/toy")).separate(mixture, track.sample_rate)
    for name in INSTRUMENTS:
        reference = track.read_stem(name)
        assert result.sdr[name] == pytest.approx(float(global_sdr(reference, stems[name])), abs=0.01)


@pytest.mark.parametrize(
    ("old", "new", "failure"),
    [
        ("stem = np", "import time; time.sleep(60); stem = np", "missed the time limit: not done after 0.79 s"),
        (
            "np.float32)",
            "np.float32)[1:]",
            "bass: wrong sample count: expected 22050 samples of 2 channels, got 22049",
        ),
        ("np.float32)", "np.float16)", "ValueError"),
        (
            "pass  # here",
            "import urllib.request as u; u.urlopen('http://example.org')",
            "no network here: socket.getaddrinfo",
        ),
    ],
    ids=["late", "short", "unwritable", "network"],
)
def test_tracks_that_the_grader_would_fail(light: Path, song: Path, tmp_path: Path, old: str, new: str, failure: str):
    edit(light / CLASS, old, new)
    grader = Grader() if "time.sleep" in new else Grader(time_factor=100.0)
    (result,) = evaluate(light, open_tracks(song, "test"), tmp_path / "out", grader)
    assert result.failure.startswith(failure) or failure in result.failure
    assert is_rejected([result]) and not result.sdr
    report = render([result], "nothing", "data")
    assert "FAILED" in report and "REJECTED: 1 of 1 tracks failed" in report and "SCORE" not in report


def test_memory_is_limited(light: Path, song: Path, tmp_path: Path):
    edit(light / CLASS, "stem = np", "x = bytearray(300_000_000); import time; time.sleep(1); stem = np")
    (result,) = evaluate(light, open_tracks(song, "test"), tmp_path / "out", Grader(100.0, memory_bytes=250_000_000))
    assert result.failure == "used more than 0.2 GB of memory"


def test_finished_tracks_are_taken_up_and_failed_or_foreign_ones_run_again(light: Path, tmp_path: Path, monkeypatch):
    root = tmp_path / "data"
    for seed, name in enumerate(("One", "Two", "Three, with a longer name")):
        write_track(root / name, synthetic_stems(seed, 0.5))
    tracks = open_tracks(root, "all")
    ran = []

    def run_tracks(root, tracks, grader, scratch, tell):
        for track in tracks:
            ran.append(track.name)
            failure = "missed" if track.name == "Two" and len(ran) < 4 else ""
            sdr = {} if failure else dict.fromkeys(INSTRUMENTS, 1.0)
            tell(Result(track.name, 0.5, 0.8, 1.0, 0.1, 0.2, 10**6, sdr, [], {}, failure, ""))

    monkeypatch.setattr(module, "run_tracks", run_tracks)
    names = [track.name for track in tracks]
    first = evaluate(light, tracks, tmp_path / "out")
    assert ran == names and is_rejected(first)
    (tmp_path / "out/scratch/track-left").mkdir(parents=True)  # by a run that was killed
    second = evaluate(light, tracks, tmp_path / "out")
    assert ran == [*names, "Two"] and not is_rejected(second)
    assert evaluate(light, tracks, tmp_path / "out") == second and len(ran) == 4
    evaluate(light, tracks, tmp_path / "out", Grader(time_factor=1.0))
    assert len(ran) == 7
    edit(light / CLASS, "class of a light", "changed class of a light")
    evaluate(light, tracks, tmp_path / "out")
    assert len(ran) == 10
    for path in (tmp_path / "out/tracks").iterdir():
        path.write_text(path.read_text()[:100])
    evaluate(light, tracks, tmp_path / "out")
    assert len(ran) == 13
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"lock", "tracks"}
    # One process for all is another measurement, which is whole or not at all.
    whole = evaluate(light, tracks, tmp_path / "out", one_process=True)
    assert len(ran) == 16
    assert evaluate(light, tracks, tmp_path / "out", one_process=True) == whole and len(ran) == 16
    next((tmp_path / "out/tracks").iterdir()).unlink()
    evaluate(light, tracks, tmp_path / "out", one_process=True)
    assert len(ran) == 19
    evaluate(light, tracks[:2], tmp_path / "out", one_process=True)
    assert len(ran) == 21


COUNT = "self.n = getattr(self, 'n', 0) + 1; stem = np.nan_to_num(mixed_sound_array / 4 * self.n)"


def write_songs(root: Path, durations_s: Sequence[float]) -> list[Track]:
    for number, duration_s in enumerate(durations_s):
        write_track(root / f"Song {number}", synthetic_stems(number, duration_s))
    return open_tracks(root, "all")


def test_one_process_keeps_its_state_between_tracks(light: Path, tmp_path: Path):
    """The second track is twice as loud, as in the kit's own evaluator."""
    tracks = write_songs(tmp_path / "data", (0.25, 0.5))
    edit(light / CLASS, "stem = np.nan_to_num(mixed_sound_array / 4)", COUNT)
    grader = Grader(time_factor=100.0)
    together = evaluate(light, tracks, tmp_path / "out", grader, one_process=True)
    apart = evaluate(light, tracks, tmp_path / "out", grader)
    assert [result.failure for result in (*together, *apart)] == [""] * 4
    assert [result.limit_s for result in together] == pytest.approx([25.0, 50.0])
    for results, gain in ((together, 0.5), (apart, 0.25)):
        for name in INSTRUMENTS:
            expected = global_sdr(tracks[1].read_stem(name), as_stored(tracks[1].read_mixture() * gain))
            assert results[1].sdr[name] == pytest.approx(float(expected), abs=1e-3)
    assert together[0].sdr == apart[0].sdr and together[0].start_s == together[1].start_s
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"lock", "tracks"}


def test_in_one_process_each_track_has_its_own_limit_and_the_first_late_one_ends_it(light: Path, tmp_path: Path):
    tracks = write_songs(tmp_path / "data", (1.0, 0.5, 1.0))
    edit(light / CLASS, "stem = np", "import time; time.sleep(0.7); stem = np")
    told = []
    results = run_tracks(light, tracks, Grader(time_factor=1.0), tmp_path, tell=told.append)
    assert told == results and [result.track for result in results] == ["Song 0", "Song 1", "Song 2"]
    assert not results[0].failure and results[0].sdr
    assert results[1].failure == "missed the time limit: not done after 0.50 s"
    assert results[2].failure == "not started: the process ended at 'Song 1'" and results[2].took_s is None
    assert "REJECTED: 2 of 3 tracks failed" in render(results, "nothing", "data")


def test_in_one_process_a_wrong_answer_fails_only_its_track(light: Path, tmp_path: Path):
    tracks = write_songs(tmp_path / "data", (0.25, 0.5))
    edit(light / CLASS, "np.float32)", "np.float32)[: 20000]")
    results = run_tracks(light, tracks, Grader(time_factor=100.0), tmp_path)
    assert not results[0].failure and results[1].failure.startswith("bass: wrong sample count")


def test_a_second_evaluation_in_one_folder_is_refused(light: Path, song: Path, tmp_path: Path, capsys):
    (tmp_path / "out/scratch/track-1").mkdir(parents=True)
    with sole_writer(tmp_path / "out"):
        assert main(["evaluate", str(light), "--data", str(song), "--out", str(tmp_path / "out")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("submission: ")]
    assert len(errors) == 1 and f"{tmp_path / 'out'}: process {os.getpid()} is writing there" in errors[0]
    assert (tmp_path / "out/scratch/track-1").is_dir()  # the other's files


def test_scoring_refuses_another_rate(tmp_path: Path):
    for name in INSTRUMENTS:
        soundfile.write(tmp_path / f"{name}.wav", np.zeros((10, 2)), 22050)
    failure, sdr = score(tmp_path, dict.fromkeys(INSTRUMENTS, np.zeros((2, 10), np.float32)), 44100)
    assert failure == "bass: expected 44100 Hz, got 22050" and not sdr


def test_silence_for_a_silent_stem_keeps_the_score(tmp_path: Path):
    for name in INSTRUMENTS:
        soundfile.write(tmp_path / f"{name}.wav", np.zeros((10, 2)), 44100)
    _, sdr = score(tmp_path, dict.fromkeys(INSTRUMENTS, np.zeros((2, 10), np.float32)), 44100)
    assert sdr == dict.fromkeys(INSTRUMENTS, 0.0)


@pytest.mark.parametrize(
    ("took_s", "processor_s", "here", "there", "expected"),
    [
        (10.0, 20.0, 2, 4, 5.0),  # all parallel
        (10.0, 10.0, 2, 4, 10.0),  # all serial
        (10.0, 15.0, 2, 4, 7.5),  # five seconds serial, ten parallel
        (10.0, 5.0, 2, 4, 10.0),  # waiting: nothing is known to be parallel
        (10.0, 9.0, 1, 4, 10.0),
        (10.0, 40.0, 4, 4, 10.0),
        (5.0, 20.0, 4, 2, 10.0),
    ],
)
def test_projection_to_other_processors(took_s: float, processor_s: float, here: int, there: int, expected: float):
    assert projected_s(took_s, processor_s, here, there) == pytest.approx(expected)


def test_the_report_has_score_time_and_reduced_quality():
    result = Result("Song", 10.0, 15.7, 3.0, 1.57, 2.0, 9 * 10**8, dict.fromkeys(INSTRUMENTS, 2.0), [], {}, "", "")
    other = dataclasses.replace(
        result, track="Other", sdr=dict.fromkeys(INSTRUMENTS, 4.0), reduced={"spare": 7.0}, written=["/x/junk"]
    )
    report = render([result, other], "network namespace", "musdb, split test")
    assert "SCORE: 3.000 dB, mean over 2 songs (bass 3.000, drums 3.000, other 3.000, vocals 3.000)." in report
    assert "Time: 10.0 % of the allowed time over all tracks, at most 10.0 %" in report
    assert "Other: 7.0 s by spare" in report and "REJECTED" not in report
    assert "Written outside the predictions, where the grader's disk may refuse it: /x/junk" in report


def test_the_hash_is_of_names_and_contents(light: Path):
    before = folder_hash(light)
    (light / "__pycache__").mkdir()
    (light / "__pycache__/x.pyc").write_text("x")
    assert folder_hash(light) == before
    (light / "apt.txt").rename(light / "apt2.txt")
    assert folder_hash(light) != before


def test_the_exit_code_of_evaluate_says_whether_it_was_rejected(light: Path, hq_root: Path, tmp_path: Path, capsys):
    arguments = ["evaluate", str(light), "--data", str(hq_root), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--limit", "1", "--one-process"]) == 0
    output = capsys.readouterr()
    assert TEST_TRACK in output.out and "SCORE" in output.out and "1/1" in output.err
    stored = json.loads(next((tmp_path / "out/tracks").iterdir()).read_text())
    assert stored["result"]["track"] == TEST_TRACK and len(stored["key"]["one_process"]) == 1
    edit(light / CLASS, "import numpy", "import nowhere\nimport numpy")
    assert main(arguments) == 1
    assert "REJECTED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "/nowhere", "--data", "DATA"], "no submission here"),
        (["evaluate", "--data", "/nowhere"], "no tracks in /nowhere"),
        (["evaluate", "--data", "DATA", "--split", "valid"], ""),
        (["check", "/nowhere"], "no submission here"),
        (["package", "--out", "DATA"], "got one with other files"),
        (["package", "--out", "OUT", "--checkpoint", "nowhere"], "no checkpoint 'nowhere'"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], message: str, song: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(module, "run_tracks", lambda *_, **__: pytest.fail("should not come this far"))
    filled = [{"DATA": str(song), "OUT": str(tmp_path / "pkg")}.get(word, word) for word in arguments]
    message = message or "no such tracks"
    assert main(filled) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in errors if line.startswith("submission: ")]) == 1 and message in errors[-1]


def test_limits_must_be_positive(capsys):
    for value in ("0", "-1", "x", "²"):
        with pytest.raises(SystemExit) as error:
            main(["evaluate", "--limit", value])
        assert error.value.code == 2
    assert "expected a whole number of at least 1" in capsys.readouterr().err
