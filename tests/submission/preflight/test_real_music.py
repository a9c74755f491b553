"""The pre-flight check on real music: nothing on a sound submission, the right finding on each sabotaged copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import TEST_TRACK, synthetic_stems, write_track
from models.tracks import Track, open_tracks
from submission.grader.session import Grader
from submission.package.build import build
from submission.preflight.real_music import check_real_music
from submissions import edit, write_knowing_submission, write_source

CLASS = "my_submission/user_config.py"
RATES = "rates = dict.fromkeys(INSTRUMENTS, sample_rate)"
LONG_S = 2.0
PATIENT = Grader(time_factor=100.0)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Track:
    """A song of a second."""
    root = tmp_path_factory.mktemp("data")
    write_track(root / TEST_TRACK, synthetic_stems(0, 1.0))
    return open_tracks(root, "test")[0]


@pytest.fixture(scope="module")
def sound(song: Track, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_knowing_submission(tmp_path_factory.mktemp("submission") / "sound", song)


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


def test_nothing_is_found_on_a_sound_submission(sound: Path, song: Track):
    findings, notes = check_real_music(sound, PATIENT, song, LONG_S)
    assert not findings, "\n".join(map(str, findings))
    assert notes[0].startswith("scores ") and notes[1].startswith("separates 2 s of real music in ")


def test_without_the_excerpt_there_is_a_note(sound: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    findings, (note,) = check_real_music(sound, PATIENT, None, LONG_S)
    assert not findings and note.startswith("not tried on real music: ffmpeg and ffprobe not found")


def after(code: str) -> Callable[[Path], None]:
    return lambda root: edit(root / CLASS, RATES, f"{RATES}\n        {code}")


def on_long(code: str) -> Callable[[Path], None]:
    return after(f"if len(stem) > 60000: {code}")


SABOTAGES = [
    (
        "stems exchanged",
        after("stems['vocals'], stems['drums'] = stems['drums'], stems['vocals']"),
        "stems are exchanged: drums is vocals, vocals is drums",
    ),
    ("channels exchanged", after("stems = {n: s[:, ::-1] for n, s in stems.items()}"), "left and right are exchanged"),
    ("late", after("stems = {n: np.roll(s, 100, 0) for n, s in stems.items()}"), "100 samples too late: "),
    ("half gain", after("stems = {n: s / 2 for n, s in stems.items()}"), "stems at another level than in the mixture"),
    ("one at half gain", after("stems['bass'] = stems['bass'] / 2"), "than in the mixture: bass x 0.50"),
    ("noise", after("stems = {n: np.sin(1e4 * s) for n, s in stems.items()}"), "dB, where silence scores 0"),
    ("fails when long", on_long("1 / 0"), "ZeroDivisionError"),
    (
        "hungry when long",
        on_long("self.kept = np.ones(10**8); import time; time.sleep(1)"),
        "more than 0.6 GB of memory",
    ),
    (
        "hungrier by the second",
        after("self.kept = np.ones(400 * len(stem)); import time; time.sleep(0.2)"),
        "GB for a song of 10 minutes",
    ),
    (
        "other music when long",
        on_long("stems = {n: s[::-1] for n, s in stems.items()}"),
        "on the same music without repetition",
    ),
    (
        "remembers",
        after("self.n = getattr(self, 'n', 0) + 1; stems['bass'] = stems['bass'] * 0.99**self.n"),
        "a track's stems depend on the tracks before it",
    ),
    ("file in its folder", after("open('junk.txt', 'w').close()"), "junk.txt"),
    (
        "file beside the mixture",
        after(
            "import os, soundfile; d = os.environ['AICROWD_DATASET_DIR']; soundfile.write(d + '/junk.wav', stem, 44100)"
        ),
        "junk.wav",
    ),
    (
        "file beside the predictions",
        after("import os; open(os.environ['AICROWD_PUBLIC_SHARED_DIR'] + '/predictions/track-1.junk', 'w').close()"),
        "track-1.junk",
    ),
]


@pytest.mark.parametrize(("sabotage", "what"), [pytest.param(*case[1:], id=case[0]) for case in SABOTAGES])
def test_sabotages(copy: Path, song: Track, sabotage: Callable[[Path], None], what: str):
    sabotage(copy)
    findings, _ = check_real_music(copy, Grader(time_factor=100.0, memory_bytes=600_000_000), song, LONG_S)
    matching = [finding for finding in findings if what in str(finding)]
    assert matching and matching[0].advice, "\n".join(map(str, findings)) or "nothing found"


def test_a_file_written_elsewhere_is_found(copy: Path, song: Track, tmp_path: Path):
    after(f"open({str(tmp_path / 'junk.txt')!r}, 'w').close()")(copy)
    findings, _ = check_real_music(copy, PATIENT, song, LONG_S)
    assert [finding.where for finding in findings if str(tmp_path / "junk.txt") in finding.what]


def test_a_predictor_that_is_slow_only_on_long_tracks_is_found(copy: Path, song: Track):
    on_long("import time; time.sleep(60)")(copy)
    findings, _ = check_real_music(copy, Grader(time_factor=1.0), song, LONG_S)
    assert (
        "missed the time limit: not done after 2.00 s" in findings[0].what and "repeated for 2 s" in findings[0].where
    )


def test_temporary_files_are_not_reported(copy: Path, song: Track):
    after("import tempfile; tempfile.TemporaryFile().write(b'x'); open('/dev/null', 'w').close()")(copy)
    assert check_real_music(copy, PATIENT, song, LONG_S)[0] == []


@pytest.mark.slow
def test_a_package_must_return_the_stems_of_its_checkpoints(song: Track, tmp_path: Path):
    source = write_source(tmp_path / "repository")
    # An hour for the track: on a busy machine, too, it has full quality.
    edit(source / "submission/rules/challenge.py", "TIME_FACTOR = 1.57", "TIME_FACTOR = 1800.0")
    (tmp_path / "package").mkdir()
    build(source, tmp_path / "package")
    differs = "differs from what load_separator returns with the same checkpoints"
    edit(
        tmp_path / "package" / CLASS,
        '    fallbacks = ("toy-2",)\n',
        '    fallbacks = ("toy-2",)\n\n'
        "    def separate_music_file(self, mixture, rate):\n"
        "        stems, rates = super().separate_music_file(mixture, rate)\n"
        "        return {**stems, 'other': 0.9 * stems['other']}, rates\n",
    )
    findings, _ = check_real_music(tmp_path / "package", Grader(time_factor=1800.0), song, LONG_S)
    assert any(f"other {differs}: the error is 20.0 dB below it" in finding.what for finding in findings)
