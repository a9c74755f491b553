"""benchmark.runs.result_key, imports and hashes: a key holds exactly what a result depends on."""

import os
import sys

import pytest

from benchmark.provenance.hashes import FileHashes
from benchmark.provenance.imports import made_of, version_of
from benchmark.provenance.weights import Source
from benchmark.runs import result_key as module
from benchmark.runs.result_key import differences, made_by, result_key
from benchmark.runs.settings import Settings
from benchmark.systems.catalog import LOADERS, resolve
from benchmark.systems.python_object import resolve_python
from models.tracks import open_tracks

CHECKPOINT = Source("bsrnn", "BSRNN", "checkpoint", "", "", "1")


def files_of(loader):
    return set(made_of([LOADERS[loader].__module__, module.TRACKS]).files)


def test_the_code_of_a_system_is_only_what_it_runs():
    ours, mixture, demucs = files_of("checkpoint"), files_of("mixture"), files_of("demucs official")
    network = {"models/bsrnn/mask.py", "models/separation/separator.py", "models/signal/chunking.py"}
    scoring = {"benchmark/scoring/toeplitz.py", "benchmark/scoring/spectral.py", "models/metrics.py"}
    tracks = {"models/tracks/folder.py", "models/tracks/stem_file.py"}
    assert network <= ours and tracks <= ours & mixture and not network & mixture
    assert scoring <= set(made_of([module.MEASURE]).files)
    for loader in LOADERS:  # else a changed metric would separate again
        assert not scoring & files_of(loader)
    assert "benchmark/systems/demucs.py" in demucs and "models/separation/separator.py" not in demucs
    for other in (
        "benchmark/tables/report.py",
        "benchmark/runs/run.py",
        "benchmark/runs/store.py",
        "models/training/loop.py",
    ):
        assert other not in ours | mixture | demucs


def test_a_changed_file_or_package_changes_the_key(tmp_path, monkeypatch):
    before = made_by(CHECKPOINT, "bandsplit")
    assert made_by(CHECKPOINT, "bandsplit") == before and {"torch", "scipy", "demucs"} <= set(before["packages"])
    assert "museval" not in before["packages"] and "museval" in made_by(CHECKPOINT, "museval")["packages"]
    original = module.made_of
    touched = []

    def changed(modules):
        code = original(modules)
        copy = tmp_path / "changed.py"
        copy.write_bytes(b"changed")
        return type(code)(code.files | {place: copy for place in {touched[-1]} & set(code.files)}, code.packages)

    monkeypatch.setattr(module, "made_of", changed)
    for place, words in (("models/bsrnn/mask.py", "our code"), ("models/metrics.py", "our code that scores")):
        touched.append(place)
        assert differences(before, made_by(CHECKPOINT, "bandsplit")) == [words]
    monkeypatch.setattr(module, "made_of", original)
    monkeypatch.setattr(module, "version_of", lambda name: "9" if name == "scipy" else version_of(name))
    assert differences(before, made_by(CHECKPOINT, "bandsplit")) == [f"scipy {version_of('scipy')} to 9"]


def test_threads_and_stored_audio_are_not_in_a_key(hq_root):
    (track,) = open_tracks(hq_root, "test")
    key = result_key(resolve("mixture"), track, Settings("cpu", 1))
    assert result_key(resolve("mixture"), track, Settings("cpu", 8, 15)) == key and "threads" not in key
    assert result_key(resolve("mixture"), track, Settings("cuda", 1)) != key
    assert differences({"format": 3}, key) == ["results of another version of the benchmark"]


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_imports_are_followed_and_nothing_is_run(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    write(
        tmp_path,
        {
            "a_house/__init__.py": "def later():\n    from a_house import unused\nraise SystemExit\n",
            "a_house/unused.py": "",
            "a_house/room.py": "from . import chair\nfrom .chair import leg\nimport os.path, numpy.fft as fft\n",
            "a_house/chair.py": "def sit():\n    import a_tree\n",
            "a_tree.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n",
        },
    )
    code = made_of(["a_house.room"])
    assert list(code.files) == ["a_house/__init__.py", "a_house/chair.py", "a_house/room.py", "a_tree.py"]
    assert code.packages == {"numpy"}
    assert "a_house/unused.py" in made_of(["a_house"]).files


@pytest.mark.parametrize("changed", ["a_system/weights.bin", "a_system/inner/net.py", "a_helper.py"])
def test_a_users_system_is_its_package_and_what_it_imports(changed, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("a_system", "a_helper"):  # as an earlier case left it
        monkeypatch.delitem(sys.modules, name, raising=False)
    write(
        tmp_path,
        {
            "a_system/__init__.py": "",
            "a_system/made.py": "def make():\n    import a_helper, torch\n",
            "a_system/inner/net.py": "",
            "a_system/weights.bin": "1",
            "a_helper.py": "",
            "unrelated.py": "",
        },
    )
    before = resolve_python("a_system.made:make").digest
    write(tmp_path, {"unrelated.py": "1", "a_system/__pycache__/made.pyc": "2"})
    assert resolve_python("a_system.made:make").digest == before and f"torch {version_of('torch')}" in before
    write(tmp_path, {changed: "x = 2"})
    assert resolve_python("a_system.made:make").digest != before


def test_hashes_are_of_every_byte_and_remembered_until_a_file_changes(tmp_path, monkeypatch):
    file = tmp_path / "a.wav"
    file.write_bytes(bytes(300_000))
    os.utime(file, (1, 1))
    monkeypatch.setattr("benchmark.provenance.hashes.JUST_CHANGED_S", -1e9)
    hashes = FileHashes(tmp_path / "out")
    first = hashes.of([file])
    hashes.save()
    monkeypatch.setattr("hashlib.file_digest", None)  # reading it again would fail
    assert FileHashes(tmp_path / "out").of([file]) == first
    monkeypatch.undo()
    content = bytearray(300_000)
    content[100_000] = 1
    file.write_bytes(content)
    os.utime(file, (1, 1))  # the same size and time of change
    assert FileHashes(tmp_path / "out").of([file]) != first
    (tmp_path / "out" / "hashes.json").write_text("[damaged")
    assert FileHashes(tmp_path / "out").of([file]) == FileHashes().of([file])
