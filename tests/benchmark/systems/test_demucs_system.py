"""benchmark.systems.demucs: local folders, official weights in the caches, and damaged files."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.systems import demucs as demucs_system
from benchmark.systems.catalog import load, resolve
from benchmark.systems.interface import four_stems
from models.tracks import STEMS
from system_checks import check_separates


@pytest.fixture(autouse=True)
def empty_caches(tmp_path, monkeypatch):
    """Empty caches, so that weights of this user are not found."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *arguments: None)


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(scale=0.1, size=(2, 30_000)).astype(np.float32)


def write_demucs(folder: Path, signature: str, sources=("drums", "bass", "other", "vocals")) -> Path:
    from demucs.hdemucs import HDemucs

    torch.manual_seed(len(signature))
    settings = {"sources": list(sources), "channels": 4, "depth": 6}
    folder.mkdir(parents=True, exist_ok=True)
    state = HDemucs(**settings).state_dict()
    torch.save({"klass": HDemucs, "args": (), "kwargs": settings, "state": state}, folder / f"{signature}.th")
    return folder


def test_demucs_from_a_folder(tmp_path, noise):
    folder = write_demucs(tmp_path / "demucs", "abcd", ("drums", "bass", "other", "vocals", "guitar"))
    source = resolve(f"demucs:{folder}")
    assert source.label == "Demucs (abcd, local folder)" and "unpickled" in source.warning and not source.note
    system = load(source)
    assert system.sample_rate == 44100 and system.parameters > 1000
    check_separates(system, noise)
    model = system._model
    parts = dict(zip(model.sources, np.arange(5.0), strict=True))
    assert four_stems(parts) == {"drums": 0, "bass": 1, "other": 2 + 4, "vocals": 3}

    write_demucs(folder, "efgh")
    with pytest.raises(
        ValueError, match=r"expected one model, got abcd, efgh in .*; choose one as demucs:.*demucs/NAME"
    ):
        resolve(f"demucs:{folder}")
    assert resolve(f"demucs:{folder}/efgh").label == "Demucs (efgh, local folder)"
    with pytest.raises(FileNotFoundError, match="expected one of abcd, efgh in .*, got 'ijkl'"):
        resolve(f"demucs:{folder}/ijkl")
    (folder / "bag.yaml").write_text("models: ['efgh', 'missing']\n")
    with pytest.raises(FileNotFoundError, match="expected missing.th in the same folder, got none"):
        resolve(f"demucs:{folder}")
    (folder / "bag.yaml").write_text("models: ['efgh']\n")
    assert load(resolve(f"demucs:{folder}")).stems == STEMS


def test_a_damaged_demucs_file_is_one_line(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "abcd-00000000.th").write_bytes(b"nothing")
    source = resolve(f"demucs:{tmp_path / 'model'}")
    with pytest.raises(ValueError, match="Invalid checksum"):
        load(source)
    (tmp_path / "model" / "abcd-00000000.th").rename(tmp_path / "model" / "abcd.th")
    with pytest.raises(ValueError, match="expected a Demucs model, got another"):
        load(resolve(f"demucs:{tmp_path / 'model'}"))


def test_a_demucs_trained_on_the_test_set_is_flagged(tmp_path, monkeypatch):
    folder = write_demucs(tmp_path / "mine", "e51eebcc")  # one of mdx_extra's signatures
    assert "MUSDB18 test set" in resolve(f"demucs:{folder}").note
    assert resolve(f"demucs:{folder}").label == "Demucs (e51eebcc, local folder) [trained on the test set]"
    files = write_demucs(tmp_path / "files", "abcd")
    monkeypatch.setattr(demucs_system, "_cached_demucs_files", lambda *arguments: [files / "abcd.th"])
    assert "MUSDB18 test set" in resolve("demucs:mdx_extra_q").note
    assert resolve("demucs:mdx_extra_q").label == "Demucs (mdx_extra_q) [trained on the test set]"
    assert "800 more songs" in resolve("demucs:htdemucs").note
    assert resolve("demucs:htdemucs").label == "Demucs (htdemucs) [extra data]"
    assert resolve("demucs:mdx").note == "" and resolve("demucs:mdx").label == "Demucs (mdx)"


def test_official_demucs_out_of_torchs_cache_and_after_a_download(tmp_path, monkeypatch, noise):
    """The names, files and hashes of a one-model release, with a small model instead of the real one."""
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    remote = tmp_path / "remote"
    remote.mkdir()
    write_demucs(tmp_path, "5c90dfd2")
    content = (tmp_path / "5c90dfd2.th").read_bytes()
    signature_hash = hashlib.sha256(content).hexdigest()[:8]
    (remote / "small.yaml").write_text("models: ['5c90dfd2']\n")
    (remote / "files.txt").write_text(f"root: x/\n5c90dfd2-{signature_hash}.th\n")
    monkeypatch.setattr(demucs_system, "_demucs_remote", lambda: remote)

    def fetch(name):
        assert name == "small"
        cache.mkdir(parents=True)
        (cache / f"5c90dfd2-{signature_hash}.th").write_bytes(content)

    monkeypatch.setattr("demucs.pretrained.get_model", fetch)
    with pytest.raises(FileNotFoundError, match="pass --download"):
        resolve("demucs:small")
    source = resolve("demucs:small", download=True)
    assert source.label == "Demucs (small)" and source.checkpoint == f"small@{signature_hash}"
    assert resolve("demucs:small") == source  # cached: no download needed
    assert set(load(source).separate(noise, 44_100)) == set(STEMS)
    (cache / f"5c90dfd2-{signature_hash}.th").write_bytes(content[:-1])
    with pytest.raises(ValueError, match="damaged download"):
        load(source)
