"""The files of onnxruntime-web come from where the user says, and are those that the page was tested with."""

import subprocess
import tarfile

import pytest

from models.browser import runtime
from models.browser.runtime import FILES, VERSION, provide


def put_files(folder, text="file"):
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(f"{text} {name}")


@pytest.mark.parametrize("place", runtime.PLACES)
def test_from_a_folder(tmp_path, monkeypatch, place):
    monkeypatch.setattr(subprocess, "run", None)  # nothing is started, so nothing is fetched
    put_files(tmp_path / "given" / place)
    provide(str(tmp_path / "given"), tmp_path / "page" / "ort")
    assert sorted(path.name for path in (tmp_path / "page/ort").iterdir()) == sorted(FILES)
    assert (tmp_path / "page/ort/ort.wasm.min.mjs").read_text() == "file ort.wasm.min.mjs"


def test_a_folder_without_them_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the package onnxruntime-web .* --runtime npm fetches it"):
        provide(str(tmp_path), tmp_path / "page")
    assert not (tmp_path / "page").exists()


def fake_npm(tmp_path, monkeypatch, returncode=0):
    """npm writes a package with files of known content; returns what it was asked for."""
    asked = []

    def run(command, cwd, **_):
        asked.append(command)
        if returncode == 0:
            put_files(cwd / "package" / "dist")
            with tarfile.open(cwd / f"onnxruntime-web-{VERSION}.tgz", "w:gz") as archive:
                archive.add(cwd / "package", "package")
        return subprocess.CompletedProcess(command, returncode, "", "npm error\nnot found")

    monkeypatch.setattr(runtime.subprocess, "run", run)
    monkeypatch.setattr(runtime.shutil, "which", lambda name: f"/usr/bin/{name}")
    return asked


def test_from_npm_with_the_content_that_was_tested(tmp_path, monkeypatch):
    asked = fake_npm(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match="ort.wasm.min.mjs has other content than expected"):
        provide("npm", tmp_path / "page")
    put_files(tmp_path / "same")
    monkeypatch.setattr(runtime, "FILES", {name: runtime.sha256(tmp_path / "same" / name) for name in FILES})
    provide("npm", tmp_path / "page")
    assert (tmp_path / "page/ort-wasm-simd-threaded.wasm").is_file()
    assert asked == 2 * [["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}"]]


def test_a_failing_npm_is_one_line(tmp_path, monkeypatch):
    fake_npm(tmp_path, monkeypatch, returncode=1)
    with pytest.raises(ValueError, match="npm could not fetch onnxruntime-web .*: npm error not found"):
        provide("npm", tmp_path / "page")
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="--runtime npm needs the program npm; or unpack"):
        provide("npm", tmp_path / "page")
