"""Finds the files and packages that Python modules import, from their source; nothing is imported."""

import ast
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Code:
    """The files and packages that modules depend on.

    Attributes:
        files: source files by their path in the package tree, such as "models/bsrnn/mask.py".
        packages: names, as in `import NAME`, of installed packages that these files import.
    """

    files: dict[str, Path]
    packages: frozenset[str]


def made_of(modules: Iterable[str]) -> Code:
    """The modules, every file of ours that they import, directly or not and also in functions, and installed packages.

    Files of installed packages and of the standard library are not followed, unless they are in `modules`. If an
    `__init__.py` runs only because a module is in its package, its imports inside functions do not count.

    Args:
        modules: dotted names, such as "benchmark.runs.measure".
    """
    waiting = list(modules)
    asked = {name.partition(".")[0] for name in waiting}
    files: dict[str, Path] = {}
    packages: set[str] = set()
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in seen or top in sys.stdlib_module_names:
            continue
        seen.add(name)
        roots = search_roots(top)
        if top not in asked and any(map(_is_installed, roots)):
            packages.add(top)
            continue
        found = dict(_files_of(name, roots))
        files |= found
        for place, path in found.items():
            status = path.stat()
            at_import, in_functions = _imported(path, place, status.st_mtime_ns, status.st_size)
            waiting += at_import
            if place == list(found)[-1]:
                waiting += in_functions
    return Code(dict(sorted(files.items())), frozenset(packages))


def version_of(package: str) -> str:
    """The version of the distribution that `import PACKAGE` finds; "" if none is known."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(package, [])
        return " ".join(sorted(importlib.metadata.version(name) for name in set(names)))


def search_roots(top: str) -> list[Path]:
    """The folders in which Python finds a top-level module or package; none if there is no such module."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(location).parent for location in spec.submodule_search_locations]
    return [Path(spec.origin).parent] if spec.origin and Path(spec.origin).is_file() else []


def _is_installed(root: Path) -> bool:
    return any(root.is_relative_to(sysconfig.get_path(kind)) for kind in ("purelib", "platlib"))


def _files_of(name: str, roots: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """The files of a module: the `__init__.py` of each package that holds it, then its own."""
    parts = name.split(".")
    for root in roots:
        for depth in range(1, len(parts) + 1):
            base = "/".join(parts[:depth])
            for place in (f"{base}/__init__.py", f"{base}.py"):
                if (root / place).is_file():
                    yield place, root / place


@lru_cache(maxsize=1024)
def _imported(path: Path, place: str, mtime_ns: int, size: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Dotted names that a file imports when it is run, and inside functions; `from a import b` is a.b.

    Imports only for type checkers do not count. Time and size are arguments so that a changed file is read again.
    """
    package = place.removesuffix(".py").split("/")[:-1]
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError):
        return (), ()  # importing it will report the error
    at_import: list[str] = []
    in_functions: list[str] = []
    waiting: list[tuple[ast.AST, list[str]]] = [(tree, at_import)]
    while waiting:
        node, names = waiting.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*around, *([node.module] if node.module else [])])
            names += [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += [(child, names) for child in node.orelse]
        else:
            inner = in_functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else names
            waiting += [(child, inner) for child in ast.iter_child_nodes(node)]
    return tuple(at_import), tuple(in_functions)
