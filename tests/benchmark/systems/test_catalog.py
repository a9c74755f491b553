"""benchmark.systems.catalog and interface: names, missing weights, our checkpoints, and the conversion of audio."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.systems.catalog import load, parse_systems, resolve
from benchmark.systems.interface import separate_at
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


def test_a_failed_download_is_one_line(monkeypatch):
    def fail(*arguments, **options):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr("demucs.pretrained.get_model", fail)
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    for name in ("demucs:htdemucs", "openunmix:umxl"):
        with pytest.raises(OSError, match=rf"{name}: the download failed \(no route\)"):
            resolve(name, download=True)


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
