"""The import law of CONTRIBUTING.md; importing the model loads torch but no audio, data set or peer package."""

import argparse
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "benchmark", "tuning", "submission")
HEAVY = ("soundfile", "musdb", "museval", "demucs", "openunmix", "ray", "pandas", "stempeg")
ALONE = ("models.audio", "models.chunking", "models.metrics", "models.config")


def module_name(path: Path) -> str:
    """The dotted name of a file of ours: models/bsrnn/__init__.py is models.bsrnn."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path: Path) -> set[str]:
    """Every module that a file imports, at any depth, relative imports resolved; `from a import b` counts as a.b."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base]).rstrip(".")
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_every_package_was_found():
    assert {module_name(path).split(".")[0] for path in FILES} == set(PACKAGES)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_import_law(path: Path):
    name = module_name(path)
    imported = imported_modules(path)
    ours = {other for other in imported if other.split(".")[0] in PACKAGES}
    top = name.split(".")[0]
    if is_inside(name, "models.bsrnn"):
        foreign = {other.split(".")[0] for other in imported - ours}
        assert foreign <= {"torch", *sys.stdlib_module_names}
        assert all(is_inside(other, "models.bsrnn") for other in ours)
    elif is_inside(name, "models.public"):
        allowed = ("models.public", "models.bsrnn", "models.chunking")
        assert all(any(is_inside(other, package) for package in allowed) for other in ours)
        assert {other.split(".")[0] for other in imported - ours} <= {"torch", *sys.stdlib_module_names}
    elif name in ALONE:
        assert not ours
    elif top == "models":
        assert all(is_inside(other, "models") for other in ours)
    else:
        assert all(is_inside(other, "models") or is_inside(other, top) for other in ours)


def test_imported_modules_sees_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "models" / "training" / "loop.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import torch.nn\nfrom ..audio import resample\ndef f():\n    from . import mixing\n    import museval as m\n"
    )
    assert imported_modules(path) == {"torch.nn", "models.audio.resample", "models.training.mixing", "museval"}


def test_importing_the_model_loads_no_heavy_package():
    modules = "models, models.bsrnn, models.training.commands, models.separator, models.tracks"
    program = f"import sys, {modules}\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert "torch" in loaded
    assert not loaded & set(HEAVY)


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
        "models separate ensemble train prepare render import catalog download",
        "benchmark run speed scorer-speed install report",
        "tuning run report promote ablate",
        "submission check evaluate package",
    ]
    assert not {name.split(".")[0] for name in modules.split()} & {"torch", *HEAVY}


def test_arguments_name_what_there_is():
    from models.arguments import LAYOUTS, PRESETS
    from models.importing import command
    from models.preset import preset_names
    from tuning.arguments import SPACES, add_run_arguments
    from tuning.plan import SCHEDULERS, SEARCHES
    from tuning.space import space_names

    assert tuple(command.LAYOUTS) == LAYOUTS
    assert preset_names() == PRESETS
    assert space_names() == SPACES
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    shown = " ".join(parser.format_help().split())
    assert f"--scheduler {'|'.join(SCHEDULERS)} " in shown and f"--search {'|'.join(SEARCHES)} " in shown
