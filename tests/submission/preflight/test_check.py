"""The pre-flight check: nothing on a sound submission, and the right finding on each sabotaged copy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.training.origin import data_names
from submission.preflight.answers import check_behaviour
from submission.preflight.check import check, render
from submission.preflight.dockerfile import check_dockerfile, copied, instructions
from submission.preflight.files import check_files
from submission.preflight.findings import Finding
from submission.preflight.requirements import check_requirements
from submission.rules.data_flags import board, flags
from submissions import INFO, edit, write_checkpoint, write_light_submission

MUSIC_S = 1.0
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 14012345\n"
CLASS = "my_submission/user_config.py"
STEM = "stem = np.nan_to_num(mixed_sound_array / 4).astype(np.float32)"
STEMS = "stems, rates = {name: stem for name in INSTRUMENTS}, dict.fromkeys(INSTRUMENTS, sample_rate)"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_light_submission(tmp_path_factory.mktemp("submission") / "sound")


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


@pytest.fixture(autouse=True)
def index(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the package index is said to have, instead of the real one."""
    listed = {"numpy": ["2.0"], "soundfile": ["0.13.0", "0.14.0"]}
    monkeypatch.setattr(
        "submission.preflight.requirements.index_versions", lambda name, timeout_s: listed.get(name, [])
    )
    return listed


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, "\n".join(map(str, findings))
    return findings[0]


def test_nothing_is_found_on_a_sound_submission(sound: Path):
    findings, notes = check(sound, MUSIC_S, long_s=8.0)
    assert not findings, render(findings, notes)
    assert any("of real music" in note for note in notes) and any("Falcon 69" in note for note in notes)
    assert render(findings, notes).endswith("nothing found")
    assert any(note.startswith("separates") for note in notes)
    assert not list(sound.rglob("__pycache__"))


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


def truncate(root: Path) -> None:
    path = root / "checkpoints/toy/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def large_file(root: Path) -> None:
    (root / "models").mkdir()
    (root / "models/weights.npz").write_bytes(bytes(5_000_001))


def lfs_switched_off(root: Path) -> None:
    write(".gitattributes", "*.npz filter=lfs\nmodels/** -filter\n")(root)
    large_file(root)


def three_stems(root: Path) -> None:
    shutil.rmtree(root / "checkpoints/toy")
    write_checkpoint(root / "checkpoints/toy", stems=("vocals", "drums", "bass"))


def no_history(root: Path) -> None:
    edit(root / "checkpoints/toy/config.json", '"training_data"', '"data"')


def change_wrapper(root: Path) -> None:
    edit(root / "my_submission/aicrowd_wrapper.py", "samples, sample_rate)", "samples / 2, sample_rate)")


def computed_names(root: Path) -> None:
    edit(
        root / CLASS,
        "class MySeparationModel:",
        "class BandsplitPredictor: pass\n\nclass MySeparationModel(BandsplitPredictor):",
    )
    edit(root / CLASS, '("toy",)', "tuple('toy'.split())")


FILES = [
    ("pointer", write("checkpoints/toy/weights.safetensors", POINTER), "git-LFS pointer", "weights.safetensors"),
    ("pointer elsewhere", write("models/other.th", POINTER), "git-LFS pointer", "models/other.th"),
    ("no weights", remove("checkpoints/toy/weights.safetensors"), "missing", "weights.safetensors"),
    ("no card", remove("checkpoints/toy/README.md"), "missing", "checkpoints/toy/README.md"),
    ("cut weights", truncate, "cannot be loaded", "checkpoints/toy"),
    ("three stems", three_stems, "no checkpoint separates other", CLASS),
    ("large file", large_file, "not in git-LFS", "models/weights.npz"),
    ("LFS switched off", lfs_switched_off, "not in git-LFS", "models/weights.npz"),
    ("no aicrowd.json", remove("aicrowd.json"), "there is none", "aicrowd.json"),
    ("broken json", write("aicrowd.json", "{'gpu': true}"), "is not JSON", "aicrowd.json"),
    ("json list", write("aicrowd.json", "[]"), "expected an object", "aicrowd.json"),
    ("challenge", set_entry("challenge_id", "mdx-21"), "challenge_id", "aicrowd.json"),
    ("authors", set_entry("authors", "me"), "authors", "aicrowd.json"),
    ("gpu", set_entry("gpu", "true"), "gpu: expected true or false", "aicrowd.json"),
    ("no flag", set_entry("bleeding", None), "bleeding: expected true or false", "aicrowd.json"),
    ("no description", set_entry("description", " "), "description", "aicrowd.json"),
    ("external denied", set_entry("external_dataset_used", False), "external_dataset_used is false", "aicrowd.json"),
    ("label noise claimed", set_entry("labelnoise", True), "labelnoise is true", "aicrowd.json"),
    ("bleeding claimed", set_entry("bleeding", True), "bleeding is true", "aicrowd.json"),
    ("no history", no_history, "training_data", "checkpoints/toy/config.json"),
    (
        "card says more",
        write("checkpoints/toy/README.md", "| training data | 1 track, from A |\n"),
        "tells of",
        "README.md",
    ),
    ("changed wrapper", change_wrapper, "differs from the kit's", "my_submission/aicrowd_wrapper.py"),
    ("no wrapper", remove("my_submission/aicrowd_wrapper.py"), "there is none", "my_submission/aicrowd_wrapper.py"),
    ("unreadable names", computed_names, "the checkpoints are not known", CLASS),
    ("pickle", write("models/net.pth", "x"), "pickles", "models/net.pth"),
    ("torch.load", write("models/load.py", "import torch\nw = torch.load('x')\n"), "torch.load", "models/load.py:2"),
    ("import pickle", write("models/load.py", "from pickle import loads\n"), "pickle unpickles", "models/load.py:1"),
    ("apt", write("apt.txt", "ffmpeg libsndfile1\n"), "no Debian package", "apt.txt:1"),
    ("no apt", remove("apt.txt"), "there is none", "apt.txt"),
]


@pytest.mark.parametrize(("sabotage", "what", "where"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_sabotaged_files(copy: Path, sabotage: Callable[[Path], None], what: str, where: str):
    sabotage(copy)
    finding = only(check_files(copy))
    assert what in finding.what and finding.where.endswith(where) and finding.mend


def test_the_wrapper_may_have_other_line_ends(copy: Path):
    path = copy / "my_submission/aicrowd_wrapper.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert not check_files(copy)


def test_safe_loading_is_no_finding(copy: Path):
    write("models/load.py", "import numpy as np, torch\nnp.load('x')\ntorch.load('y', weights_only=True)\n")(copy)
    assert not check_files(copy)
    write("models/load.py", "import numpy as np\nnp.load('x', allow_pickle=True)\n")(copy)
    assert "np.load unpickles" in only(check_files(copy)).what


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("numpy\nsoundfile\nray[tune]\n", "ray is for training", "requirements.txt:3"),
        ("numpy\n", "soundfile is missing", "requirements.txt"),
        ("numpy\nsoundfile\nbandsplit-nonsense==1.0\n", "no such version", "requirements.txt:3"),
        ("numpy\nsoundfile==99.9\n", "no such version", "requirements.txt:2"),
        ("numpy\nsoundfile\nthis is no requirement\n", "is no requirement", "requirements.txt:3"),
    ],
)
def test_sabotaged_requirements(copy: Path, text: str, what: str, where: str):
    write("requirements.txt", text)(copy)
    finding = only(check_requirements(copy)[0])
    assert what in finding.what and finding.where == where


def test_pins_that_rule_each_other_out_are_found(copy: Path):
    write("requirements.txt", "scipy\nsoundfile\nnumpy==1.0\n")(copy)
    findings, _ = check_requirements(copy)
    assert any("numpy==1.0 does not resolve: scipy" in finding.what for finding in findings)


def test_the_requirements_of_the_repository_resolve(copy: Path):
    from submissions import ROOT

    shutil.copyfile(ROOT / "submission/requirements.txt", copy / "requirements.txt")
    assert check_requirements(copy) == ([], [])


def test_without_an_index_what_is_not_installed_is_a_note(copy: Path, index: dict[str, list[str]]):
    write("requirements.txt", "numpy\nsoundfile\nbandsplit-nonsense==1.0\n")(copy)
    index.clear()
    findings, notes = check_requirements(copy)
    assert not findings and "bandsplit-nonsense==1.0 is not installed here" in notes[0]
    index["bandsplit-nonsense"] = ["0.9", "1.0"]
    assert check_requirements(copy) == ([], [])


def test_missing_requirements_file(copy: Path):
    remove("requirements.txt")(copy)
    assert only(check_requirements(copy)[0]).what == "there is none"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("COPY environment.yml /tmp/", "environment.yml, which does not exist"),
        ('COPY ["apt.txt", "weights/*.th", "/tmp/"]', "weights/*.th, which does not exist"),
        ("ADD --chown=1001:1001 missing.tar \\\n  /tmp/", "missing.tar, which does not exist"),
        ("COPY secret.txt /tmp/", "secret.txt, which .dockerignore leaves out"),
    ],
)
def test_sabotaged_dockerfiles(copy: Path, line: str, what: str):
    write(".dockerignore", "*.txt\n!apt.txt\n!requirements.txt\n")(copy)
    write("secret.txt", "x")(copy)
    edit(copy / "Dockerfile", "COPY . /home/aicrowd", f"{line}\nCOPY . /home/aicrowd")
    finding = only(list(check_dockerfile(copy)))
    assert what in finding.what and finding.where == "Dockerfile:4"


def test_a_dockerfile_needs_a_base_a_user_and_the_submission(copy: Path):
    write("Dockerfile", "FROM ubuntu:24.04\n")(copy)
    assert ["1001" in finding.what or "not copied" in finding.what for finding in check_dockerfile(copy)] == [
        True,
        True,
    ]
    write("Dockerfile", "# nothing\n")(copy)
    assert "no FROM" in only(list(check_dockerfile(copy))).what
    remove("Dockerfile")(copy)
    assert not list(check_dockerfile(copy))


def test_dockerfile_steps():
    text = "# a\nFROM x AS y\n\nRUN a \\\n  # why\n  && b\ncopy --from=y /a /b\nCOPY --link a b c/\n"
    steps = list(instructions(text))
    assert steps == [
        (2, "FROM", "x AS y"),
        (4, "RUN", "a && b"),
        (7, "COPY", "--from=y /a /b"),
        (8, "COPY", "--link a b c/"),
    ]
    assert [copied(arguments) for _, name, arguments in steps if name == "COPY"] == [[], ["a", "b"]]
    assert copied("https://x.y/z /tmp") == []


def in_class(old: str, new: str) -> Callable[[Path], None]:
    return lambda root: edit(root / CLASS, old, new)


def in_init(code: str) -> Callable[[Path], None]:
    return in_class("pass  # here", code)


def after(code: str) -> Callable[[Path], None]:
    return in_class(STEMS, f"{STEMS}\n        {code}")


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
    ("changes its input", in_class(STEM, f"mixed_sound_array *= 0.5; {STEM}"), "changes the array"),
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
    ("exit", in_class(STEM, f"import os; os._exit(3); {STEM}"), "broke off after 'built': ended with exit code 3"),
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


@pytest.mark.parametrize(
    ("sabotage", "what"),
    [pytest.param(*case[1:], id=case[0], marks=[pytest.mark.slow] if case[0] in ALSO else []) for case in BEHAVIOUR],
)
def test_sabotaged_behaviour(copy: Path, sabotage: Callable[[Path], None], what: str):
    sabotage(copy)
    findings, _ = check_behaviour(copy, MUSIC_S)
    matching = [finding for finding in findings if what in str(finding)]
    assert matching and matching[0].mend, "\n".join(map(str, findings)) or "nothing found"


@pytest.mark.parametrize(
    ("load", "faults", "expected"),
    [
        (0.5, [], ["too slow for its best way here: 0.5 s by mixture scaled"]),
        (1e6, [], []),
        (1e6, ["main: no such kernel"], ["a network fails: main: no such kernel; instead: 0.5 s by mixture scaled"]),
    ],
)
def test_a_predictor_that_could_not_do_its_best_is_found_unless_the_machine_is_busy(
    copy: Path, monkeypatch: pytest.MonkeyPatch, load: float, faults: list[str], expected: list[str]
):
    account = f"type('A', (), {{'reduced': {{'mixture scaled': 0.5}}, 'faults': {faults}}})()"
    after(f"self.account = {account}")(copy)
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    findings, notes = check_behaviour(copy, MUSIC_S)
    assert [finding.what for finding in findings] == expected
    assert any("separated less well" in note for note in notes)


def test_each_fault_is_told_once_and_the_report_counts(copy: Path):
    after("stems['bass'] = stem * np.nan")(copy)
    set_entry("gpu", 1)(copy)
    findings, notes = check(copy, MUSIC_S)
    assert len(findings) == 2
    assert "not tried on real music: mend its behaviour first" in notes
    report = render(findings, notes)
    assert report.endswith("2 found: mend them before the push") and report.count("    -> ") == 2


@pytest.mark.parametrize(
    ("data", "began_with", "expected"),
    [
        ("9 tracks, 1.0 minutes, from SDXDB23_LabelNoise", "nothing", "A"),
        ("9 tracks, 1.0 minutes, from moisesdb23_label_noise_v1.0", "nothing", "A"),
        ("9 tracks, 1.0 minutes, from SDXDB23_Bleeding", "nothing", "B"),
        ("9 tracks, 1.0 minutes, from SDXDB23_Bleeding", "other@12345678", "C"),
        ("9 tracks, 1.0 minutes, from labelnoise, bleeding", "nothing", "C"),
        ("9 tracks, 1.0 minutes, from labelnoise, musdb18", "nothing", "C"),
    ],
)
def test_boards_by_training_data(data: str, began_with: str, expected: str):
    assert board(flags([{"training_data": data, "began_with": began_with}])) == expected


def test_sources_and_flags_of_several_checkpoints():
    assert data_names(INFO) == ["musdb18-7", "music-delta"]
    assert flags([{"training_data": "1, from labelnoise"}, INFO]) == {
        "labelnoise": True,
        "bleeding": False,
        "external_dataset_used": True,
    }
