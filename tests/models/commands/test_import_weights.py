"""``python -m models import`` and ``catalog``: weight files of public codebases become checkpoints."""

import dataclasses
import json
import sys
import types

import pytest
import torch

import public_layouts as layouts
from models import load_separator
from models.__main__ import main
from models.checkpoints.checkpoint import load_checkpoint
from models.commands.import_weights import import_checkpoint
from models.running.hashes import sha256
from public_files import FACTS, amanteur_file, fails, magronp_file, output


def test_a_name_is_a_folder_of_checkpoints_and_a_path_is_a_path(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("models.commands.import_weights.CHECKPOINT_FOLDER", tmp_path / "checkpoints")
    monkeypatch.setattr("models.checkpoints.checkpoint.CHECKPOINT_FOLDER", tmp_path / "checkpoints")
    file = magronp_file(tmp_path / "vocals.ckpt")
    assert main(["import", str(file), "--out", "mine"]) == 0
    printed = capsys.readouterr().out
    assert "vocals" in printed and "GMAC" in printed and "unknown music" in printed
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
    """Stems and settings are read from pickled objects; their classes are not imported."""
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


def test_the_catalog_lists_public_weights(capsys):
    assert main(["catalog"]) == 0
    printed = capsys.readouterr().out
    for words in ("oBSRNN-SIMO", "mean 9.79", "mean 9.07", "crlandsc-mdx23", "amanteur-vocals", "licence: none stated"):
        assert words in printed
    assert "https://zenodo.org/records/17516442" in printed


def test_settings_are_read_back(tmp_path):
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


def test_the_card_has_the_address_of_downloaded_files(tmp_path):
    file = magronp_file(tmp_path / "in" / "vocals.ckpt")
    record = {"vocals.ckpt": {"url": "https://example.org/vocals.ckpt", "bytes": 1, "sha256": sha256(file)}}
    (tmp_path / "in/downloads.json").write_text(json.dumps(record))
    import_checkpoint([file], tmp_path / "ours")
    assert "| source | https://example.org/vocals.ckpt |" in (tmp_path / "ours/README.md").read_text()
    magronp_file(file, seed=1)  # another file under the same name
    import_checkpoint([file], tmp_path / "ours2")
    assert "| source | unknown |" in (tmp_path / "ours2/README.md").read_text()
