"""Finds the code files of a package: the predictor and all that it imports."""

import ast
from collections import deque
from collections.abc import Iterator
from pathlib import Path

ENTRY = "submission.predictor.predictor"


def reached_code(root: Path, entry: str = ENTRY) -> list[Path]:
    """Every file under `root` that a module imports, directly or not, with the `__init__.py` of their packages.

    A file that does not parse is listed, but its imports are not followed.

    Returns:
        Paths relative to `root`, sorted.
    """
    found: set[Path] = set()
    queue = deque([entry])
    while queue:
        for path in _files(root, queue.popleft()):
            if path not in found:
                found.add(path)
                queue.extend(imported_names(root / path))
    return sorted(found)


def imported_names(path: Path) -> Iterator[str]:
    """Dotted names that a file imports; `from a import b` gives both a and a.b."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(root: Path, module: str) -> Iterator[Path]:
    """The existing files of a module and of the packages that hold it."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        for path in (Path(*parts[:end], "__init__.py"), Path(*parts[:end]).with_suffix(".py")):
            if (root / path).is_file():
                yield path
