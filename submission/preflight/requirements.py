"""Pre-flight check of `requirements.txt`: the grader installs these packages and no others.

The versions installed here work together. So pins of these versions resolve, if the listed packages' own requirements
agree. Only other pins are looked up in the package index.
"""

import ast
import importlib.metadata
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from submission.package.contents import imported_names
from submission.preflight.findings import Finding

NAME = "requirements.txt"
NEEDED = ("numpy", "soundfile")
TRAINING_ONLY = ("ray", "museval", "demucs", "openunmix")
LOOK_UP_S = 20.0


def check_requirements(root: Path) -> tuple[list[Finding], list[str]]:
    """Whether the requirements are well-formed, free of conflicts and available; returns findings, and notes."""
    try:
        text = (root / NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return [Finding("the file is missing", NAME, "list what the code imports, at least numpy and soundfile")], []
    findings: list[Finding] = []
    wanted: dict[str, tuple[int, Requirement]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split(" #")[0].strip()
        if not line or line.startswith(("#", "--index-url", "--extra-index-url", "--find-links")):
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            findings.append(Finding(f"expected a requirement, got {line!r}", f"{NAME}:{number}", "write NAME==VERSION"))
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            wanted[canonicalize_name(requirement.name)] = number, requirement
    for name in NEEDED:
        if name not in wanted:
            findings.append(Finding(f"{name} is missing: the kit's wrapper needs it", NAME, f"add {name}"))
    imported = _imported_at_once(root)
    for name in TRAINING_ONLY:
        if name in wanted and name not in imported:
            findings.append(
                Finding(f"{name} is for training and benchmarks", f"{NAME}:{wanted[name][0]}", "remove the line")
            )
    findings += _conflicts(wanted)
    unknown = [name for name, (_, requirement) in wanted.items() if not _is_installed(name, requirement)]
    more, notes = _look_up({name: wanted[name] for name in unknown})
    return findings + more, notes


def check_imports(root: Path, modules: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each package that the submission's files import is in its requirements, or a dependency of one.

    Args:
        root: the submission.
        modules: the loaded top-level modules, and the file of each.
    """
    try:
        lines = (root / NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    names = []
    for line in lines:
        try:
            names.append(Requirement(line.split("#")[0].strip()).name)
        except InvalidRequirement:
            continue
    provided = _with_dependencies([*names, *NEEDED])
    own = {name.split(".")[0] for path in root.rglob("*.py") for name in imported_names(path)}
    distributions = importlib.metadata.packages_distributions()
    for module, file in sorted(modules.items()):
        owners = {canonicalize_name(owner) for owner in distributions.get(module, [])}
        if module in own and owners and "site-packages" in file and not owners & provided:
            yield Finding(
                f"the code loads {module}, which the requirements do not install", NAME, f"add {sorted(owners)[0]}"
            )


def _imported_at_once(root: Path) -> set[str]:
    """Top-level names that some file imports at module level."""
    found = set()
    for path in root.rglob("*.py"):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, OSError):
            continue
        for node in tree.body:
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").split(".")[0])
    return found


def _conflicts(wanted: Mapping[str, tuple[int, Requirement]]) -> Iterator[Finding]:
    """Pins that conflict with the requirements of another listed package, in the version installed here."""
    for name, (_, requirement) in wanted.items():
        if not _is_installed(name, requirement):
            continue
        for demand in _demands(name):
            other = canonicalize_name(demand.name)
            pinned = _pin(wanted[other][1]) if other in wanted else None
            if pinned and not demand.specifier.contains(pinned, prereleases=True):
                yield Finding(
                    f"{other}=={pinned} does not resolve: {name} {_pin(requirement) or ''} needs {demand.specifier}",
                    f"{NAME}:{wanted[other][0]}",
                    f"pin a version of {other} that {name} accepts",
                )


def _look_up(wanted: Mapping[str, tuple[int, Requirement]]) -> tuple[list[Finding], list[str]]:
    """Ask the package index about versions that are not installed here; returns findings, and notes."""
    findings, notes = [], []
    end = time.monotonic() + LOOK_UP_S
    for name, (number, requirement) in wanted.items():
        versions = index_versions(name, end - time.monotonic())
        if any(requirement.specifier.contains(version, prereleases=True) for version in versions or []):
            continue
        # An empty answer means an unknown name or no index. numpy is in every index.
        if versions or (versions is not None and index_versions("numpy", end - time.monotonic())):
            findings.append(
                Finding(
                    f"{requirement}: the index has no such version", f"{NAME}:{number}", "pin a version that exists"
                )
            )
        else:
            notes.append(f"{requirement} is not installed here and the index does not answer: not checked")
    return findings, notes


def index_versions(name: str, timeout_s: float) -> list[str] | None:
    """The versions of a distribution that pip finds for this Python; None if it takes too long."""
    command = [sys.executable, "-m", "pip", "index", "versions", name, "--pre", "--retries", "0"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=max(timeout_s, 0.1), check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    listed = answer.stdout.partition("Available versions:")[2].splitlines()
    return [version.strip() for version in listed[0].split(",")] if listed else []


def _is_installed(name: str, requirement: Requirement) -> bool:
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(Version(installed).public, prereleases=True)


def _demands(name: str) -> Iterator[Requirement]:
    """The requirements of an installed distribution on this machine, without extras."""
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _with_dependencies(names: Iterable[str]) -> set[str]:
    """These distributions and all their dependencies."""
    found: set[str] = set()
    queue = [canonicalize_name(name) for name in names]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += [canonicalize_name(demand.name) for demand in _demands(name)]
    return found


def _pin(requirement: Requirement) -> str | None:
    pins = [specifier.version for specifier in requirement.specifier if specifier.operator == "=="]
    return pins[0] if len(pins) == 1 and not pins[0].endswith("*") else None
