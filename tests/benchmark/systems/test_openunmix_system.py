"""benchmark.systems.openunmix: local folders, official weights, and files that hold more than weights."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.systems import openunmix as openunmix_system
from benchmark.systems.catalog import load, resolve
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


def write_openunmix(folder: Path, stems=STEMS, n_fft=512, hidden=8) -> Path:
    from openunmix.model import OpenUnmix

    folder.mkdir(parents=True)
    settings = {"sample_rate": 44100, "nfft": n_fft, "nhop": n_fft // 4, "nb_channels": 2}
    (folder / "separator.json").write_text(json.dumps(settings))
    for seed, stem in enumerate(stems):
        torch.manual_seed(seed)
        state = OpenUnmix(n_fft // 2 + 1, 2, hidden, max_bin=100).state_dict()
        torch.save(state | {"stft.window": torch.ones(3)}, folder / f"{stem}.pth")
        arguments = {"nfft": n_fft, "nb_channels": 2, "hidden_size": hidden}
        (folder / f"{stem}.json").write_text(json.dumps({"args": arguments}))
    return folder


def test_openunmix_from_a_folder(tmp_path, noise):
    source = resolve(f"openunmix:{write_openunmix(tmp_path / 'umx')}")
    assert source.label == "Open-Unmix (umx, local folder)" and source.checkpoint.startswith("umx@")
    system = load(source)
    assert system.stems == STEMS
    check_separates(system, noise)
    vocals = load(resolve(f"openunmix:{write_openunmix(tmp_path / 'one', ('vocals',))}"))
    check_separates(vocals, noise, ("vocals",))


def test_openunmix_files_hold_weights_only(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "harm",))

    folder = write_openunmix(tmp_path / "umx")
    torch.save({"input_mean": Harmful()}, folder / "drums.pth")
    with pytest.raises(ValueError, match="drums.pth: expected a file of weights only, got another"):
        load(resolve(f"openunmix:{folder}"))
    (folder / "drums.pth").write_bytes(pickle.dumps(Harmful(), protocol=2))
    with pytest.raises(ValueError, match="drums.pth: expected a file of weights only, got another"):
        load(resolve(f"openunmix:{folder}"))
    assert not (tmp_path / "harm").exists()
    torch.save({"input_mean": torch.zeros(100)}, folder / "drums.pth")
    with pytest.raises(ValueError, match="drums.pth: expected weights of an Open-Unmix, got none named"):
        load(resolve(f"openunmix:{folder}"))
    (folder / "drums.pth").unlink()
    with pytest.raises(FileNotFoundError, match="expected drums.json and one drums.pth .* got 0 weight files"):
        resolve(f"openunmix:{folder}")
    (folder / "separator.json").write_text("{}")
    (folder / "drums.json").unlink()
    with pytest.raises(ValueError, match="expected a folder of Open-Unmix models, got another"):
        load(resolve(f"openunmix:{folder}"))


def test_official_openunmix_loads_what_a_download_brings(tmp_path, monkeypatch, noise):
    import openunmix
    from openunmix.model import Separator

    made = load(resolve(f"openunmix:{write_openunmix(tmp_path / 'umx')}"))._separator
    fetched = []

    def fetch(url, file, hash_prefix):
        fetched.append((url, hash_prefix))
        stem = Path(file).name.split("-")[0]
        torch.save(made.target_models[stem].state_dict(), file)

    def umx(pretrained):
        from openunmix.model import OpenUnmix

        assert not pretrained  # that would download
        return Separator({stem: OpenUnmix(257, 2, 8, max_bin=100) for stem in STEMS}, niter=1, n_fft=512, n_hop=128)

    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    monkeypatch.setattr(openunmix, "umx", umx)
    source = resolve("openunmix:umx", download=True)
    assert fetched[0] == ("https://zenodo.org/records/3370486/files/vocals-c8df74a5.pth", "c8df74a5")
    assert len(fetched) == 4 and resolve("openunmix:umx") == source
    estimates, expected = load(source).separate(noise, 44_100), openunmix_system.OpenUnmixSystem(made, 2, 512, "cpu")
    for stem, audio in expected.separate(noise, 44_100).items():
        np.testing.assert_array_equal(estimates[stem], audio)
