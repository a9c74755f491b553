"""benchmark.systems.catalog and the adapters: names, present and missing weights, and each kind loaded and run."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.systems import demucs as demucs_system
from benchmark.systems import openunmix as openunmix_system
from benchmark.systems.catalog import load, parse_systems, resolve
from benchmark.systems.interface import four_stems, separate_at
from models.tracks import STEMS


@pytest.fixture(autouse=True)
def empty_caches(tmp_path, monkeypatch):
    """Empty caches, so that weights of this user are not found."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *arguments: None)


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(scale=0.1, size=(2, 30_000)).astype(np.float32)


def check_separates(system, noise, stems=STEMS):
    for channels, num_samples, rate in ((2, 30_000, 44_100), (2, 1, 44_100), (1, 3001, 44_100), (2, 3000, 48_000)):
        mixture = noise[:channels, :num_samples]
        estimates = system.separate(mixture, rate)
        assert set(estimates) == set(stems)
        for estimate in estimates.values():
            assert isinstance(estimate, np.ndarray) and estimate.dtype == np.float32
            assert estimate.shape == mixture.shape and np.isfinite(estimate).all()
    first, second = (system.separate(noise, 44_100) for _ in range(2))
    for stem in stems:
        np.testing.assert_array_equal(first[stem], second[stem])


def test_the_bounds_are_always_there_and_names_are_kept_once():
    assert parse_systems("bsrnn, demucs,openunmix") == ["mixture", "bsrnn", "demucs", "openunmix", "oracle"]
    assert parse_systems("oracle,mixture") == ["mixture", "oracle"]
    assert parse_systems("bsrnn,bsrnn,bsrnn:other") == ["mixture", "bsrnn", "bsrnn:other", "oracle"]
    oracles = "oracle:mwf,oracle:irm,bsrnn,oracle:ibm"
    assert parse_systems(oracles)[1:] == ["bsrnn", "oracle:ibm", "oracle", "oracle:mwf"]
    assert parse_systems("demucs,openunmix", "htdemucs", "umxl")[1:3] == ["demucs:htdemucs", "openunmix:umxl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bsrn",), r"got 'bsrn' \(nearest: bsrnn\)"),
        (("Demucs",), r"nearest: demucs"),
        (("bsrnn,",), "expected some of mixture, bsrnn, demucs, openunmix, spleeter, mdxnet, msst, oracle, got ''"),
        (("xyz",), "got 'xyz'$"),
        (("mixture:x",), "expected mixture alone, got 'mixture:x'"),
        (("oracle:x",), "expected oracle:NAME with one of ibm, irm, mwf, got 'oracle:x'"),
        (("demucs:",), "expected demucs or demucs:NAME, got 'demucs:'"),
        (("bsrnn", "htdemucs"), "--demucs htdemucs: expected demucs in --systems, got none"),
        (("demucs:a", "b"), "--demucs b: expected demucs in --systems, got none"),
    ],
)
def test_errors_for_wrong_names_are_one_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_systems(*arguments)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bsrnn:nothing", "bsrnn:nothing has no weights: no checkpoint 'nothing'"),
        ("demucs:nothing", "demucs:nothing has no weights: .*official names, with --download: .*htdemucs"),
        ("openunmix:nothing", "openunmix:nothing has no weights: .*official names, with --download: .*umxhq"),
        ("demucs:htdemucs", "demucs:htdemucs has no weights on this machine: pass --download"),
        ("openunmix:umxhq", "openunmix:umxhq has no weights on this machine: pass --download"),
    ],
)
def test_a_system_without_weights_is_an_error_and_nothing_is_downloaded(name, message, monkeypatch):
    monkeypatch.setattr("demucs.pretrained.get_model", None)  # calling it would fail
    with pytest.raises(FileNotFoundError, match=message):
        resolve(name)


def test_the_mixture_is_its_own_estimate(noise):
    system = load(resolve("mixture"))
    assert all(estimate is noise for estimate in system.separate(noise, 44_100).values())


def save_tiny_checkpoint(folder: Path, architecture: str, model: dict, stems=STEMS) -> Path:
    from models.checkpoints.checkpoint import save_checkpoint
    from models.presets.preset import preset_from_mapping

    torch.manual_seed(0)
    separate = {"segment_s": 1.0, "overlap": 0.1, "batch": 1}
    preset = preset_from_mapping(
        {"architecture": architecture, "model": {"stems": list(stems), **model}, "separate": separate}
    )
    save_checkpoint(folder, preset.build_network().state_dict(), preset, {"data": "noise"}, "# card\n")
    return folder


def test_our_checkpoints(tmp_path, noise):
    model = {"n_fft": 512, "hop": 256, "max_bin": 200, "hidden": 8}
    folder = save_tiny_checkpoint(tmp_path / "tiny", "openunmix", model)
    for kind, label in (("bsrnn", "BSRNN (tiny, ours)"), ("openunmix", "Open-Unmix (tiny, ours)")):
        source = resolve(f"{kind}:{folder}")
        assert source.label == label and source.checkpoint.startswith("tiny@") and len(source.checkpoint) == 13
    system = load(source)
    assert system.parameters == sum(p.numel() for p in system._separator.network.parameters())
    check_separates(system, noise)

    config = json.loads((folder / "config.json").read_text())
    config["preset"]["separate"]["overlap"] = 0.5
    (folder / "config.json").write_text(json.dumps(config))
    changed = resolve(f"openunmix:{folder}")  # the same weights, another way to use them
    assert changed.checkpoint == source.checkpoint and changed.digest != source.digest


def test_the_label_has_the_training_time(tmp_path, monkeypatch):
    monkeypatch.setattr("models.checkpoints.checkpoint.CHECKPOINT_FOLDER", tmp_path)
    save_tiny_checkpoint(
        tmp_path / "openunmix-small", "openunmix", {"n_fft": 512, "hop": 256, "max_bin": 9, "hidden": 4}
    )
    config = json.loads((tmp_path / "openunmix-small" / "config.json").read_text())
    for info, budget in (
        ({}, ""),
        ({"cpu_minutes": 35.2}, ", 35 processor min"),
        ({"cpu_minutes": 5, "cpu_minutes_in_all": 40.2}, ", 40 processor min"),
    ):
        (tmp_path / "openunmix-small" / "config.json").write_text(json.dumps({**config, "info": info}))
        assert resolve("openunmix").label == f"Open-Unmix (openunmix-small, ours{budget})"


def test_the_note_and_flag_follow_from_the_training_data(tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "a", "openunmix", {"n_fft": 512, "hop": 256, "max_bin": 9, "hidden": 4})
    config = json.loads((folder / "config.json").read_text())
    for data, flag in (
        ("86 tracks, 9.8 minutes, from musdb18-7", ""),
        ("97 tracks, 35.4 minutes, from musdb18-7, music-delta", " [extra data]"),
        ("150 tracks, 16 minutes, from musdb18-7 (train and test)", " [trained on the test set]"),
    ):
        (folder / "config.json").write_text(json.dumps({**config, "info": {"training_data": data}}))
        source = resolve(f"openunmix:{folder}")
        assert source.label == f"Open-Unmix (a, ours){flag}" and f"trained on {data}" in source.note
        assert ("not comparable" in source.note) == ("test" in flag)


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
    signature_hash = demucs_system.hashlib.sha256(content).hexdigest()[:8]
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


def test_a_failed_download_is_one_line(monkeypatch):
    def fail(*arguments, **options):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr("demucs.pretrained.get_model", fail)
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    for name in ("demucs:htdemucs", "openunmix:umxl"):
        with pytest.raises(OSError, match=rf"{name}: the download failed \(no route\)"):
            resolve(name, download=True)


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


def test_rate_and_channels_are_converted_there_and_back():
    tone = np.sin(2 * np.pi * 440 / 48_000 * np.arange(48_001))[None].astype(np.float32)
    shapes = []

    def halve(audio):
        shapes.append(tuple(audio.shape))
        return {"vocals": audio / 2}

    restored = separate_at(44_100, 2, halve, tone, 48_000)["vocals"]
    assert shapes == [(2, 44_101)] and restored.shape == tone.shape
    np.testing.assert_allclose(restored[:, 500:-500], tone[:, 500:-500] / 2, atol=1e-3)
    with pytest.raises(ValueError, match="expected a mixture of 2 channels or one, got 3"):
        separate_at(44_100, 2, halve, np.zeros((3, 10), np.float32), 44_100)
