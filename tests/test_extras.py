"""The extras of pip: one list of pins, and a fresh environment of each runs what it is for."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement

from models.__main__ import main
from models.running.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LARGEST_BYTES = 150e6
FLOAT = ("--precision", "float32")


def pins(extra: str) -> set[str]:
    """All pinned lines of an extra; those of the extras that it names are included."""
    found = set(PROJECT["dependencies"])
    for line in EXTRAS[extra]:
        if own := re.fullmatch(r"bandsplit\[(.+)\]", line):
            found |= set().union(*map(pins, own[1].split(",")))
        else:
            found.add(line)
    return found


def test_requirements_txt_is_the_union_of_the_extras():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert set().union(*map(pins, EXTRAS)) == {line for line in lines if line and not line.startswith("#")}


def test_the_extra_without_torch_is_small():
    assert {Requirement(line).name for line in pins("onnx")} == {"numpy", "soundfile", "tqdm", "onnxruntime"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this repository, built from a copy: setuptools writes into the folder that it builds."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for package in ("models", "benchmark", "tuning", "submission"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", copy / "out", copy], check=True)
    (built,) = (copy / "out").glob("bandsplit-*.whl")
    return built


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    folder = tmp_path_factory.mktemp("song")
    soundfile.write(folder / "song.wav", 0.3 * np.random.default_rng(0).standard_normal((50_000, 2)), 44100, "FLOAT")
    assert main(["export", "tiny", "--onnx", str(folder / "tiny.onnx")]) == 0
    separate = ["separate", str(folder / "song.wav"), "--format", "wavfloat", "--device", "cpu", *FLOAT]
    assert main([*separate, "--checkpoint", "tiny", "--out", str(folder / "expected")]) == 0
    return folder


def check_stems(folder: Path, expected: Path) -> None:
    for path in expected.glob("*.wav"):
        ours, theirs = (soundfile.read(each / path.name)[0] for each in (folder, expected))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    assert len(list(folder.glob("*.wav"))) == 4


@pytest.mark.slow
def test_a_fresh_environment_without_torch(tmp_path, wheel, song):
    """pip installs the extra ``onnx`` from the index; without pip itself it has less than 150 MB, and it separates."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/pip", "install", "-q", f"{wheel}[onnx]"], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    ours = [path for path in packages.iterdir() if not re.match(r"(pip|setuptools|pkg_resources)\b", path.name)]
    files = [path for entry in ours for path in (entry.rglob("*") if entry.is_dir() else [entry]) if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"bandsplit[onnx]: {size / 1e6:.1f} MB")
    assert size < LARGEST_BYTES
    assert not (packages / "torch").exists() and (packages / "onnxruntime").exists()
    bandsplit = [venv / "bin/bandsplit", "separate", song / "song.wav", "--out", tmp_path / "out"]
    graph = ["--onnx", song / "tiny.onnx", "--format", "wavfloat"]
    subprocess.run([*bandsplit, *graph], cwd=tmp_path, check=True)
    check_stems(tmp_path / "out", song / "expected")
    refused = subprocess.run(bandsplit, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    assert refused.stderr.startswith("error: this needs the package torch, which is not installed; of pip install")
    shown = subprocess.run([venv / "bin/bandsplit", "--help"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: bandsplit ")


def installed(lines: set[str]) -> set[str]:
    """Names of the installed packages that requirements need, their own requirements included."""
    found: set[tuple[str, str]] = set()
    waiting = [(requirement, "") for requirement in map(Requirement, lines)]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            if (requirement.name.lower(), wanted) not in found:
                found.add((requirement.name.lower(), wanted))
                needed = importlib.metadata.requires(requirement.name) or []
                waiting += [(each, wanted) for each in map(Requirement, needed)]
    return {name for name, _ in found}


@pytest.fixture
def environment(tmp_path, wheel):
    """A function that makes an environment with an extra's packages, linked from this one, and gives its python."""

    def make(extra: str) -> Path:
        venv = tmp_path / extra
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        (packages,) = venv.glob("lib/python*/site-packages")
        for name in installed(pins(extra)):
            distribution = importlib.metadata.distribution(name)
            tops = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
            for top in tops:
                if not (packages / top).exists():
                    (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
        shutil.unpack_archive(wheel, packages, "zip")
        return venv / "bin/python"

    return make


def run(python: Path, *arguments: object, cwd: Path) -> str:
    command = [str(argument) for argument in (python, *arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    return done.stdout


def modules(*packages: str) -> list[str]:
    """Every module of some packages but their starts."""
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return sorted(name.removesuffix(".__init__") for name in names if not name.endswith("__main__"))


@pytest.mark.slow
def test_separate_has_all_that_it_needs(tmp_path, environment, song):
    python = environment("separate")
    options = ["--checkpoint", ROOT / "checkpoints/tiny", "--format", "wavfloat", "--device", "cpu", *FLOAT]
    run(python, "-m", "models", "separate", song / "song.wav", *options, "--out", tmp_path / "out", cwd=tmp_path)
    check_stems(tmp_path / "out", song / "expected")
    run(python, "-m", "models", "export", ROOT / "checkpoints/tiny", "--onnx", tmp_path / "tiny.onnx", cwd=tmp_path)
    assert (tmp_path / "tiny.onnx").stat().st_size > 1e6
    for package in ("matplotlib", "ray", "demucs", "musdb"):
        missing = subprocess.run([python, "-c", f"import {package}"], capture_output=True, cwd=tmp_path)
        assert missing.returncode == 1, f"{package} is in the environment: it is no test"


@pytest.mark.slow
def test_train_has_all_that_it_needs(tmp_path, environment, hq_root):
    python = environment("train")
    run(python, "-c", f"import {', '.join(modules('models'))}", cwd=tmp_path)
    settings = ["--set", "train.steps=2", "--set", "train.batch=1", "--set", "train.minutes=0"]
    run(
        python, "-m", "models", "train", "--preset", "tiny", "--data", hq_root, "--out", tmp_path / "run", *settings,
        "--max-minutes", 0.2, cwd=tmp_path,
    )  # fmt: skip
    assert (tmp_path / "run").is_dir()


@pytest.mark.slow
def test_benchmark_has_all_that_it_needs(tmp_path, environment, hq_root):
    python = environment("benchmark")
    run(python, "-c", f"import {', '.join(modules('benchmark'))}", cwd=tmp_path)
    run(
        python, "-m", "benchmark", "run", "--data", hq_root, "--systems", f"bsrnn:{ROOT / 'checkpoints/tiny'}",
        "--out", tmp_path / "r", cwd=tmp_path,
    )  # fmt: skip
    run(python, "-m", "benchmark", "report", tmp_path / "r", cwd=tmp_path)
    assert (tmp_path / "r/report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["tuning", "submission"])
def test_other_extras_have_all_that_they_need(tmp_path, environment, extra):
    python = environment(extra)
    names = [name for name in modules(extra) if ".kit" not in name]
    run(python, "-c", f"import {', '.join(names)}", cwd=tmp_path)
    assert run(python, "-m", extra, "--help", cwd=tmp_path).startswith(f"usage: python -m {extra}")
