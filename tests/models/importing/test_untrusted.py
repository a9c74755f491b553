"""Malicious and damaged files: one line on stderr, exit code 2, and nothing in them runs."""

import collections
import io
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path

import pytest
import torch

from models.__main__ import main
from models.importing.pickles import read_pickle
from models.importing.records import Placeholder
from models.importing.untrusted import UntrustedFile

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3)}
MARK = Path("ran")


class CallsFunction:
    """An attack: unpickling it calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class CallsMethod:
    """An attack: unpickling it calls its own method, if its class can be imported."""

    def __setstate__(self, state):
        MARK.write_text("ran")

    def __getstate__(self):
        return {"secret": 1}


def saved(path: Path, content) -> Path:
    torch.save(content, path)
    return path


def rewritten(path: Path, change) -> Path:
    """A file of torch.save whose members are changed: ``change(name, data)`` returns new data."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))
    return path


def with_pickle(path: Path, data: bytes) -> Path:
    return rewritten(saved(path, WEIGHTS), lambda name, content: data if name.endswith("data.pkl") else content)


def refused(capsys, path: Path, *words: str) -> None:
    """Importing the file is one line on stderr and exit code 2."""
    assert main(["import", str(path), "--out", str(path.parent / "ours")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words), line
    assert len(line) < 600 and not (path.parent / "ours").exists()


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not MARK.exists(), "something of a file was run"


def test_plain_content_is_read(tmp_path):
    content = {"state_dict": WEIGHTS, "epoch": 3, "ratio": 0.5, "names": ["x", ("y", None, True)], 7: "text"}
    content["ordered"] = collections.OrderedDict(one=1)
    content["parameter"] = torch.nn.Parameter(torch.ones(2))
    with UntrustedFile(saved(tmp_path / "a.pt", content)) as file:
        read = file.content
        assert torch.equal(file.tensor(read["state_dict"]["a"]), WEIGHTS["a"])
        assert torch.equal(file.tensor(read["parameter"]), torch.ones(2))
    del read["state_dict"], read["parameter"]
    assert read == {"epoch": 3, "ratio": 0.5, "names": ["x", ("y", None, True)], 7: "text", "ordered": {"one": 1}}


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol(protocol):
    content = {"a": [1, 2.5, None, "text", (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "big": 10**40, "": {}}
    assert read_pickle(pickle.dumps(content, protocol), lambda _: None) == content
    placeholder = read_pickle(pickle.dumps(CallsMethod(), protocol), lambda _: None)
    assert isinstance(placeholder, Placeholder)
    assert placeholder.state == {"secret": 1}
    assert isinstance(read_pickle(pickle.dumps({1, 2}, protocol), lambda _: None), Placeholder)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float16, torch.bfloat16, torch.float64))
def test_views_and_types(tmp_path, dtype):
    whole = torch.arange(24).reshape(4, 6).to(dtype)
    content = {"part": whole[1:3, ::2], "turned": whole.T, "empty": whole[:0], "number": whole[0, 1]}
    with UntrustedFile(saved(tmp_path / "a.pt", content)) as file:
        for name, tensor in content.items():
            assert torch.equal(file.tensor(file.content[name]), tensor)


@pytest.mark.parametrize("place", ("alone", "state_dict", "hyper_parameters"))
@pytest.mark.parametrize(
    "call",
    ((os.system, "touch ran"), (exec, "open('ran', 'w')"), (__import__, "this")),
    ids=("system", "exec", "import"),
)
def test_calls_are_refused(tmp_path, capsys, call, place):
    attack = CallsFunction(*call)
    content = attack if place == "alone" else {"state_dict": WEIGHTS, "hyper_parameters": {}} | {place: attack}
    refused(capsys, saved(tmp_path / "a.ckpt", content), "attack", "no code was run")


def test_methods_of_objects_are_not_called(tmp_path, capsys):
    refused(capsys, saved(tmp_path / "a.ckpt", CallsMethod()), "expected a state dict")
    refused(capsys, saved(tmp_path / "b.ckpt", {"state_dict": CallsMethod()}), "expected weights by name")
    with UntrustedFile(saved(tmp_path / "c.ckpt", {"state_dict": WEIGHTS, "x": CallsMethod()})) as file:
        assert file.content["x"].state == {"secret": 1}


def test_no_class_is_imported(tmp_path, monkeypatch):
    """Python does not import a module that a file names."""
    module = types.ModuleType("omegaconf_of_theirs")
    module.DictConfig = type("DictConfig", (), {"__module__": "omegaconf_of_theirs", "__qualname__": "DictConfig"})
    monkeypatch.setitem(sys.modules, "omegaconf_of_theirs", module)
    path = saved(tmp_path / "a.ckpt", {"config": module.DictConfig()})
    monkeypatch.delitem(sys.modules, "omegaconf_of_theirs")
    with UntrustedFile(path) as file:
        assert file.content["config"].name == "omegaconf_of_theirs.DictConfig"
    assert "omegaconf_of_theirs" not in sys.modules


def test_billion_laughs(tmp_path, capsys):
    for name, wrap in (("list", lambda inner: [inner] * 10), ("tuple", lambda inner: (inner,) * 10)):
        laugh = wrap("ha")
        for _ in range(40):
            laugh = wrap(laugh)
        content = {"state_dict": WEIGHTS, "hyper_parameters": laugh}
        refused(capsys, saved(tmp_path / f"{name}.ckpt", content), "unfolds to more than")


def test_a_key_whose_hash_takes_for_ever(tmp_path, capsys):
    # A mapping whose key is the number 1 in 60 nested pairs; both items of a pair are the same object.
    data = b"\x80\x02}" + b"K\x01" + b"".join(b"2\x86" for _ in range(60)) + b"K\x01s."
    refused(capsys, with_pickle(tmp_path / "a.pt", data), "unfolds to more than")


def test_deep_nesting(tmp_path, capsys):
    data = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    refused(capsys, with_pickle(tmp_path / "a.pt", data), "nested deeper")


def test_a_container_inside_itself_counts_once():
    loop: list = [1]
    loop.append(loop)
    read = read_pickle(pickle.dumps(loop, 2), lambda _: None)
    assert read[0] == 1 and read[1] is read


def test_a_storage_that_claims_100_gigabytes(tmp_path, capsys):
    path = saved(tmp_path / "a.pt", WEIGHTS)

    def claim(name: str, data: bytes) -> bytes:
        return data.replace(b"K\x06", b"\x8a\x05" + (25 * 10**9).to_bytes(5, "little")) if "data.pkl" in name else data

    refused(capsys, rewritten(path, claim), "claims 100000000000 bytes, but has 24")


@pytest.mark.parametrize("size", (b"\x8a\x05" + (10**11).to_bytes(5, "little"), b"M\x00\x10", b"J\xff\xff\xff\xff"))
def test_a_tensor_beyond_its_storage(tmp_path, size):
    path = saved(tmp_path / "a.pt", WEIGHTS)
    rewritten(path, lambda name, data: data.replace(b"K\x02K\x03\x86", size + b"K\x03\x86"))
    with (
        pytest.raises(ValueError, match="does not fit into a storage of 6 numbers|not a number in range"),
        UntrustedFile(path) as file,
    ):
        file.tensor(file.content["a"])


def test_numbers_repeated_by_a_stride_of_zero(tmp_path):
    """A view with more elements than its storage would need huge memory when it is copied."""
    path = saved(tmp_path / "a.pt", {"a": torch.zeros(1).expand(1000)})
    with pytest.raises(ValueError, match="does not fit into a storage of 1 numbers"), UntrustedFile(path) as file:
        file.tensor(file.content["a"])


def test_compressed_members_are_refused(tmp_path, capsys):
    path = saved(tmp_path / "a.pt", WEIGHTS)
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    refused(capsys, path, "compressed")


@pytest.mark.parametrize("cut", (10, 200, 700))
def test_files_cut_short(tmp_path, capsys, cut):
    path = saved(tmp_path / "a.pt", WEIGHTS)
    path.write_bytes(path.read_bytes()[:cut])
    refused(capsys, path, "expected a file that torch.save wrote")


def test_damage_inside(tmp_path, capsys):
    for index, data in enumerate(
        (b"", b"\x80\x02}", b"}.", b"\x80\x02a.", b"\x80\x02Q.", b"h\x05.", b"\xff" * 20, b"\x80\x02\x97.")
    ):
        refused(capsys, with_pickle(tmp_path / f"{index}.pt", data), str(tmp_path))
    path = saved(tmp_path / "flipped.pt", WEIGHTS)
    data = bytearray(path.read_bytes())
    place = bytes(data).index(WEIGHTS["a"].numpy().tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="download it again"), UntrustedFile(path) as file:
        file.tensor(file.content["a"])


def test_other_files(tmp_path, capsys):
    bare = tmp_path / "bare.ckpt"
    bare.write_bytes(pickle.dumps(CallsFunction(os.system, "touch ran")))
    refused(capsys, bare, "expected a file that torch.save wrote")
    old = tmp_path / "old.pt"
    torch.save(WEIGHTS, old, _use_new_zipfile_serialization=False)
    refused(capsys, old, "PyTorch 1.6 or newer")
    pointer = tmp_path / "pointer.pt"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\n")
    refused(capsys, pointer, "git lfs pull")
    outer = tmp_path / "all.pt"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(saved(tmp_path / "vocals.ckpt", WEIGHTS), "models/vocals.ckpt")
    refused(capsys, outer, "a zip of files", "unpack it first")
    refused(capsys, tmp_path / "none.pt", "there is none")
    (tmp_path / "folder").mkdir()
    refused(capsys, tmp_path / "folder", "holds none")


def test_long_text_does_not_flood_the_message(tmp_path, capsys):
    name = "x" * 100_000
    refused(capsys, saved(tmp_path / "a.pt", {"state_dict": {name: torch.zeros(1)}}), "expected weights of")
    stream = io.BytesIO()
    pickle.Pickler(stream, 2).dump(0)
    data = b"\x80\x02c" + b"os\n" + b"y" * 100_000 + b"\n."
    refused(capsys, with_pickle(tmp_path / "b.pt", data), "attack")
