"""The laws of the house: who may import whom, how large files and folders are, and what a start loads."""

import argparse
import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from import_graph import (
    PACKAGES,
    ROOT,
    code_files,
    describe,
    find_circle,
    import_graph,
    imported_modules,
    module_name,
    room,
)

HEAVY = ("soundfile", "musdb", "museval", "demucs", "openunmix", "ray", "pandas", "stempeg")
# A room imports only rooms of its own list that stand before it, and, outside of models, any room of models.
ORDER = {
    "models": (
        "running",
        "audio",
        "bsrnn",
        "signal",
        "public",
        "peers",
        "tracks",
        "unlabelled_arguments",
        "arguments",
        "checkpoint_arguments",
        "rendering_arguments",
        "metrics",
        "presets",
        "macs",
        "checkpoints",
        "separation",
        "songs",
        "export",
        "onnx",
        "browser",
        "training.data",
        "training.record",
        "training",
        "pseudo",
        "ensembles",
        "corruption",
        "cleaning",
        "importing",
        "rendering",
        "singing",
        "commands",
        "__main__",
    ),
    "benchmark": (
        *("arguments", "provenance", "workers", "scoring", "systems", "degradations", "runs", "tables", "page"),
        *("timing", "api", "songs", "__main__"),
    ),
    "tuning": ("arguments", "space", "trials", "analysis", "page", "promote", "ablation", "commands", "__main__"),
    "submission": ("rules", "predictor", "sandbox", "package", "grader", "preflight", "__main__"),
}
NOTHING_OF_OURS = ("models.running", "models.audio", "models.signal", "models.bsrnn", "models.metrics")
TORCH_ONLY = ("models.bsrnn", "models.public")
MOST_LINES = 300
MOST_FILES = 15
FILES = code_files()
TESTS = sorted((ROOT / "tests").rglob("*.py"))
GRAPH = import_graph()


def allowed(name: str) -> set[str]:
    """The rooms that a room may import."""
    package, _, own = name.partition(".")
    if name in NOTHING_OF_OURS:
        return set()
    order = ORDER[package]
    before = {f"{package}.{other}" for other in order[: order.index(own)]}
    return before if package == "models" else before | {f"models.{other}" for other in ORDER["models"]}


def test_every_package_was_found():
    assert {module_name(path).split(".")[0] for path in FILES} == set(PACKAGES)


@pytest.mark.parametrize("name", sorted(set(GRAPH) - set(PACKAGES)))
def test_a_room_imports_only_what_stands_before_it(name):
    assert GRAPH[name] <= allowed(name)


def test_there_is_no_circle():
    assert find_circle(GRAPH) == []


def test_only_its_own_start_imports_commands_and_nothing_imports_a_start():
    importers = {other: name for name, others in GRAPH.items() for other in others}
    assert importers["models.commands"] == "models.__main__" and importers["tuning.commands"] == "tuning.__main__"
    assert not [name for name in importers if name.endswith("__main__")]


@pytest.mark.parametrize("path", [path for path in FILES if room(path) in TORCH_ONLY], ids=module_name)
def test_networks_need_torch_only(path):
    foreign = {name.split(".")[0] for name in imported_modules(path)} - {"models"}
    assert foreign <= {"torch", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", [path for path in FILES if room(path) == "models.running"], ids=module_name)
def test_what_all_share_starts_with_the_standard_library_alone(path):
    program = f"import sys, {module_name(path)}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in result.stdout.split()} & {"torch", "numpy", *HEAVY}


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_folders_are_small():
    folders = {path.parent for path in FILES}
    sizes = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: size for name, size in sizes.items() if size > MOST_FILES} == {}


def test_every_room_says_what_it_is_for():
    for folder in {path.parent for path in FILES} - {ROOT / package for package in PACKAGES}:
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        assert "\nIn: " in text and " Out: " in text and len(text.splitlines()) <= 4, folder


def test_every_room_is_installed():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(packages) == sorted({module_name(path) for path in FILES if path.name == "__init__.py"})


def test_tests_mirror_the_rooms():
    rooms = {path.parent.relative_to(ROOT) for path in FILES}
    assert {path.parent.relative_to(ROOT / "tests") for path in TESTS} - {Path()} <= rooms
    tests = [path.name for path in TESTS if path.name.startswith("test_")]
    assert len(tests) == len(set(tests)), "pytest needs different names"


def test_the_page_of_the_architecture_shows_this_graph():
    assert describe(GRAPH) in (ROOT / "docs/architecture.md").read_text(), "run tests/import_graph.py"


def test_imported_modules_sees_every_form(tmp_path):
    path = tmp_path / "models" / "training" / "loop.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import torch.nn\nfrom ..audio import resample\ndef f():\n    from . import mixing\n    import museval as m\n"
    )
    found = imported_modules(path, tmp_path)
    assert found == {"torch.nn", "models.audio.resample", "models.training.mixing", "museval"}


def test_a_circle_is_found():
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_a_circle_of_rooms_is_seen_in_their_code(tmp_path):
    for name, text in {"a": "from models.b.two import x", "b": "def f():\n    import models.a.one"}.items():
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / {"a": "one.py", "b": "two.py"}[name]).write_text(text)
    graph = import_graph(tmp_path)
    assert graph == {"models.a": {"models.b"}, "models.b": {"models.a"}} and find_circle(graph)


def test_loading_a_model_imports_no_heavy_package():
    modules = "models, models.bsrnn, models.commands.train, models.separation.separator, models.tracks"
    program = f"import sys, {modules}\nmodels.load_separator('tiny', 'cpu')\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = result.stdout.split()
    assert "torch" in loaded and "torch._dynamo" not in loaded  # the compiler takes a second of processor time
    assert not {name.split(".")[0] for name in loaded} & set(HEAVY)


HELP = f"""
import contextlib, io, re, runpy, sys

def show_help(*arguments):
    sys.argv = [*arguments, "--help"]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    assert shown.getvalue().startswith("usage: python -m " + " ".join(arguments)), shown.getvalue()
    return shown.getvalue()

for package in {PACKAGES}:
    commands = re.findall("^    ([a-z-]+)  +", show_help(package), re.MULTILINE)
    for command in commands:
        show_help(package, command)
    print(package, *commands)
print(*sys.modules)
"""


def test_help_loads_no_heavy_package():
    result = subprocess.run([sys.executable, "-W", "error", "-c", HELP], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    *commands, modules = result.stdout.splitlines()
    assert commands == [
        "models separate export page ensemble train average prepare corrupt clean refine render sing list import"
        " catalog download",
        "benchmark run separate score compare speed training-speed scorer-speed install report",
        "tuning run report merge promote ablate",
        "submission check evaluate package",
    ]
    assert not {name.split(".")[0] for name in modules.split()} & {"torch", *HEAVY}


def test_arguments_name_what_there_is():
    from models.arguments import CLIPS, CORRUPTIONS, PRESETS
    from models.checkpoint_arguments import LAYOUTS
    from models.commands.import_weights import LAYOUTS as LAYOUTS_READ
    from models.corruption.corrupt import KINDS
    from models.presets.preset import preset_names
    from models.songs.separate_song import CLIPS as CLIPS_KNOWN
    from tuning.arguments import SPACES, add_run_arguments
    from tuning.space.grid import space_names
    from tuning.space.plan import SCHEDULERS, SEARCHES

    assert tuple(LAYOUTS_READ) == LAYOUTS
    assert KINDS == CORRUPTIONS
    assert CLIPS_KNOWN == CLIPS
    assert preset_names() == PRESETS
    assert space_names() == SPACES
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    shown = " ".join(parser.format_help().split())
    assert f"--scheduler {'|'.join(SCHEDULERS)} " in shown and f"--search {'|'.join(SEARCHES)} " in shown
