"""What belongs into a package: the code that the predictor reaches, and the checkpoints that `user_config.py` names."""

import ast
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

ENTRY = "submission.predictor"
USER_CONFIG = Path("my_submission/user_config.py")


def reached_code(root: Path, entry: str = ENTRY) -> list[Path]:
    """Every file under `root` that a module imports, at any depth of the code, with the packages on the way.

    A file that does not parse is listed and reaches nothing.

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
    """The files of a module and of the packages that it lies in, as far as they exist."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        for path in (Path(*parts[:end], "__init__.py"), Path(*parts[:end]).with_suffix(".py")):
            if (root / path).is_file():
                yield path


def read_checkpoints(user_config: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names in a `user_config.py` like ours: the ensemble, and the fallbacks; empty where there are none."""
    return _names(user_config, "ensemble"), _names(user_config, "fallbacks")


def write_checkpoints(user_config: str, ensemble: Sequence[str], fallbacks: Sequence[str]) -> str:
    """The text of a `user_config.py` with other names in it."""
    for attribute, names in (("ensemble", ensemble), ("fallbacks", fallbacks)):
        user_config = _line(attribute).sub(rf"\g<1>{attribute} = {tuple(names)!r}".replace("'", '"'), user_config)
    return user_config


def _line(attribute: str) -> re.Pattern[str]:
    return re.compile(rf"^( *){attribute} *= *(\(.*\)) *$", re.MULTILINE)


def _names(text: str, attribute: str) -> tuple[str, ...]:
    match = _line(attribute).search(text)
    try:
        names = ast.literal_eval(match[2]) if match else ()
    except (ValueError, SyntaxError):
        return ()
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, tuple) else ()
