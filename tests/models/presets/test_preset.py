"""Presets: the shipped ones load, build a network and survive a round trip; the paper's have the paper's values."""

import dataclasses
import json
import re

import pytest
import torch
import yaml

from models.bsrnn import BSRNN
from models.checkpoints.checkpoint import find_checkpoint, load_checkpoint
from models.peers import HDemucsNetwork, MoisesLightNetwork, OpenUnmixNetwork, SCNetNetwork
from models.presets.preset import PRESET_FOLDER, RETIRED, load_preset, preset_from_mapping, preset_names, with_stems
from models.presets.settings import override, to_mapping
from models.tracks import STEMS

PRESETS = sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml"))
PAPER = {"vocals": "v7", "bass": "bass", "drums": "drums", "other": "v7"}

ARCHITECTURES = "bsrnn, openunmix, hdemucs, scnet, moises_light, magronp, amanteur, crlandsc"


def test_the_presets_that_ship():
    assert preset_names() == PRESETS
    assert {"small", "tiny", "openunmix-small", "hdemucs-small", *(f"paper-{stem}" for stem in STEMS)} <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build_a_network(name):
    preset = load_preset(name)
    with torch.device("meta"):
        network = preset.build_network()
    kinds = {"bsrnn": BSRNN, "openunmix": OpenUnmixNetwork, "hdemucs": HDemucsNetwork}
    kinds |= {"scnet": SCNetNetwork, "moises_light": MoisesLightNetwork}
    assert type(network) is kinds[preset.architecture]
    assert network.stems == preset.model.stems
    assert (network.sample_rate, network.channels) == (44100, 2)
    assert set(network.stems) <= set(preset.data.sources) == set(STEMS)
    assert any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", [name for name in PRESETS if not name.startswith("paper")])
def test_small_presets_separate(name):
    network = load_preset(name).build_network().eval()
    with torch.no_grad():
        waveforms = network(torch.randn(1, 2, 9000, generator=torch.Generator().manual_seed(0))).waveforms
    assert waveforms.shape == (1, 4, 2, 9000)
    assert waveforms.isfinite().all()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_a_round_trip(name):
    preset = load_preset(name)
    assert preset_from_mapping(to_mapping(preset)) == preset
    assert preset_from_mapping(json.loads(json.dumps(to_mapping(preset)))) == preset
    assert preset_from_mapping(yaml.safe_load(yaml.safe_dump(to_mapping(preset)))) == preset


@pytest.mark.parametrize("stem", STEMS)
def test_paper_presets_are_the_papers(stem):
    preset = to_mapping(load_preset(f"paper-{stem}"))
    assert preset["architecture"] == "bsrnn"
    assert preset["model"] == {
        "stems": [stem],
        "sample_rate": 44100,
        "n_fft": 2048,
        "hop": 512,
        "bands": PAPER[stem],
        "features": 128,
        "hidden": 256,  # 2 N
        "layers": 12,
        "mask_factor": 4,  # 4 N = 512
        "norm": "group",
        "stereo": "folded",
        "mid_side": False,
        "level_inputs": False,
        "attention_heads": 0,
        "causal": False,
    }
    assert preset["data"] == {
        "sources": list(STEMS),
        "crop_s": 3.0,
        "crops": "salient",
        "channels": 1,
        "mid_side": 0.0,
        "gain_db": 10.0,
        "drop": 0.1,
        "remix": 1.0,
        "speed_semitones": 0.0,
        "reverse": 0.0,
        "rendered": 0.0,
        "rendered_stems": ["drums", "bass", "other"],
    }
    assert preset["train"] == {
        "batch": 8 * 2,
        "steps": 100 * 10_000,
        "minutes": 0.0,
        "clock": "wall",
        "loss": "complex",
        "keep_examples": 1.0,
        "keep_frames": 1.0,
        "keep_all_steps": 0,
        "teacher": 0.0,
        "optimizer": "adam",
        "lr": 1e-3,
        "warmup_steps": 0,
        "schedule": "exponential",
        "decay": 0.98,
        "decay_steps": 2 * 10_000,
        "clip": 5.0,
        "ema": 0.0,
        "precision": "float32",
        "validate_every": 10_000,
        "patience": 10,
        "non_finite": "stop",
        "seed": 0,
    }
    assert preset["separate"]["segment_s"] == 3.0
    assert preset["separate"]["segment_s"] * (1 - preset["separate"]["overlap"]) == 1.5


@pytest.mark.parametrize("name", ["small", "tiny", "live"])
def test_a_preset_is_the_network_of_its_checkpoint(name):
    model = load_preset(name).model
    assert model == load_checkpoint(find_checkpoint(name)).preset.model
    assert model.stems == STEMS and sum(model.band_widths) == model.num_bins


def test_a_yaml_file_is_a_preset(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("architecture: bsrnn\nmodel: {features: 8}\nseparate: {segment_s: 2, overlap: 0, batch: 1}\n")
    preset = load_preset(str(path))
    assert (preset.model.features, preset.model.hidden, preset.separate.segment_s) == (8, 256, 2.0)
    with pytest.raises(FileNotFoundError, match="none.yml"):
        load_preset(str(tmp_path / "none.yml"))


def test_presets_are_overridden_by_dotted_names():
    preset = override(load_preset("small"), {"model.hidden": "48", "separate.overlap": "0.5"})
    assert (preset.model.hidden, preset.separate.overlap) == (48, 0.5)
    for name, message in (
        ("model.hiden", "unknown setting 'model.hiden'; did you mean 'model.hidden'?"),
        ("architecture", "unknown setting 'architecture'; did you mean "),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            override(load_preset("small"), {name: "48"})


@pytest.mark.parametrize("name", ["small", "openunmix-small", "hdemucs-small", "paper-vocals"])
def test_presets_take_stems_of_ones_own(name):
    stems = ("guitar", "piano", "rest")
    preset = with_stems(load_preset(name), stems)
    assert preset.model.stems == preset.data.sources == stems
    assert preset.data.rendered == 0 and preset_from_mapping(to_mapping(preset)) == preset
    with torch.device("meta"):
        assert preset.build_network().stems == stems
    for wrong in ((), ("a", "a"), ("mixture", "a"), ("",)):
        with pytest.raises(ValueError, match="^stems: expected 1 to 64 different names"):
            with_stems(preset, wrong)


def test_rendered_sources_stay_among_stems_of_ones_own():
    preset = override(load_preset("small"), {"data.rendered": 0.5})
    assert with_stems(preset, STEMS) == preset
    some = with_stems(preset, ("other", "bass")).data
    assert (some.rendered, some.rendered_stems) == (0.5, ("bass", "other"))
    none = with_stems(preset, ("guitar", "rest")).data
    assert (none.rendered, none.rendered_stems) == (0.0, ())
    assert to_mapping(none)["rendered_stems"] == []


@pytest.mark.parametrize("name", ["smal", "small.json", "", "../presets/small", "Small"])
def test_an_unknown_preset_gives_the_nearest_name(name):
    with pytest.raises(ValueError, match=re.escape(f"no preset {name!r}; did you mean ")):
        load_preset(name)


def test_the_nearest_name_is_the_nearest():
    with pytest.raises(ValueError, match=re.escape("did you mean 'paper-vocals'? (or give a .yaml file)")):
        load_preset("paper-vocal")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"architecture": "demucs"},
            f"architecture: expected one of {ARCHITECTURES}, got 'demucs'",
        ),
        (
            {"architecture": None},
            f"architecture: expected one of {ARCHITECTURES}, got None",
        ),
        (
            {"architecture": ["bsrnn"]},
            f"architecture: expected one of {ARCHITECTURES}, got ['bsrnn']",
        ),
        ({"training": {}}, "unknown section 'training'; expected architecture, model, data, train, separate"),
        ({"model": {"hiden": 3}}, "unknown setting 'model.hiden'; did you mean 'model.hidden'?"),
        ({"model": {"max_bin": 1487}}, "unknown setting 'model.max_bin'"),
        ({"model": {"stereo": "features"}}, "model.stereo: expected one of folded, tac, spatial, got 'features'"),
        ({"model": {"hidden": 0}}, "model.hidden: expected 1 to 4096, got 0"),
        ({"model": None}, "model: expected a mapping of settings, got None"),
        ({"data": {"drop": 1.0}}, "data.drop: expected a probability in [0, 1), got 1.0"),
        ({"train": {"optimizer": "sgd"}}, "train.optimizer: expected one of adam, muon, got 'sgd'"),
        ({"separate": {}}, "missing setting: separate.batch, separate.overlap, separate.segment_s"),
    ],
)
def test_wrong_presets_are_named(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        preset_from_mapping({**to_mapping(load_preset("small")), **change})


OTHER_THAN_RETIRED = {
    "model.band_rounding": "hz",
    "model.mask_layers": 2,
    "model.wiener_iterations": 0,
    "data.flip_sign": 0.5,
    "data.swap_channels": 0.5,
    "train.accumulate": 4,
}


@pytest.mark.parametrize(("setting", "value"), OTHER_THAN_RETIRED.items())
def test_a_removed_setting_may_be_named_at_its_default_alone(setting, value):
    assert RETIRED.keys() == OTHER_THAN_RETIRED.keys()
    section, name = setting.split(".")
    values = to_mapping(load_preset("small"))
    values[section] = {**values[section], name: RETIRED[setting]}
    assert preset_from_mapping(values) == load_preset("small")
    values[section][name] = value
    message = f"{setting} was removed: expected its default {RETIRED[setting]!r} or no such line, got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        preset_from_mapping(values)
    with pytest.raises(ValueError, match=f"unknown setting '{setting}'"):
        override(load_preset("small"), {setting: RETIRED[setting]})


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_complete(name):
    values = yaml.safe_load((PRESET_FOLDER / f"{name}.yaml").read_text())
    assert to_mapping(load_preset(name)).keys() == values.keys()
    for section in ("model", "data", "train", "separate"):
        assert set(values[section]) == {field.name for field in dataclasses.fields(getattr(load_preset(name), section))}
