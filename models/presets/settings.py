"""Strict configuration: frozen dataclasses from YAML mappings, and overrides such as ``model.hidden=128``.

``override`` is used for ``--set`` on every command line and for the search spaces. An unknown key is an error; its
message has the nearest known name.
"""

import dataclasses
import difflib
import functools
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def build(cls: type[T], values: Mapping[str, Any], path: str = "") -> T:
    """Make a dataclass from a mapping; absent fields have their defaults.

    Args:
        cls: a dataclass whose fields are str, int, float, bool, dataclasses, or tuples of one of these.
        values: field names and values; text is converted to the field's type.
        path: of the mapping inside the configuration, such as "model"; for messages.

    Raises:
        ValueError: an unknown or missing key, or a value of another type; the message gives the nearest name.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{path or cls.__name__}: expected a mapping of settings, got {values!r}")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise ValueError(_unknown(_join(path, str(key)), [_join(path, name) for name in names]))
    required = {
        field.name
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(values)):
        raise ValueError(f"missing setting: {', '.join(_join(path, name) for name in missing)}")
    return cls(**{key: _convert(hints[key], value, _join(path, key)) for key, value in values.items()})


def override(config: T, assignments: Mapping[str, Any]) -> T:
    """Copy a dataclass with some settings changed.

    Args:
        config: a dataclass, nested ones included.
        assignments: dotted names and values, ``{"model.hidden": 128, "train.lr": "3e-4"}``.

    Raises:
        ValueError: an unknown name (the message gives the nearest), a value of another type, or one out of range.
    """
    changes = {
        head: dataclasses.replace(getattr(config, head), **values)
        for head, values in typed(config, assignments).items()
    }
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def typed(config: Any, assignments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Convert assignments to the types of their settings, grouped by section; ranges are not checked.

    Raises:
        ValueError: an unknown name (the message gives the nearest), or a value of another type.
    """
    hints = typing.get_type_hints(type(config))
    sections: dict[str, dict[str, Any]] = {}
    for name, value in assignments.items():
        head, dot, tail = name.partition(".")
        current = getattr(config, head, None) if head in hints else None
        if not dot or not dataclasses.is_dataclass(current):
            raise ValueError(_unknown(name, _settings(config)))
        types = typing.get_type_hints(type(current))
        if tail not in types:
            raise ValueError(_unknown(name, _settings(config)))
        sections.setdefault(head, {})[tail] = _convert(types[tail], value, name)
    return sections


def parse_assignments(texts: list[str]) -> dict[str, str]:
    """Read ``["model.hidden=128"]`` as ``{"model.hidden": "128"}``.

    Raises:
        ValueError: a text without ``=``, or a name given twice.
    """
    assignments: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"--set: expected NAME=VALUE such as model.hidden=128, got {text!r}")
        if name.strip() in assignments:
            raise ValueError(f"--set: {name.strip()} is given twice")
        assignments[name.strip()] = value.strip()
    return assignments


def to_mapping(config: Any) -> dict[str, Any]:
    """A dataclass as plain values for YAML and JSON; ``build`` is the inverse."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return to_mapping(value) if dataclasses.is_dataclass(value) else value


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ValueError: not YAML, a key given twice, or not a mapping.
        FileNotFoundError: no such file.
    """
    import yaml

    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _unique_key_loader())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a mapping of settings, got {type(values).__name__}")
    return values


@functools.cache
def _unique_key_loader() -> Any:
    """The safe loader, but a key given twice is an error; ``SafeLoader`` silently uses the last one."""
    import yaml

    class UniqueKeyLoader(yaml.SafeLoader):
        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
            node = super().compose_mapping_node(anchor)
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                    raise yaml.YAMLError(f"line {key.start_mark.line + 1}: {key.value!r} is given twice")
                seen.add((key.tag, str(key.value)))
            return node

    return UniqueKeyLoader


def _convert(kind: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return build(typing.cast(type, kind), value, name)
    if typing.get_origin(kind) is tuple and typing.get_args(kind)[0] is not str:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name}: expected a list, got {value!r}")
        return tuple(_convert(typing.get_args(kind)[0], item, f"{name}.{index}") for index, item in enumerate(value))
    if typing.get_origin(kind) is tuple:
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
        if isinstance(items, (list, tuple)) and all(isinstance(item, str) and item for item in items):
            return tuple(items)
        raise ValueError(f"{name}: expected names separated by commas, got {value!r}")
    if kind is bool:
        answers = {"true": True, "false": False}
        if isinstance(value, bool) or (isinstance(value, str) and value.lower() in answers):
            return value if isinstance(value, bool) else answers[value.lower()]
        raise ValueError(f"{name}: expected true or false, got {value!r}")
    if kind is str and isinstance(value, str):
        return value
    if kind in (int, float) and not isinstance(value, bool):
        try:
            number = kind(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if isinstance(number, int) or (kind is float and isinstance(number, float)):
            return kind(number)
    expected = {int: "a whole number", float: "a number", str: "text"}[kind]
    raise ValueError(f"{name}: expected {expected}, got {value!r}")


def _settings(config: Any) -> list[str]:
    return [
        f"{field.name}.{inner.name}"
        for field in dataclasses.fields(config)
        if dataclasses.is_dataclass(getattr(config, field.name))
        for inner in dataclasses.fields(getattr(config, field.name))
    ]


def _unknown(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown setting {name!r}" + (f"; did you mean {nearest[0]!r}?" if nearest else "")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
