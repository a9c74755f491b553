"""Imported checkpoints in use: separation, fine-tuning, the benchmark and packages."""

import json
import re

import pytest
import soundfile
import torch

import public_layouts as layouts
from models import load_separator
from models.__main__ import main
from models.checkpoints.checkpoint import load_checkpoint
from models.commands.import_weights import import_checkpoint
from models.running.repository import ROOT
from models.training.initial import initialise
from public_files import FACTS, amanteur_file, magronp_file, output


def test_one_at_a_time_gives_the_same_and_holds_no_weights(tmp_path):
    for seed, stem in enumerate(("vocals", "bass")):
        magronp_file(tmp_path / "in" / f"{stem}.ckpt", seed)
    import_checkpoint([tmp_path / "in"], tmp_path / "all")
    assert torch.equal(output(tmp_path / "all"), output(tmp_path / "all", one_at_a_time=True))
    usual, streamed = (load_separator(str(tmp_path / "all"), one_at_a_time=way, device="cpu") for way in (False, True))
    assert sum(each.numel() for each in usual.network.parameters()) > 0
    assert not list(streamed.network.parameters()) and usual.name == streamed.name


@pytest.mark.parametrize("one_at_a_time", (False, True))
def test_only_the_networks_of_the_wanted_stems_run(tmp_path, one_at_a_time):
    for seed, stem in enumerate(("vocals", "bass")):
        magronp_file(tmp_path / "in" / f"{stem}.ckpt", seed)
    import_checkpoint([tmp_path / "in"], tmp_path / "all")
    separator = load_separator(str(tmp_path / "all"), "cpu", ("bass",), one_at_a_time=one_at_a_time)
    with torch.no_grad():
        estimate = separator.network(layouts.mixture(700, 1)[None]).waveforms
    assert torch.equal(estimate[0], output(tmp_path / "all")[1:])
    with pytest.raises(ValueError, match="stems must be different ones of vocals, bass, got drums"):
        load_separator(str(tmp_path / "all"), "cpu", ("drums",), one_at_a_time=one_at_a_time)


@pytest.mark.slow
def test_separate_a_song(tmp_path, capsys):
    for seed, stem in enumerate(("vocals", "drums")):
        amanteur_file(tmp_path / "in" / f"{stem}.pt", seed)
    import_checkpoint([tmp_path / "in"], tmp_path / "ours", "crlandsc")
    soundfile.write(tmp_path / "song.wav", layouts.mixture(5000, 3).T.numpy(), 44100, subtype="FLOAT")
    for way in ([], ["--one-at-a-time"]):
        command = ["separate", str(tmp_path / "song.wav"), "--checkpoint", str(tmp_path / "ours"), "--device", "cpu"]
        assert main([*command, "--out", str(tmp_path / "out"), "--format", "wavfloat", *way]) == 0
        for stem in ("vocals", "drums"):
            samples, _ = soundfile.read(tmp_path / "out" / f"{stem}.wav")
            assert samples.shape == (5000, 2) and abs(samples).max() > 1e-3
        (tmp_path / "out/vocals.wav").unlink()
    assert "GMAC" not in capsys.readouterr().err  # printed for large networks only


def test_a_large_network_prints_its_cost_and_the_time_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("models.commands.separators.LARGE_GMACS", 0.0)
    import_checkpoint([magronp_file(tmp_path / "vocals.ckpt")], tmp_path / "ours")
    soundfile.write(tmp_path / "song.wav", layouts.mixture(50_000, 3).T.numpy(), 44100)
    command = ["separate", str(tmp_path / "song.wav"), "--checkpoint", str(tmp_path / "ours"), "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "out"), "--set", "separate.segment_s=0.3"]) == 0
    printed = capsys.readouterr().err
    assert "GMAC for a second of audio, about" in printed and "s on this machine" in printed
    assert "2/2 [" in printed  # seconds done / total


def test_separation_has_unity_gain(tmp_path):
    """If a network's stems sum to its input, the stems of a song of several chunks sum to the song."""
    options = {"targets": ("vocals",), "facts": {"targets": ["vocals", "other"], **FACTS}}
    import_checkpoint([magronp_file(tmp_path / "separator.ckpt", **options)], tmp_path / "ours")
    settings = {"separate.segment_s": 0.02}
    separator = load_separator(str(tmp_path / "ours"), device="cpu", settings=settings)
    mixture = layouts.mixture(9000, 2)
    stems = separator.separate(mixture)
    assert set(stems) == {"vocals", "other"} and stems["vocals"].abs().max() > 1e-3
    assert torch.allclose(sum(stems.values()), mixture, atol=1e-5)


def test_fine_tuning_begins_with_every_weight(tmp_path):
    import_checkpoint([magronp_file(tmp_path / "vocals.ckpt", attention=2)], tmp_path / "ours")
    checkpoint = load_checkpoint(tmp_path / "ours")
    network = checkpoint.preset.build_network()
    beginning = initialise(network, tmp_path / "ours")
    assert not beginning.kept
    same = [torch.equal(value, checkpoint.network.state_dict()[name]) for name, value in network.state_dict().items()]
    assert all(same)


@pytest.mark.slow
def test_fine_tuning(tmp_path, hq_root):
    """``train --init`` takes imported weights, trains them for a step and keeps them as float16."""
    import_checkpoint([magronp_file(tmp_path / "vocals.ckpt", attention=2, exchange="prelu")], tmp_path / "ours")
    settings = ["train.steps=1", "train.validate_every=1", "data.crop_s=0.1", "train.batch=1"]
    settings += ["separate.segment_s=0.5", "separate.overlap=0"]
    command = ["train", "--init", str(tmp_path / "ours"), "--data", str(hq_root), "--out", str(tmp_path / "run")]
    assert main([*command, *(part for text in settings for part in ("--set", text))]) == 0
    tuned = load_checkpoint(tmp_path / "run/best")
    assert tuned.preset.architecture == "magronp" and tuned.info["began_with"].startswith("ours@")
    before = dict(load_checkpoint(tmp_path / "ours").network.named_parameters())
    after = dict(tuned.network.named_parameters())
    assert all(torch.allclose(after[name], before[name], atol=2e-3) for name in before)
    assert any(not torch.equal(after[name], before[name].half().float()) for name in before)


def test_benchmark_names_the_codebase_and_the_training_data(tmp_path):
    from benchmark.systems.catalog import load, resolve

    for name, words in (("mine", "training data unknown"), ("oBSRNN-SIMO", "")):
        file = magronp_file(tmp_path / "in" / f"{name}.ckpt", targets=layouts.FOUR)
        import_checkpoint([file], tmp_path / name)
        source = resolve(f"bsrnn:{tmp_path / name}")
        assert source.label == f"BSRNN ({name}, imported, magronp)" + (f" [{words}]" if words else "")
        assert "unknown music" in source.note if words else "from musdb18-hq" in source.note
    system = load(source)
    stems = system.separate(layouts.mixture(3000, 1).numpy(), 44100)
    assert set(stems) == set(layouts.FOUR) and system.gmacs_per_second() > 0


@pytest.mark.slow
def test_package_takes_imported_weights(tmp_path):
    from submission.package.build import package
    from submission.preflight.gpu_time import cost_notes

    import_checkpoint([magronp_file(tmp_path / "all.ckpt", targets=layouts.FOUR)], tmp_path / "oBSRNN-SIMO")
    package(ROOT, tmp_path / "out", [str(tmp_path / "oBSRNN-SIMO")])
    assert (tmp_path / "out/checkpoints/oBSRNN-SIMO/weights.safetensors").is_file()
    for file in ("magronp.py", "magronp_blocks.py", "several.py", "spectrogram.py"):
        assert (tmp_path / "out/models/public" / file).is_file()
    assert not (tmp_path / "out/models/importing").exists()
    entry = json.loads((tmp_path / "out/aicrowd.json").read_text())
    assert entry["external_dataset_used"] and "musdb18-hq" in entry["description"]
    config = tmp_path / "out/checkpoints/oBSRNN-SIMO/config.json"
    for gmacs, verdict in ((286.6, "0.28 s on a T4 .* enough"), (2000, "1.98 s on a T4 .* too slow")):
        values = json.loads(config.read_text())
        values["info"]["gmacs_per_second"] = gmacs
        config.write_text(json.dumps(values))
        (note,) = cost_notes(tmp_path / "out")
        assert re.search(verdict, note)
    import_checkpoint([magronp_file(tmp_path / "vocals.ckpt")], tmp_path / "alone")
    with pytest.raises(ValueError, match="alone: expected all four instruments, got no bass, drums, other"):
        package(ROOT, tmp_path / "out2", [str(tmp_path / "alone")])
