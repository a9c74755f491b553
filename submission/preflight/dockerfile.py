"""Pre-flight check of the Dockerfile: the files that it copies must exist."""

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from submission.preflight.findings import Finding


def check_dockerfile(root: Path) -> Iterator[Finding]:
    """Whether each COPY and ADD finds its source in the build context; a submission may have no Dockerfile.

    It also looks for the user with id 1001, as in the kit's example: the grader cannot start a container without it.
    """
    path = root / "Dockerfile"
    if not path.is_file():
        return
    ignored = _ignored(root)
    steps = list(instructions(path.read_text(encoding="utf-8", errors="replace")))
    if not any(name == "FROM" for _, name, _ in steps):
        yield Finding("no FROM: not a Dockerfile", "Dockerfile", "begin with the base image")
        return
    for line, name, arguments in steps:
        if name not in ("COPY", "ADD"):
            continue
        for source in copied(arguments):
            where = f"Dockerfile:{line}"
            matches = [match for match in root.glob(source.strip("/") or ".")] if source != "." else [root]
            if not matches:
                yield Finding(f"{name} of {source}, which does not exist", where, "add the file, or remove the line")
            elif all(_is_ignored(match.relative_to(root), ignored) for match in matches):
                yield Finding(
                    f"{name} of {source}, which .dockerignore leaves out", where, "remove it from .dockerignore"
                )
    if not any(name == "RUN" and "1001" in arguments for _, name, arguments in steps):
        yield Finding("no user with id 1001 is made", "Dockerfile", "RUN useradd --create-home --uid 1001 aicrowd")
    if not any(name == "COPY" and copied(arguments)[-1:] in (["."], ["./"]) for _, name, arguments in steps):
        yield Finding("the submission itself is not copied", "Dockerfile", "COPY --chown=1001:1001 . /home/aicrowd")


def instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """The steps of a Dockerfile: line number, name in capitals, arguments with continued lines joined."""
    begun, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("#") or (not line.strip() and not joined):
            continue
        begun = begun or number
        joined += line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1].rstrip() + " "
            continue
        name, _, arguments = joined.partition(" ")
        yield begun, name.upper(), arguments.strip()
        begun, joined = 0, ""


def copied(arguments: str) -> list[str]:
    """The sources of a COPY or ADD in the build context; other stages, URLs and here-documents are left out."""
    options = re.match(r"(--\S+\s+)*", arguments)
    assert options is not None
    if "--from=" in options[0] or "<<" in arguments:
        return []
    rest = arguments[options.end() :]
    try:
        words = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
    except ValueError:
        return []
    return [word for word in words[:-1] if not re.match(r"\w+://", word)]


def _ignored(root: Path) -> list[str]:
    path = root / ".dockerignore"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return [line.strip().strip("/") for line in lines if line.strip() and not line.startswith("#")]


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    """Whether a pattern leaves out the file or a folder above it; the last pattern that matches counts."""
    answer = False
    for pattern in patterns:
        is_out = not pattern.startswith("!")
        for part in (path, *path.parents):
            if fnmatch.fnmatchcase(str(part), pattern.lstrip("!").strip("/").removeprefix("**/")):
                answer = is_out
    return answer
