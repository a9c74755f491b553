"""Any Python object with the `Separator` protocol as a system: named as package.module:factory."""

import hashlib
import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.imports import made_of, search_roots, version_of
from benchmark.provenance.weights import Source, file_hash
from benchmark.systems.interface import count_parameters


def resolve_python(text: str) -> Source:
    """Read `--system PACKAGE.MODULE:FACTORY`. The module is imported only in the process of the system.

    Raises:
        ValueError: the name has another form, or there is no such module.
    """
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*", text):
        raise ValueError(f"--system: expected package.module:factory, got {text!r}")
    module = text.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # importing the parent package may raise anything
        raise ValueError(f"--system {text}: {module} cannot be imported ({error})") from error
    if spec is None:
        raise ValueError(f"--system {text}: expected a module in sys.path, got {module}; check the name or PYTHONPATH")
    return Source(
        text,
        f"{text} (Python)",
        "python",
        text,
        "",
        _digest(text, module),
        "an object of the user: results are reused while its module, its package and their imports are unchanged;"
        " changes of other files that it reads are not noticed",
    )


def _digest(text: str, module: str) -> str:
    """Identity of an object: its name, its module, all files of its package, and their imports.

    Installed packages count with their version, other files with their content. In a package (a folder with
    `__init__.py`) every file counts, because it may hold weights and settings.
    """
    code = made_of([module])
    files = dict(code.files)
    for root in search_roots(module.partition(".")[0]):
        folder = root / module.partition(".")[0]
        if (folder / "__init__.py").is_file():
            files |= {file.relative_to(root).as_posix(): file for file in folder.rglob("*") if _counts(file, root)}
    versions = ", ".join(f"{name} {version_of(name)}" for name in sorted(code.packages))
    places = hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()[:8]
    return f"{text}@{places}{file_hash([files[place] for place in sorted(files)])} with {versions or 'no packages'}"


def _counts(file: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(root).parts)
    return not hidden and file.is_file()


class PythonSystem:
    """An object that has `stems`, `sample_rate` and `separate(mixture [C, T], sample_rate)`, as `models.Separator`.

    Attributes:
        stems, sample_rate: see System.
        parameters: the object's `parameters` if that is a number, else those of its torch `network`, else 0.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        """Import the module and call the factory without arguments; if it is not callable, it is the object itself.

        Raises:
            ValueError: the module has no such name, or the object is not a separator.
        """
        module, _, path = name.partition(":")
        made: Any = importlib.import_module(module)
        for part in path.split("."):
            if not hasattr(made, part):
                raise ValueError(f"--system {name}: expected a name in {module}, got {path}, which it does not have")
            made = getattr(made, part)
        separator = made() if callable(made) else made
        missing = [part for part in ("stems", "sample_rate", "separate") if not hasattr(separator, part)]
        if missing or not callable(separator.separate):
            what = ", ".join(missing) or "callable separate()"
            raise ValueError(f"--system {name}: expected a separator, got {type(separator).__name__} without {what}")
        self._name, self._separator = name, separator
        self.stems: tuple[str, ...] = tuple(separator.stems)
        self.sample_rate: int | None = separator.sample_rate
        parameters, network = getattr(separator, "parameters", None), getattr(separator, "network", None)
        if not isinstance(parameters, int):
            parameters = count_parameters(network) if hasattr(network, "parameters") else 0
        self.parameters: int = parameters

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System.

        Raises:
            ValueError: the object did not return an array for each of its stems.
        """
        stems = self._separator.separate(mixture, sample_rate)
        if not isinstance(stems, dict) or not set(self.stems) <= set(stems):
            got = ", ".join(map(str, stems)) if isinstance(stems, dict) else type(stems).__name__
            raise ValueError(f"--system {self._name}: expected {{stem: array}} of {', '.join(self.stems)}, got {got}")
        return {stem: np.asarray(stems[stem], dtype=np.float32) for stem in self.stems}
