"""``python -m models import`` and what takes its checkpoints by name."""

import dataclasses
import json
import re
import sys
import types
from pathlib import Path

import pytest
import soundfile
import torch

import public_layouts as layouts
from models import load_separator
from models.__main__ import main
from models.checkpoints.checkpoint import load_checkpoint
from models.commands.import_weights import import_checkpoint
from models.running.hashes import sha256
from models.running.repository import ROOT
from models.training.initial import initialise

FACTS = {"n_hop": layouts.HOP, "n_fft": layouts.N_FFT, "eps": 1e-7, "group_num": 1}


def magronp_file(path: Path, seed: int = 0, facts: dict | None = None, change=lambda state: state, **options) -> Path:
    """A Lightning checkpoint as magronp's code writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"layers": 1, "attention": 0, "exchange": ""} | options
    state = change(layouts.draw(layouts.magronp_keys(**options), seed))
    targets = options.get("targets", (path.stem,))
    facts = {"targets": list(targets), **FACTS} if facts is None else facts
    torch.save({"state_dict": state, "hyper_parameters": facts, "epoch": 7}, path)
    return path


def amanteur_file(path: Path, seed: int = 0, prefix: str = "", change=lambda state: state) -> Path:
    """A bare state dict as amanteur's code writes it, or with Lightning's prefix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = change(layouts.draw(layouts.amanteur_keys(layers=1), seed))
    if prefix:
        state = {f"{prefix}{name}": value for name, value in state.items()}
        state["featurizer.window"] = torch.hann_window(layouts.N_FFT)
        torch.save({"state_dict": state, "callbacks": {}}, path)
    else:
        torch.save(state, path)
    return path


def fails(capsys, *arguments) -> str:
    """The one line that a command prints before exit code 2."""
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def output(folder: Path | str, **options) -> torch.Tensor:
    """What a checkpoint makes of a mixture, [S, C, T]."""
    with torch.no_grad():
        network = load_separator(str(folder), device="cpu", **options).network
        return network(layouts.mixture(700, 1)[None]).waveforms[0]


def test_a_name_goes_to_the_checkpoints_and_a_path_stays_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("models.commands.import_weights.CHECKPOINT_FOLDER", tmp_path / "checkpoints")
    monkeypatch.setattr("models.checkpoints.checkpoint.CHECKPOINT_FOLDER", tmp_path / "checkpoints")
    file = magronp_file(tmp_path / "vocals.ckpt")
    assert main(["import", str(file), "--out", "mine"]) == 0
    assert "vocals" in (told := capsys.readouterr().out) and "GMAC" in told and "unknown music" in told
    assert main(["import", str(file), "--out", str(tmp_path / "there")]) == 0
    assert load_separator("mine", device="cpu").stems == ("vocals",)
    named, there = (load_checkpoint(tmp_path / folder) for folder in ("checkpoints/mine", "there"))
    assert named.identity.split("@")[1] == there.identity.split("@")[1]


def test_a_folder_of_stems_becomes_one_checkpoint(tmp_path):
    for seed, stem in enumerate(("other", "vocals", "bass")):
        magronp_file(tmp_path / "in" / f"{stem}.ckpt", seed)
    import_checkpoint([tmp_path / "in"], tmp_path / "all")
    separator = load_separator(str(tmp_path / "all"), device="cpu")
    assert separator.stems == ("vocals", "bass", "other")  # the project's order
    together = output(tmp_path / "all")
    for index, stem in enumerate(separator.stems):
        import_checkpoint([tmp_path / "in" / f"{stem}.ckpt"], tmp_path / stem)
        assert torch.equal(output(tmp_path / stem)[0], together[index])
    assert len(load_checkpoint(tmp_path / "all").info["sha256"]) == 3


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


def test_auto_cannot_tell_amanteur_from_crlandsc(tmp_path, capsys):
    file = amanteur_file(tmp_path / "vocals.pt")
    line = fails(capsys, "import", file, "--out", tmp_path / "ours")
    assert "--format crlandsc or --format amanteur" in line and "same names and shapes" in line
    line = fails(capsys, "import", file, "--out", tmp_path / "ours", "--format", "magronp")
    assert "expected weights of the layout magronp" in line


def test_lightning_prefix_and_names_of_folders(tmp_path):
    bare = amanteur_file(tmp_path / "vocals.pt")
    wrapped = amanteur_file(tmp_path / "bsrnn-vocals" / "last.ckpt", prefix="model.")
    import_checkpoint([bare], tmp_path / "a", "crlandsc")
    import_checkpoint([wrapped], tmp_path / "b", "crlandsc")
    assert torch.equal(output(tmp_path / "a"), output(tmp_path / "b"))
    assert load_separator(str(tmp_path / "b"), device="cpu").stems == ("vocals",)


def test_stems_can_be_named(tmp_path, capsys):
    file = amanteur_file(tmp_path / "epoch=3.ckpt")
    assert "--stems" in fails(capsys, "import", file, "--out", tmp_path / "ours", "--format", "amanteur")
    assert main(["import", str(file), "--out", str(tmp_path / "ours"), "--format", "amanteur", "--stems", "flute"]) == 0
    assert load_separator(str(tmp_path / "ours"), device="cpu").stems == ("flute",)
    two = magronp_file(tmp_path / "two.ckpt", facts=FACTS, targets=("x", "y"))
    assert "2 stems; name them" in fails(capsys, "import", two, "--out", tmp_path / "ours2")
    assert main(["import", str(two), "--out", str(tmp_path / "ours2"), "--stems", "solo,tutti"]) == 0
    assert load_separator(str(tmp_path / "ours2"), device="cpu").stems == ("solo", "tutti")


def test_stems_that_would_be_paths_are_refused(tmp_path, capsys):
    file = magronp_file(tmp_path / "vocals.ckpt", facts={"targets": ["../../vocals"], **FACTS})
    assert "names of files" in fails(capsys, "import", file, "--out", tmp_path / "ours")


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float64))
def test_other_precisions(tmp_path, dtype):
    def change(state):
        return {name: value.to(dtype) for name, value in state.items()}

    def there_and_back(state):
        return {name: value.to(dtype).float() for name, value in state.items()}

    import_checkpoint([magronp_file(tmp_path / "a" / "vocals.ckpt", change=change)], tmp_path / "half")
    import_checkpoint([magronp_file(tmp_path / "b" / "vocals.ckpt", change=there_and_back)], tmp_path / "full")
    assert torch.equal(output(tmp_path / "half"), output(tmp_path / "full"))


def test_shards(tmp_path, capsys):
    whole = amanteur_file(tmp_path / "vocals.pt")
    state = torch.load(whole, weights_only=True)
    for index in range(3):
        part = {name: value for number, (name, value) in enumerate(state.items()) if number % 3 == index}
        (tmp_path / "in").mkdir(exist_ok=True)
        torch.save(part, tmp_path / "in" / f"vocals-{index + 1:05}-of-00003.bin")
    import_checkpoint([tmp_path / "in"], tmp_path / "sharded", "amanteur")
    import_checkpoint([whole], tmp_path / "whole", "amanteur")
    assert torch.equal(output(tmp_path / "sharded"), output(tmp_path / "whole"))
    (tmp_path / "in" / "vocals-00002-of-00003.bin").unlink()
    line = fails(capsys, "import", tmp_path / "in", "--out", tmp_path / "ours", "--format", "amanteur")
    assert "shard 2 of 3 of 'vocals' is missing" in line


def test_older_names_of_the_mask(tmp_path):
    def older(state):
        return {name.replace("maskers.0.", ""): value for name, value in state.items()}

    import_checkpoint([magronp_file(tmp_path / "a" / "vocals.ckpt", change=older)], tmp_path / "old")
    import_checkpoint([magronp_file(tmp_path / "b" / "vocals.ckpt")], tmp_path / "new")
    assert torch.equal(output(tmp_path / "old"), output(tmp_path / "new"))


def test_hyper_parameters_of_omegaconf(tmp_path):
    """Stems and settings are read out of pickled objects whose classes are never imported."""
    names = ("omegaconf", "omegaconf.listconfig", "omegaconf.nodes", "omegaconf.dictconfig")
    modules = {name: types.ModuleType(name) for name in names}
    classes = {}
    for name, module in (("ListConfig", names[1]), ("AnyNode", names[2]), ("DictConfig", names[3])):
        classes[name] = type(name, (), {"__module__": module, "__qualname__": name})
        setattr(modules[module], name, classes[name])

    def made(name, **state):
        thing = classes[name]()
        thing.__dict__.update(state)
        return thing

    targets = made("ListConfig", _content=[made("AnyNode", _val=stem) for stem in ("drums", "bass")], _metadata=1)
    optimiser = made("DictConfig", _content={"lr": made("AnyNode", _val=0.001)})
    sys.modules |= modules
    try:
        facts = {"targets": targets, "cfg_optim": optimiser, **FACTS, "n_hop": made("AnyNode", _val=16)}
        file = magronp_file(tmp_path / "separator.ckpt", facts=facts, targets=("a", "b"))
    finally:
        for name in modules:
            del sys.modules[name]
    import_checkpoint([file], tmp_path / "ours")
    separator = load_separator(str(tmp_path / "ours"), device="cpu")
    assert separator.stems == ("drums", "bass") and separator.network.hop == 16
    assert not set(names) & set(sys.modules)


@pytest.mark.parametrize(
    ("change", "words"),
    (
        (lambda state: {n: v for n, v in state.items() if n != "BN.2.0.bias"}, ("1 of", "missing: BN.2.0.bias")),
        (lambda state: state | {"extra.weight": torch.zeros(1)}, ("1 unexpected: extra.weight",)),
        (lambda state: state | {"BN.1.1.bias": torch.zeros(9)}, ("BN.1.1.bias is [9], expected [8]",)),
        (lambda state: {n: v for n, v in state.items() if "BN.3." not in n}, ("BN.3.1.weight* are missing",)),
        (lambda state: state | {"BN.0.1.bias": torch.full((8,), torch.nan)}, ("values that are not finite",)),
    ),
)
def test_wrong_weights_are_named(tmp_path, capsys, change, words):
    file = magronp_file(tmp_path / "vocals.ckpt", change=change)
    line = fails(capsys, "import", file, "--out", tmp_path / "ours")
    assert all(word in line for word in words), line
    assert not (tmp_path / "ours" / "weights.safetensors").exists()


def without(state, part):
    return {name: value for name, value in state.items() if part not in name}


def test_networks_that_are_not_read(tmp_path, capsys):
    def gru(state):
        return {n: v[: v.shape[0] // 4 * 3] if "main_layer" in n else v for n, v in state.items()}

    magronp = {
        "not bidirectional LSTMs": {"change": gru},
        "bidirectional": {"change": lambda state: without(state, "_reverse")},
        "convolutional": {"change": lambda state: without(state, "time_net") | {"separator.0.x": torch.ones(1)}},
        "mask_ctxt is 2": {"facts": {"mask_ctxt": 2, "targets": ["vocals"]}},
        "n_hop: expected a whole number": {"facts": {"n_hop": "x" * 5, "targets": ["vocals"]}},
        "has masks for 1 stems, but 3 names": {"facts": {"targets": ["a", "b", "c"]}},
    }
    for index, (words, options) in enumerate(magronp.items()):
        file = magronp_file(tmp_path / str(index) / "vocals.ckpt", **options)
        assert words in fails(capsys, "import", file, "--out", tmp_path / "ours")
    file = amanteur_file(tmp_path / "vocals.pt", change=lambda state: without(state, "bandsequence"))
    assert "no BLSTM" in fails(capsys, "import", file, "--out", tmp_path / "ours", "--format", "amanteur")
    file = amanteur_file(tmp_path / "h" / "vocals.pt")
    (tmp_path / "h" / "hparams.yaml").write_text("model:\n  return_mask: true\nprivate:\n  token: secret\n")
    line = fails(capsys, "import", file, "--out", tmp_path / "ours", "--format", "amanteur")
    assert "return_mask: True" in line and "secret" not in line


def test_two_files_of_one_stem_and_other_mistakes(tmp_path, capsys):
    for name in ("a/vocals.ckpt", "b/vocals.ckpt"):
        magronp_file(tmp_path / name)
    line = fails(capsys, "import", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "ours")
    assert "expected every stem once" in line
    (tmp_path / "full").mkdir()
    (tmp_path / "full/photo.jpg").write_text("x")
    line = fails(capsys, "import", tmp_path / "a", "--out", tmp_path / "full")
    assert "got something else" in line and (tmp_path / "full/photo.jpg").exists()


def test_card_and_facts(tmp_path):
    files = [magronp_file(tmp_path / "simo" / "separator.ckpt", targets=layouts.FOUR)]
    import_checkpoint(files, tmp_path / "oBSRNN-SIMO")
    card = (tmp_path / "oBSRNN-SIMO/README.md").read_text()
    info = json.loads((tmp_path / "oBSRNN-SIMO/config.json").read_text())["info"]
    assert "| 10.66 | 9.73 | 10.98 | 7.78 | 9.79 |" in card and info["sha256"]["separator.ckpt"] in card
    assert "zenodo.org/records/17516442" in card and "Bandsplit cannot tell" in card
    assert info["training_data"].endswith("from musdb18-hq") and f"| training data | {info['training_data']} |" in card
    import_checkpoint(files, tmp_path / "another-name")
    card = (tmp_path / "another-name/README.md").read_text()
    assert "none stated" in card and "unknown music from unknown" in card and "10.66" not in card


def test_the_catalog_lists_what_can_be_had(capsys):
    assert main(["catalog"]) == 0
    told = capsys.readouterr().out
    for words in ("oBSRNN-SIMO", "mean 9.79", "mean 9.07", "crlandsc-mdx23", "amanteur-vocals", "licence: none stated"):
        assert words in told
    assert "https://zenodo.org/records/17516442" in told


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
    assert "GMAC" not in capsys.readouterr().err  # said for large networks only


def test_a_large_network_says_its_cost_and_the_time_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("models.commands.separate.LARGE_GMACS", 0.0)
    import_checkpoint([magronp_file(tmp_path / "vocals.ckpt")], tmp_path / "ours")
    soundfile.write(tmp_path / "song.wav", layouts.mixture(50_000, 3).T.numpy(), 44100)
    command = ["separate", str(tmp_path / "song.wav"), "--checkpoint", str(tmp_path / "ours"), "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "out"), "--set", "separate.segment_s=0.3"]) == 0
    told = capsys.readouterr().err
    assert "GMAC for a second of audio, about" in told and "s on this machine" in told
    assert "2/2 [" in told  # seconds done, of all


def test_separation_has_unity_gain(tmp_path):
    """With a network whose stems sum to its input, the stems of a song of several chunks do too."""
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


def test_settings_survive_the_way_to_disk_and_back(tmp_path):
    options = {"targets": layouts.FOUR, "attention": 2, "exchange": "prelu"}
    _, preset = import_checkpoint([magronp_file(tmp_path / "separator.ckpt", **options)], tmp_path / "ours")
    assert load_checkpoint(tmp_path / "ours").preset == preset
    (network,) = preset.model.networks
    assert network.band_widths == layouts.WIDTHS and network.attention_heads == 2 and network.exchange_hidden == 16
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in preset.build_network().state_dict().items()}
    loaded = load_checkpoint(tmp_path / "ours").network.state_dict()
    assert shapes == {name: value.shape for name, value in loaded.items()}
    with pytest.raises(ValueError, match="band_widths: expected widths that sum to 65"):
        dataclasses.replace(network, band_widths=(3, 4))


def test_the_card_tells_where_files_were_downloaded(tmp_path):
    file = magronp_file(tmp_path / "in" / "vocals.ckpt")
    record = {"vocals.ckpt": {"url": "https://example.org/vocals.ckpt", "bytes": 1, "sha256": sha256(file)}}
    (tmp_path / "in/downloads.json").write_text(json.dumps(record))
    import_checkpoint([file], tmp_path / "ours")
    assert "| source | https://example.org/vocals.ckpt |" in (tmp_path / "ours/README.md").read_text()
    magronp_file(file, seed=1)  # another file under the same name
    import_checkpoint([file], tmp_path / "ours2")
    assert "| source | not told |" in (tmp_path / "ours2/README.md").read_text()


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


def test_benchmark_says_whose_weights_and_what_they_have_seen(tmp_path):
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
