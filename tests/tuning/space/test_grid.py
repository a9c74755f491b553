"""Grids: options become checked cells; invalid values and combinations are reported with the reason."""

import pytest

from models.presets.preset import load_preset
from tuning.space.grid import check_values, expand, join_grids, parse_grid, read_space, space_names


def test_a_grid_is_every_combination_once():
    grid = parse_grid(["model.bands=v4,v7", "model.hidden=16, 32 ,64"])
    assert grid == {"model.bands": ("v4", "v7"), "model.hidden": ("16", "32", "64")}
    cells, rejections = expand(load_preset("small"), grid)
    assert not rejections
    assert [(cell.preset.model.bands, cell.preset.model.hidden) for cell in cells] == [
        (bands, hidden) for bands in ("v4", "v7") for hidden in (16, 32, 64)
    ]
    assert cells[1].name == "model.bands=v4 model.hidden=32"


def test_a_cell_changes_nothing_else():
    preset = load_preset("small")
    cells, _ = expand(preset, parse_grid([f"train.lr={preset.train.lr}"]))
    assert cells[0].preset == preset


def test_semicolons_separate_values_that_hold_commas():
    grid = parse_grid(["model.bands=v7;100:1k,250:4k,500:8k,1k:16k,2k:20k"])
    assert grid == {"model.bands": ("v7", "100:1k,250:4k,500:8k,1k:16k,2k:20k")}
    assert len(expand(load_preset("small"), grid)[0]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.hidden"], "expected key=value,value"),
        (["=1,2"], "expected key=value,value"),
        (["model.hidden=1,,2"], "expected key=value,value"),
        (["model.hidden=64,64"], "same value twice"),
        (["model.hidden=64", "model.hidden=32"], "given twice"),
    ],
)
def test_an_invalid_grid_is_refused(arguments: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        parse_grid(arguments)


def test_invalid_combinations_are_listed_with_the_reason():
    cells, rejections = expand(load_preset("small"), parse_grid(["model.n_fft=2048,4096", "model.hop=1024,2048"]))
    assert len(cells) == 3
    assert [rejection.overrides for rejection in rejections] == [{"model.n_fft": "2048", "model.hop": "2048"}]
    assert "model.hop" in rejections[0].reason and "2048" in rejections[0].reason


def test_the_bands_of_another_network_may_be_a_number():
    check_values(load_preset("moises-light-small"), {"model.bands": ("2", "4")})


@pytest.mark.parametrize("argument", ["model.hiden=64,128", "model.hidden=big", "model.bands=v99"])
def test_a_grid_without_a_valid_combination_is_refused_with_the_reason(argument: str):
    with pytest.raises(ValueError, match="none of the .* combinations is valid: .*model"):
        expand(load_preset("small"), parse_grid([argument]))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("model.hiden=64,128", "did you mean 'model.hidden'"),
        ("hidden=64", "unknown setting 'hidden'"),
        ("model.hidden=64,big", "model.hidden: expected a whole number, got 'big'"),
        ("model.bands=v3,v99", "no scheme 'v99'; did you mean"),
        ("model.bands=v3;100:1k,300:2k", "choose a width that divides the range"),
        ("train.steps=5,10", "got train.steps, which --budget determines"),
        ("train.seed=0,1", "got train.seed; use --seeds"),
    ],
)
def test_an_invalid_value_is_refused_even_beside_valid_values(argument: str, message: str):
    with pytest.raises(ValueError, match=message):
        check_values(load_preset("small"), parse_grid([argument]))


@pytest.mark.parametrize("name", space_names())
def test_the_spaces_of_the_package_are_valid(name: str):
    preset = load_preset("tiny")
    grid = read_space(name)
    check_values(preset, grid)
    cells, rejections = expand(preset, grid)
    assert len(cells) > len(rejections) and len(cells) > 2
    assert len({cell.name for cell in cells}) == len(cells)


def test_spaces_are_those_of_the_issue():
    assert set(space_names()) >= {"bands", "blstm", "mask", "frames", "paper"}
    assert read_space("paper") == {"model.bands": ("v1", "v2", "v3", "v4", "v5", "v6", "v7")}


def test_a_space_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model.level_inputs: [true, false]\nmodel.stems: [[vocals], [vocals, drums]]\ntrain.lr: [0.001]\n")
    grid = read_space(str(path))
    assert grid == {
        "model.level_inputs": ("true", "false"),
        "model.stems": ("vocals", "vocals,drums"),
        "train.lr": ("0.001",),
    }
    assert [cell.preset.model.stems for cell in expand(load_preset("tiny"), grid)[0]] == [
        ("vocals",),
        ("vocals", "drums"),
    ] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.hidden: 64\n", "model.hidden: expected a list of values"),
        ("model.hidden: []\n", "model.hidden: expected a list of values"),
        ("model.hidden: [64, 64]\n", "same value twice"),
        ("- v1\n", "expected a mapping"),
    ],
)
def test_an_invalid_space_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_space(str(path))


def test_a_missing_space_is_named():
    with pytest.raises(ValueError, match="--space: no space 'band'; did you mean 'bands'"):
        read_space("band")
    with pytest.raises(FileNotFoundError):
        read_space("/nowhere/band.yaml")


def test_spaces_are_combined_and_the_grid_option_replaces_values():
    paper, mask = read_space("paper"), read_space("mask")
    joined = join_grids([paper, mask], {"model.bands": ("v7",), "model.hidden": ("8",)})
    assert joined == {"model.bands": ("v7",), **mask, "model.hidden": ("8",)}
    with pytest.raises(ValueError, match="model.bands is varied by two spaces"):
        join_grids([paper, read_space("bands")], {})
    with pytest.raises(ValueError, match="expected settings to vary, got none"):
        join_grids([], {})
