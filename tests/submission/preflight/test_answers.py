"""The pre-flight check of behaviour: the right finding on each sabotaged class."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sabotage import MUSIC_S, STEM, after, in_class, in_init
from submission.preflight.answers import check_behaviour
from submissions import write_light_submission

CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
UNPICKLE = "import pickle; pickle.loads(b'cposix\\ngetpid\\n(tR.')"
BEHAVIOUR = [
    ("wrong key", after("stems['voice'] = stems.pop('vocals')"), "wrong keys of the arrays"),
    ("missing rate", after("del rates['bass']"), "wrong keys of the sample rates"),
    ("transposed", in_class(".astype(np.float32)", ".astype(np.float32).T"), "transposed"),
    ("float rate", after("rates = dict.fromkeys(INSTRUMENTS, float(sample_rate))"), "a float: the grader raises"),
    ("other rate", after("rates['drums'] = 22050"), "sample rate of drums is 22050"),
    ("NaN", after("stems['bass'] = stem * np.nan"), "bass holds NaN"),
    ("NaN passed on", in_class("np.nan_to_num(mixed_sound_array / 4)", "(mixed_sound_array / 4)"), "holds NaN"),
    ("one sample less", after("stems['other'] = stem[:-1]"), "wrong sample count"),
    ("float16", in_class("np.float32", "np.float16"), "dtype float16: the grader cannot write it"),
    ("list", after("stems['bass'] = stem.tolist()"), "bass is a list"),
    ("too loud", in_class("mixed_sound_array / 4", "mixed_sound_array * 8"), "clipped"),
    ("sound in silence", in_class("mixed_sound_array / 4", "mixed_sound_array / 4 + 0.1"), "a silent reference"),
    ("random", in_class(STEM, f"{STEM} * np.float32(np.random.rand())"), "not reproducible"),
    ("changes its input", in_class(STEM, f"mixed_sound_array *= 0.5; {STEM}"), "changes its input array"),
    ("mono", in_class(STEM, f"mixed_sound_array[0, 0]; {STEM}"), "separate_music_file fails: IndexError"),
    ("no pair", in_class("return stems, rates", "return stems"), "not a pair of dictionaries"),
    ("too slow", in_class(STEM, f"import time; time.sleep(60); {STEM}"), "too slow: not done after 1.57 s"),
    ("socket", in_init(CONNECT), "cannot be built: PermissionError: no network here"),
    (
        "hidden socket",
        in_init(f"\n        try:\n            {CONNECT}\n        except OSError: pass"),
        "while it is built",
    ),
    (
        "late socket",
        after(f"\n        try:\n            {CONNECT}\n        except OSError: pass"),
        "while it separates",
    ),
    ("name look-up", in_init("import urllib.request as u; u.urlopen('http://example.org/')"), "socket.getaddrinfo"),
    ("download program", in_init("import os; os.system('wget -q http://example.org/w || true')"), "wget"),
    ("download command", in_init("import subprocess as s; s.run(['git', 'lfs', 'pull'], timeout=5)"), "git lfs pull"),
    ("unpickling", in_init(UNPICKLE), "unpickles posix.getpid"),
    ("missing package", in_class("import numpy", "import nowhere_to_be_found\nimport numpy"), "ModuleNotFoundError"),
    ("undeclared package", in_class("import numpy", "import yaml\nimport numpy"), "loads yaml, which the requirements"),
    ("missing file", in_init("open('weights.bin')"), "cannot be built: FileNotFoundError"),
    ("home cache", in_init("import os; open(os.path.expanduser('~/.cache/w'))"), "cannot be built: FileNotFoundError"),
    (
        "hard-coded GPU",
        in_init("raise AssertionError('Torch not compiled with CUDA enabled')"),
        "AssertionError: Torch",
    ),
    ("exit", in_class(STEM, f"import os; os._exit(3); {STEM}"), "failed after 'built': ended with exit code 3"),
    ("instruments", in_class("return INSTRUMENTS", "return INSTRUMENTS[:3]"), "instruments: expected"),
    ("error type", in_class("raise NameError", "raise ValueError"), "raise_aicrowd_error: expected NameError"),
    ("other class", in_class("class MySeparationModel", "class Model"), "cannot be built: ImportError"),
    ("syntax", in_class("def __init__(self):", "def __init__(self)"), "cannot be built: SyntaxError"),
]


ALSO = (
    "other rate",
    "NaN passed on",
    "list",
    "sound in silence",
    "changes its input",
    "no pair",
    "late socket",
    "name look-up",
    "download program",
    "missing package",
    "home cache",
    "hard-coded GPU",
    "instruments",
    "error type",
    "other class",
)
"""Each takes a third of a second; these are much like others that always run."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return write_light_submission(tmp_path / "copy")


@pytest.mark.parametrize(
    ("sabotage", "what"),
    [pytest.param(*case[1:], id=case[0], marks=[pytest.mark.slow] if case[0] in ALSO else []) for case in BEHAVIOUR],
)
def test_sabotaged_behaviour(copy: Path, sabotage: Callable[[Path], None], what: str):
    sabotage(copy)
    findings, _ = check_behaviour(copy, MUSIC_S)
    matching = [finding for finding in findings if what in str(finding)]
    assert matching and matching[0].advice, "\n".join(map(str, findings)) or "nothing found"


@pytest.mark.parametrize(
    ("load", "faults", "expected"),
    [
        (0.5, [], ["too slow for full quality here: 0.5 s by mixture scaled"]),
        (1e6, [], []),
        (1e6, ["main: no such kernel"], ["a network fails: main: no such kernel; instead: 0.5 s by mixture scaled"]),
    ],
)
def test_reduced_quality_is_found_unless_the_machine_is_busy(
    copy: Path, monkeypatch: pytest.MonkeyPatch, load: float, faults: list[str], expected: list[str]
):
    account = f"type('A', (), {{'reduced': {{'mixture scaled': 0.5}}, 'faults': {faults}}})()"
    after(f"self.account = {account}")(copy)
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    findings, notes = check_behaviour(copy, MUSIC_S)
    assert [finding.what for finding in findings] == expected
    assert any("separated at lower quality" in note for note in notes)
