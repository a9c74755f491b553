"""estimates and python_object: the user's own folder or object is a system like all others."""

import pickle
import shutil

import numpy as np
import pytest
import soundfile

from benchmark.runs.measure import measure
from benchmark.runs.settings import Settings
from benchmark.systems.catalog import load, parse_systems, resolve_all
from benchmark.systems.estimates import Estimates, estimate_files, resolve_estimates
from benchmark.systems.python_object import PythonSystem, resolve_python, source_of_object
from conftest import SAMPLE_RATE, TEST_TRACK
from models.running.repository import ROOT
from models.tracks import open_tracks
from separator_fakes import Halves

pytestmark = pytest.mark.usefixtures("short_filters")

SETTINGS = Settings("cpu", 1)


@pytest.fixture
def track(hq_root):
    (found,) = open_tracks(hq_root, "test")
    return found


@pytest.fixture
def folder(tmp_path, track):
    """Half of the true vocals and drums of the test track."""
    target = tmp_path / "mine" / track.name
    target.mkdir(parents=True)
    for stem, suffix in (("vocals", "wav"), ("drums", "flac")):
        soundfile.write(target / f"{stem}.{suffix}", track.read_stem(stem).T / 2, SAMPLE_RATE)
    return target.parent


def write(folder, stem, samples, rate=SAMPLE_RATE):
    soundfile.write(folder / TEST_TRACK / f"{stem}.wav", samples, rate)


def test_a_folder_of_estimates_is_scored(folder, track):
    source = resolve_estimates(f"mine={folder}")
    assert source.name == "mine" and source.label == "mine (folder of estimates)" and "reading" in source.note
    system = load(source)
    assert system.stems == ("vocals", "drums")
    scores = measure(system, track, "mine", SETTINGS)["scores"]
    assert scores["stems"] == ["vocals", "drums"]
    assert scores["sdr"]["vocals"] == pytest.approx(6.02, abs=0.01)


def test_a_tracks_key_depends_on_its_own_estimates(folder, track):
    (folder / "another").mkdir()
    assert [file.name for file in estimate_files(folder, track.name)] == ["drums.flac", "vocals.wav"]
    assert estimate_files(folder, "another") == estimate_files(folder, "nowhere") == []


def test_a_system_named_like_a_bound_is_not_a_bound(folder):
    assert resolve_estimates(f"oracle:mine={folder}").role == resolve_estimates(f"mixture:x={folder}").role == "peer"
    assert [resolve_all(["mixture", name])[1].role for name in ("oracle", "oracle:mwf")] == ["bound", "bound"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folder", "--estimates: expected NAME=DIR, got 'folder'"),
        ("=folder", "--estimates: expected NAME=DIR, got '=folder'"),
        ("name=", "--estimates: expected NAME=DIR, got 'name='"),
        ("name=/nothing/here", "--estimates name: expected an existing folder, got /nothing/here"),
    ],
)
def test_wrong_options_are_one_line(text, message):
    with pytest.raises((ValueError, FileNotFoundError), match=f"^{message}$"):
        resolve_estimates(text)


def test_a_folder_without_estimates_is_refused(tmp_path):
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / "guitar.wav").touch()
    with pytest.raises(ValueError, match=r"expected TRACK/STEM files \(.*\) with STEM one of vocals, .*, got none in"):
        resolve_estimates(f"mine={tmp_path}")


def change_nothing(folder):
    shutil.rmtree(folder / TEST_TRACK)
    (folder / "another track").mkdir()
    soundfile.write(folder / "another track" / "vocals.wav", np.zeros((10, 2)), SAMPLE_RATE)


def lose_a_stem(folder):
    change_kept = folder / "another track"
    change_kept.mkdir()
    soundfile.write(change_kept / "bass.wav", np.zeros((10, 2)), SAMPLE_RATE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_nothing, f"expected a folder .*{TEST_TRACK} with estimates"),
        (lose_a_stem, "expected vocals, drums, bass as in other tracks, got no bass"),
        (lambda folder: write(folder, "drums", np.zeros((9, 2))), "expected one file of drums, got 2"),
        (
            lambda folder: write(folder, "vocals", np.zeros((9, 2))),
            r"vocals.wav: expected 2 channels of 132300 samples as the track has, got 2 channels of 9 samples",
        ),
        (
            lambda folder: write(folder, "vocals", np.zeros(132_300)),
            "expected 2 channels of 132300 samples as the track has, got 1 channels of 132300 samples",
        ),
        (
            lambda folder: write(folder, "vocals", np.zeros((132_300, 2)), 48_000),
            "vocals.wav: expected 44100 Hz as the track has, got 48000 Hz",
        ),
        (lambda folder: (folder / TEST_TRACK / "vocals.wav").write_text("x"), "vocals.wav: cannot be read"),
    ],
)
def test_an_estimate_that_does_not_fit_its_track_is_one_line(folder, track, change, message):
    change(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        measure(Estimates(str(folder)), track, "mine", SETTINGS)


def test_an_object_of_the_users_is_scored(track):
    source = resolve_python("separator_fakes:Halves")
    assert source.name == "separator_fakes:Halves" and source.label == "separator_fakes:Halves (Python)"
    system = load(source)
    assert (system.stems, system.sample_rate, system.parameters) == (("vocals", "drums"), 44100, 16)
    result = measure(system, track, "mine", SETTINGS)
    assert result["scores"]["stems"] == ["vocals", "drums"]
    for name in ("Counted", "Namespace.made"):  # a class, or an object that is made already
        assert PythonSystem(f"separator_fakes:{name}").parameters == 5


def test_a_factory_gets_a_name_arguments_and_the_device():
    source = resolve_python("mine=separator_fakes:Built?depth=3,kind=fast")
    assert (source.name, source.label) == ("mine", "mine (Python)") and source.location.endswith("kind=fast")
    assert load(source, "meta")._separator.made == (3, "fast", "meta")
    assert source.digest != resolve_python("mine=separator_fakes:Built?depth=4,kind=fast").digest
    given = resolve_python("separator_fakes:Built?depth=2.5,device='cpu'")
    assert given.name == "separator_fakes:Built?depth=2.5,device='cpu'"
    assert load(given, "meta")._separator.made == (2.5, "slow", "cpu")


def test_a_live_objects_identity_is_its_state_and_its_code():
    one, two = Halves(), Halves()
    two.network.load_state_dict(one.network.state_dict())
    assert source_of_object("a", one).digest == source_of_object("a", two).digest
    two.network.weight.data += 1
    assert source_of_object("a", one).digest != source_of_object("a", two).digest
    one.hidden = lambda: None  # cannot be pickled: never reused
    assert source_of_object("a", one).digest != source_of_object("a", one).digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("module", "--system: expected package.module:factory, or NAME=.* got 'module'"),
        ("module:", "--system: expected package.module:factory, or NAME=.* got 'module:'"),
        ("a b:c", "--system: expected package.module:factory, or NAME=.* got 'a b:c'"),
        ("=separator_fakes:Halves", "--system: expected package.module:factory, or NAME="),
        ("x=separator_fakes:Built?3", r"expected argument=value after the \?, got '3'"),
        ("no_such_module:make", "expected a module in sys.path, got no_such_module"),
        ("no_such_package.module:make", r"no_such_package.module cannot be imported \(No module named"),
    ],
)
def test_wrong_names_are_one_line(text, message):
    with pytest.raises(ValueError, match=message):
        resolve_python(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Halves?depth=3", "does not take these arguments .*unexpected keyword argument 'depth'"),
        ("Built", "does not take these arguments .*missing a required argument: 'depth'"),
        ("Namespace.made?depth=3", "expected no arguments, since Namespace.made is an object that is made already"),
        ("Missing", "expected a name in separator_fakes, got Missing"),
        ("NoSeparator", "expected a separator, got NoSeparator without separate"),
    ],
)
def test_an_object_that_is_not_a_separator_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        load(resolve_python(f"separator_fakes:{name}"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Forgetful", r"expected \{stem: array\} of vocals, drums, got vocals"),
        ("Bare", r"expected \{stem: array\} of vocals, got ndarray"),
    ],
)
def test_the_returned_stems_are_checked(name, message, mixture):
    with pytest.raises(ValueError, match=message):
        PythonSystem(f"separator_fakes:{name}").separate(mixture, SAMPLE_RATE)


def test_the_users_systems_come_before_the_oracles_and_names_are_unique(folder):
    names = parse_systems("mixture,oracle:mwf")
    sources = resolve_all(names, [f"mine={folder}"], ["separator_fakes:Halves"])
    assert [source.name for source in sources] == ["mixture", "mine", "separator_fakes:Halves", "oracle", "oracle:mwf"]
    for taken in ("mixture", "demucs"):
        with pytest.raises(ValueError, match=f"got two systems named '{taken}'"):
            resolve_all(names, [f"{taken}={folder}"])
    with pytest.raises(ValueError, match="got two systems named 'separator_fakes:Halves'"):
        resolve_all(names, [], ["separator_fakes:Halves", "separator_fakes:Halves"])


def test_the_command_passes_them_to_the_run(folder, hq_root, tmp_path, monkeypatch):
    from benchmark import __main__ as command

    taken = []

    def run(sources, *others):
        taken.extend(pickle.loads(pickle.dumps(source)) for source in sources)  # as for a process of its own
        return [], []

    monkeypatch.setattr("benchmark.runs.run.run", run)
    options = ["--systems", "mixture", "--estimates", f"mine={folder}", "--system", "separator_fakes:Halves"]
    assert command.main(["run", "--data", str(hq_root), *options, "--out", str(tmp_path / "out")]) == 0
    assert [source.name for source in taken] == ["mixture", "mine", "separator_fakes:Halves", "oracle"]
    assert [load(source).stems for source in taken[1:3]] == [("vocals", "drums")] * 2


@pytest.mark.slow
def test_the_command_scores_both(folder, hq_root, tmp_path, monkeypatch, capsys):
    """The user's module is in the folder in which the command runs, as with `python -m`."""

    import pandas

    from benchmark import __main__ as command

    monkeypatch.syspath_prepend(str(ROOT / "tests"))
    out = tmp_path / "out"
    options = ["--systems", "mixture", "--estimates", f"mine={folder}", "--system", "separator_fakes:Halves"]
    options += ["--system", "separator_fakes:fails", "--keep-estimates", "none", "--threads", "1", "--out", str(out)]
    assert command.main(["run", "--data", str(hq_root), *options]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "failed: separator_fakes:fails, every track left: KeyError: 'weights'"
    scores = pandas.read_csv(out / "scores.csv")
    assert {"mine", "separator_fakes:Halves"} < set(scores.system)
