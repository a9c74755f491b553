"""Which room of the house imports which, found by reading the code.

    .venv/bin/python tests/import_graph.py

prints the graph. A room is a folder of a package, or a file that lies directly in a package.
"""

import ast
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "benchmark", "tuning", "submission")


def code_files(root: Path = ROOT) -> list[Path]:
    """Every Python file of the four packages; the submission's kit is data, not a room."""
    files = (path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return sorted(path for path in files if "kit" not in path.parts)


def module_name(path: Path, root: Path = ROOT) -> str:
    """The dotted name of a file: models/bsrnn/__init__.py is models.bsrnn."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def room(path: Path, root: Path = ROOT) -> str:
    """The room of a file: its folder, or the file itself where it lies directly in a package."""
    folder = path.relative_to(root).parent
    return ".".join(folder.parts) if len(folder.parts) > 1 else module_name(path, root)


def imported_modules(path: Path, root: Path = ROOT) -> set[str]:
    """Every module that a file imports, at any depth, relative imports resolved; `from a import b` counts as a.b."""
    name = module_name(path, root)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
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


def import_graph(root: Path = ROOT) -> dict[str, set[str]]:
    """The rooms that each room imports, itself left out."""
    files = code_files(root)
    room_of = {module_name(path, root): room(path, root) for path in files}
    graph: dict[str, set[str]] = {name: set() for name in sorted(room_of.values())}
    for path in files:
        for imported in imported_modules(path, root):
            # a.b.c is the module a.b.c, or the name c of the module a.b.
            module = imported if imported in room_of else imported.rpartition(".")[0]
            if module in room_of:
                graph[room(path, root)].add(room_of[module])
        graph[room(path, root)].discard(room(path, root))
    return graph


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """The rooms of a circle of imports, in order; empty without one."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for other in sorted(graph.get(name, ())):
                if circle := visit(other, [*way, name]):
                    return circle
            done.add(name)
        return []

    for name in graph:
        if circle := visit(name, []):
            return circle
    return []


def describe(graph: dict[str, set[str]]) -> str:
    """One line for each room that is imported or imports: `benchmark.runs -> benchmark.scoring, models.audio`."""
    lines = [
        textwrap.fill(f"{name} -> {', '.join(sorted(others))}", 116, subsequent_indent="    ")
        for name, others in sorted(graph.items())
        if others
    ]
    alone = sorted(set().union(*graph.values()) - {name for name, others in graph.items() if others})
    circle = " -> ".join(find_circle(graph)) or "none"
    return "\n".join([*lines, f"import nothing of ours: {', '.join(alone)}", f"circles: {circle}"])


if __name__ == "__main__":
    print(describe(import_graph()))
