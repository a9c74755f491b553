"""Strict configuration: built from mappings and overridden by dotted names; an error names the nearest key."""

import re
from dataclasses import dataclass, field

import pytest
import yaml

from models.presets.settings import build, override, parse_assignments, read_yaml, to_mapping


@dataclass(frozen=True)
class Model:
    hidden: int = 64
    bands: str = "v7"
    stems: tuple[str, ...] = ("vocals",)

    def __post_init__(self):
        if self.hidden < 1:
            raise ValueError(f"model.hidden: expected at least 1, got {self.hidden}")


@dataclass(frozen=True)
class Train:
    lr: float
    steps: int
    fast: bool = False


@dataclass(frozen=True)
class Settings:
    name: str
    model: Model
    train: Train = field(default_factory=lambda: Train(1e-3, 10))


SETTINGS = Settings("small", Model(), Train(1e-3, 100))


def raises(message: str):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_build_reads_every_type():
    values = {"name": "x", "model": {"stems": ["a", "b"], "bands": "v1"}, "train": {"lr": 1, "steps": 2, "fast": True}}
    settings = build(Settings, values)
    assert settings == Settings("x", Model(64, "v1", ("a", "b")), Train(1.0, 2, True))
    assert type(settings.train.lr) is float


def test_build_reads_text_as_the_fields_type():
    values = {"lr": "3e-4", "steps": "5", "fast": "False"}
    assert build(Train, values) == Train(3e-4, 5, False)
    assert build(Model, {"stems": "vocals, bass"}).stems == ("vocals", "bass")
    assert build(Train, {"lr": 1, "steps": 1, "fast": "TRUE"}).fast is True


def test_build_keeps_defaults_for_what_is_left_out():
    assert build(Settings, {"name": "x", "model": {}}) == Settings("x", Model(), Train(1e-3, 10))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "x", "modell": {}}, "unknown setting 'modell'; did you mean 'model'?"),
        ({"name": "x", "model": {"hiden": 1}}, "unknown setting 'model.hiden'; did you mean 'model.hidden'?"),
        ({"name": "x", "model": {3: 1}}, "unknown setting 'model.3'; did you mean 'model.stems'?"),
        ({"model": {}}, "missing setting: name"),
        ({}, "missing setting: model, name"),
        ({"name": "x", "model": {}, "train": {}}, "missing setting: train.lr, train.steps"),
        ({"name": "x", "model": None}, "model: expected a mapping of settings, got None"),
        ({"name": "x", "model": [1]}, "model: expected a mapping of settings, got [1]"),
        ([], "Settings: expected a mapping of settings, got []"),
        ({"name": 3, "model": {}}, "name: expected text, got 3"),
        ({"name": None, "model": {}}, "name: expected text, got None"),
        ({"name": "x", "model": {"hidden": 1.0}}, "model.hidden: expected a whole number, got 1.0"),
        ({"name": "x", "model": {"hidden": "1e3"}}, "model.hidden: expected a whole number, got '1e3'"),
        ({"name": "x", "model": {"hidden": True}}, "model.hidden: expected a whole number, got True"),
        ({"name": "x", "model": {"hidden": [1]}}, "model.hidden: expected a whole number, got [1]"),
        ({"name": "x", "model": {"hidden": 0}}, "model.hidden: expected at least 1, got 0"),
        ({"name": "x", "model": {"bands": 7}}, "model.bands: expected text, got 7"),
        ({"name": "x", "model": {"stems": 7}}, "model.stems: expected names separated by commas, got 7"),
        ({"name": "x", "model": {"stems": [7]}}, "model.stems: expected names separated by commas, got [7]"),
        ({"name": "x", "model": {"stems": "a,,b"}}, "model.stems: expected names separated by commas, got 'a,,b'"),
        ({"name": "x", "model": {"stems": ""}}, "model.stems: expected names separated by commas, got ''"),
        ({"name": "x", "model": {}, "train": {"lr": "fast", "steps": 1}}, "train.lr: expected a number, got 'fast'"),
        ({"name": "x", "model": {}, "train": {"lr": False, "steps": 1}}, "train.lr: expected a number, got False"),
        (
            {"name": "x", "model": {}, "train": {"lr": 1, "steps": 1, "fast": "yes"}},
            "train.fast: expected true or false, got 'yes'",
        ),
        (
            {"name": "x", "model": {}, "train": {"lr": 1, "steps": 1, "fast": 1}},
            "train.fast: expected true or false, got 1",
        ),
    ],
)
def test_build_names_what_is_wrong(values, message):
    with raises(message):
        build(Settings, values)


def test_override_changes_what_is_named_and_nothing_else():
    changed = override(SETTINGS, {"model.hidden": 128, "train.lr": "3e-4", "model.stems": "bass,other"})
    assert changed == Settings("small", Model(128, "v7", ("bass", "other")), Train(3e-4, 100))
    assert Settings("small", Model(), Train(1e-3, 100)) == SETTINGS
    assert override(SETTINGS, {}) == SETTINGS


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ({"model.hiden": 1}, "unknown setting 'model.hiden'; did you mean 'model.hidden'?"),
        ({"train.learning_rate": 1}, "unknown setting 'train.learning_rate'; did you mean 'train.lr'?"),
        ({"hidden": 1}, "unknown setting 'hidden'; did you mean 'model.hidden'?"),
        ({"modl.hidden": 1}, "unknown setting 'modl.hidden'; did you mean 'model.hidden'?"),
        ({"model.hidden.size": 1}, "unknown setting 'model.hidden.size'; did you mean 'model.hidden'?"),
        ({"train": 1}, "unknown setting 'train'; did you mean 'train.lr'?"),
        ({"train.lr": 1, "train": 1}, "unknown setting 'train'; did you mean 'train.lr'?"),
        ({"model.hidden": 8, "mode.hidden": 1}, "unknown setting 'mode.hidden'; did you mean 'model.hidden'?"),
        ({"model.hidden": 8, "m": 1}, "unknown setting 'm'; did you mean 'model.stems'?"),
        ({"model.hidden": "many"}, "model.hidden: expected a whole number, got 'many'"),
        ({"model.hidden": 0}, "model.hidden: expected at least 1, got 0"),
        ({"train.fast": "maybe"}, "train.fast: expected true or false, got 'maybe'"),
    ],
)
def test_override_names_what_is_wrong(assignments, message):
    with raises(message):
        override(SETTINGS, assignments)


def test_to_mapping_is_read_back():
    mapping = to_mapping(SETTINGS)
    assert mapping == {
        "name": "small",
        "model": {"hidden": 64, "bands": "v7", "stems": ["vocals"]},
        "train": {"lr": 1e-3, "steps": 100, "fast": False},
    }
    assert build(Settings, mapping) == SETTINGS
    assert build(Settings, yaml.safe_load(yaml.safe_dump(mapping))) == SETTINGS


def test_parse_assignments():
    texts = ["model.hidden=128", " train.lr = 3e-4 ", "model.bands=100:1k,1k:8k", "name=a=b", "x="]
    assert parse_assignments(texts) == {
        "model.hidden": "128",
        "train.lr": "3e-4",
        "model.bands": "100:1k,1k:8k",
        "name": "a=b",
        "x": "",
    }
    assert parse_assignments([]) == {}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["model.hidden"], "--set: expected NAME=VALUE such as model.hidden=128, got 'model.hidden'"),
        (["=3"], "--set: expected NAME=VALUE such as model.hidden=128, got '=3'"),
        ([" =3"], "--set: expected NAME=VALUE such as model.hidden=128, got ' =3'"),
        ([""], "--set: expected NAME=VALUE such as model.hidden=128, got ''"),
        (["a=1", "a =2"], "--set: a is given twice"),
    ],
)
def test_parse_assignments_names_what_is_wrong(texts, message):
    with raises(message):
        parse_assignments(texts)


def test_read_yaml(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\nb: {c: [x, 'é']}\n", encoding="utf-8")
    assert read_yaml(path) == {"a": 1, "b": {"c": ["x", "é"]}}
    path.write_text("a: &common {x: 1}\nb: {x: 2, <<: *common}\nc: {x: 3}\n")
    assert read_yaml(path) == {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "not valid YAML (while parsing a flow sequence"),
        (b"a: \xff", "not valid YAML ('utf-8' codec can't decode"),
        (b"a: !!python/object/apply:os.getcwd []", "not valid YAML (could not determine a constructor"),
        (b"a: 1\nb: 2\na: 3\n", "not valid YAML (line 3: 'a' is given twice)"),
        (b"model:\n  hidden: 64\n  'hidden': 64\n", "not valid YAML (line 3: 'hidden' is given twice)"),
        (b"a: {b: 1, b: 2}", "not valid YAML (line 1: 'b' is given twice)"),
        (b"", "expected a mapping of settings, got NoneType"),
        (b"- 1", "expected a mapping of settings, got list"),
        (b"text", "expected a mapping of settings, got str"),
    ],
)
def test_read_yaml_names_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {message}")) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_read_yaml_of_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none.yaml"))):
        read_yaml(tmp_path / "none.yaml")
