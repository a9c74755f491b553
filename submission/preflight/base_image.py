"""Pre-flight check of the Python version in the Dockerfile's image: an old one cannot install the pinned versions."""

import ast
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import parse

from submission.preflight.dockerfile import instructions
from submission.preflight.findings import Finding

Version = tuple[int, int]

RELEASES: dict[str, Version] = {
    **{"ubuntu18.04": (3, 6), "ubuntu20.04": (3, 8), "ubuntu22.04": (3, 10), "ubuntu24.04": (3, 12)},
    **{"bionic": (3, 6), "focal": (3, 8), "jammy": (3, 10), "noble": (3, 12)},
    **{"debian9": (3, 5), "debian10": (3, 7), "debian11": (3, 9), "debian12": (3, 11), "debian13": (3, 13)},
    **{"stretch": (3, 5), "buster": (3, 7), "bullseye": (3, 9), "bookworm": (3, 11), "trixie": (3, 13)},
}
"""The version of python3 in each release of Ubuntu and Debian. Source: the distributions' package lists."""

_INSTALLED = re.compile(r"\bpython[ =]*(3)\.(\d+)|Miniconda3-py(3)(\d+)_|\buv python install (3)\.(\d+)")


def check_python(root: Path) -> tuple[list[Finding], list[str]]:
    """Whether the image's Python supports the pinned requirements and the code's syntax: findings, and notes."""
    path = root / "Dockerfile"
    if not path.is_file():
        return [], []
    stages = list(_stages(path.read_text(encoding="utf-8", errors="replace")))
    if not stages:
        return [], []  # check_dockerfile reports it
    line, image, steps = stages[-1]
    version = python_of(image, steps)
    if version is None:
        return [], [f"the Python of the base image {image} is not known here: not checked"]
    shown = f"{version[0]}.{version[1]}"
    reasons = [*_ruled_out(root, shown), *_unparsed(root, version)]
    advice = "take a base image with a newer Python, such as ubuntu24.04, or install one"
    return [Finding(f"Python {shown} of {image}: {reason}", f"Dockerfile:{line}", advice) for reason in reasons[:1]], []


def python_of(image: str, steps: str) -> Version | None:
    """The version of Python in an image after some steps; None if it is not known.

    Args:
        image: a base image, such as `nvidia/cuda:11.7.0-cudnn8-runtime-ubuntu18.04`.
        steps: the RUN steps on top of it.
    """
    installed = [tuple(int(part) for part in match if part) for match in _INSTALLED.findall(steps)]
    if installed:
        return max((major, minor) for major, minor in installed)
    if match := re.search(r"(?:^|/)python:(3)\.(\d+)", image):
        return int(match[1]), int(match[2])
    plain = re.sub(r"\b(ubuntu|debian):", r"\1", image)
    return next((version for name, version in RELEASES.items() if re.search(rf"{re.escape(name)}\b", plain)), None)


def _stages(text: str) -> Iterator[tuple[int, str, str]]:
    """Each stage: the line of its FROM, its base image, and the RUN steps of it and of the stages it is built on."""
    defaults: dict[str, str] = {}
    earlier: dict[str, tuple[str, str]] = {}
    stage: tuple[int, str, str] | None = None
    name = ""
    for line, step, arguments in instructions(text):
        arguments = re.sub(r"\$\{?(\w+)\}?", lambda match: defaults.get(match[1], match[0]), arguments)
        if step == "ARG" and "=" in arguments:
            key, _, value = arguments.partition("=")
            defaults[key] = value.strip("\"'")
        elif step == "FROM":
            if stage:
                yield stage
            words = [word for word in arguments.split() if not word.startswith("--")]
            image, steps = earlier.get(words[0].lower(), (words[0], ""))
            name = words[2].lower() if len(words) == 3 else ""
            stage = line, image, steps
        elif step == "RUN" and stage:
            stage = stage[0], stage[1], f"{stage[2]}\n{arguments}"
        if stage:
            earlier[name] = stage[1:]
    if stage:
        yield stage


def _ruled_out(root: Path, python: str) -> Iterator[str]:
    """Pinned requirements that do not support a Python version. Pins of versions not installed here are skipped."""
    try:
        lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        try:
            requirement = Requirement(line.split("#")[0].strip())
            installed = importlib.metadata.version(requirement.name)
            needs = importlib.metadata.metadata(requirement.name)["Requires-Python"]
        except (InvalidRequirement, KeyError, importlib.metadata.PackageNotFoundError):
            continue
        is_pinned = str(requirement.specifier) == f"=={parse(installed).public}"
        # Assume the newest patch release: an image with 3.11 satisfies a requirement of 3.11.2.
        if is_pinned and needs and not SpecifierSet(needs).contains(f"{python}.99"):
            yield f"{requirement.name}{requirement.specifier} needs Python {needs}"


def _unparsed(root: Path, version: Version) -> Iterator[str]:
    """Files whose syntax needs a newer Python than `version`."""
    for path in sorted(root.rglob("*.py")):
        try:
            text = path.read_text(encoding="utf-8")
            ast.parse(text)
        except (SyntaxError, ValueError, OSError):
            continue  # does not parse in any version
        try:
            ast.parse(text, feature_version=version)
        except SyntaxError as error:
            yield f"{path.relative_to(root)}:{error.lineno} needs a newer Python ({error.msg})"
