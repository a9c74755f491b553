"""Changes of a light submission that the pre-flight check must find, and a fake package index."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from submission.preflight.findings import Finding
from submissions import edit

MUSIC_S = 1.0
CLASS = "my_submission/user_config.py"
STEM = "stem = np.nan_to_num(mixed_sound_array / 4).astype(np.float32)"
STEMS = "stems, rates = {name: stem for name in INSTRUMENTS}, dict.fromkeys(INSTRUMENTS, sample_rate)"


def fake_index(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Replace the package index; returns the versions that it lists, by name."""
    listed = {"numpy": ["2.0"], "soundfile": ["0.13.0", "0.14.0"]}
    monkeypatch.setattr(
        "submission.preflight.requirements.index_versions", lambda name, timeout_s: listed.get(name, [])
    )
    return listed


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, "\n".join(map(str, findings))
    return findings[0]


def set_entry(key: str, value: object) -> Callable[[Path], None]:
    def sabotage(root: Path) -> None:
        entry = json.loads((root / "aicrowd.json").read_text())
        if value is None:
            del entry[key]
        else:
            entry[key] = value
        (root / "aicrowd.json").write_text(json.dumps(entry))

    return sabotage


def write(path: str, text: str) -> Callable[[Path], None]:
    def sabotage(root: Path) -> None:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)

    return sabotage


def remove(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def in_class(old: str, new: str) -> Callable[[Path], None]:
    return lambda root: edit(root / CLASS, old, new)


def in_init(code: str) -> Callable[[Path], None]:
    return in_class("pass  # here", code)


def after(code: str) -> Callable[[Path], None]:
    return in_class(STEMS, f"{STEMS}\n        {code}")
