"""Any Python object with `separate(mixture, sample_rate)` as a system: named as package.module:factory, or live."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import io
import pickle
import re
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.imports import made_of, search_roots, version_of
from benchmark.provenance.weights import Source, file_hash
from benchmark.systems.interface import count_parameters

PLACE = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*"
NOTE = (
    "an object of the user: results are reused while its module, its package and their imports are unchanged; changes"
    " of other files that it reads are not noticed"
)


def resolve_python(text: str) -> Source:
    """Read `--system [NAME=]PACKAGE.MODULE:FACTORY[?ARGUMENT=VALUE,...]`; the process of the system imports the module.

    Raises:
        ValueError: the text has another form, or there is no such module.
    """
    found = re.fullmatch(rf"(?:([^=?]+)=)?({PLACE})(\?.*)?", text)
    if found is None:
        raise ValueError(
            f"--system: expected package.module:factory, or NAME=package.module:factory?argument=value, got {text!r}"
        )
    name, place, arguments = found.groups(default="")
    _arguments(text, arguments)
    module = place.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # importing the parent package may raise anything
        raise ValueError(f"--system {text}: {module} cannot be imported ({error})") from error
    if spec is None:
        raise ValueError(f"--system {text}: expected a module in sys.path, got {module}; check the name or PYTHONPATH")
    name = name.strip() or text
    return Source(name, f"{name} (Python)", "python", place + arguments, "", _digest(place + arguments, module), NOTE)


def _arguments(system: str, text: str) -> dict[str, Any]:
    """The arguments in `?depth=3,kind=fast`: numbers, True, False, None and quoted text as in Python, else text.

    Raises:
        ValueError: one has no name or no value.
    """
    arguments: dict[str, Any] = {}
    for part in filter(None, text.removeprefix("?").split(",")):
        name, equals, value = part.partition("=")
        if not name.isidentifier() or not equals:
            raise ValueError(f"--system {system}: expected argument=value after the ?, got {part!r}")
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[name] = value
    return arguments


def source_of_object(name: str, separator: Any) -> Source:
    """A live object as a source.

    Its digest is of its state, pickled, and of the code of its class, so that results are reused while both are the
    same. What cannot be pickled, or whose class has no module of its own (a notebook), is measured again each time.
    """
    module = type(separator).__module__
    try:
        pickled = io.BytesIO()
        _Pickler(pickled).dump(separator)
        state = hashlib.sha256(pickled.getvalue()).hexdigest()[:16]
        digest = state + _digest(type(separator).__qualname__, module)
        if module in ("__main__", "builtins"):
            raise ValueError("its class has no module of its own")
    except Exception:  # pickling may raise anything
        digest = uuid.uuid4().hex
    return Source(name, f"{name} (Python)", "object", "", "", digest, NOTE)


class _Pickler(pickle.Pickler):
    """Pickles tensors by their values: torch's own pickles of equal tensors differ."""

    def reducer_override(self, value: Any) -> Any:
        """How a value is pickled."""
        if not hasattr(value, "untyped_storage"):
            return NotImplemented
        import torch

        content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return tuple, ((str(value.dtype), tuple(value.shape), content),)


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


class ObjectSystem:
    """An object that has `separate(mixture [C, T], sample_rate)`, which returns {stem: [C, T]}, arrays or tensors.

    Args:
        separator: the object; its `stems` are what it returns for a second of noise if it does not name them, and its
            `sample_rate` any if it has none.
        name: in messages.

    Attributes:
        stems, sample_rate: see System.
        parameters: the object's `parameters` if that is a number, else those of its torch `network`, else 0.

    Raises:
        ValueError: the object is not a separator.
    """

    def __init__(self, separator: Any, name: str) -> None:
        if not callable(getattr(separator, "separate", None)):
            kind = type(separator).__name__
            raise ValueError(f"{name}: expected a separator, got {kind} without separate(mixture, sample_rate)")
        self._name, self._separator = name, separator
        self.sample_rate: int | None = getattr(separator, "sample_rate", None)
        parameters, network = getattr(separator, "parameters", None), getattr(separator, "network", None)
        if not isinstance(parameters, int):
            parameters = count_parameters(network) if hasattr(network, "parameters") else 0
        self.parameters: int = parameters
        self.stems: tuple[str, ...] = tuple(getattr(separator, "stems", None) or self._returned())

    def _returned(self) -> tuple[str, ...]:
        rate = self.sample_rate or 44100
        noise = np.random.default_rng(0).normal(scale=0.1, size=(2, rate)).astype(np.float32)
        return tuple(self._checked(self._separator.separate(noise, rate)))

    def _checked(self, stems: Any, wanted: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(stems, dict) or not stems or not set(wanted) <= set(stems):
            got = ", ".join(map(str, stems)) or "none" if isinstance(stems, dict) else type(stems).__name__
            raise ValueError(f"{self._name}: expected {{stem: array}} of {', '.join(wanted) or 'its stems'}, got {got}")
        return stems

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System.

        Raises:
            ValueError: the object did not return an array for each of its stems.
        """
        stems = self._checked(self._separator.separate(mixture, sample_rate), self.stems)
        return {stem: _array(stems[stem]) for stem in self.stems}


def _array(audio: Any) -> np.ndarray:
    """An array of an array, or of a tensor on any device."""
    return np.asarray(audio.detach().cpu() if hasattr(audio, "detach") else audio, dtype=np.float32)


class PythonSystem(ObjectSystem):
    """An object made by a factory of a module.

    Args:
        location: `package.module:factory?argument=value`; what is not callable is the object itself.
        device: given to a factory that has an argument `device`.

    Raises:
        ValueError: the module has no such name, the factory does not take the arguments, or what it makes is not a
            separator.
    """

    def __init__(self, location: str, device: str = "cpu") -> None:
        name = f"--system {location}"
        place, _, text = location.partition("?")
        module, _, path = place.partition(":")
        made: Any = importlib.import_module(module)
        for part in path.split("."):
            if not hasattr(made, part):
                raise ValueError(f"{name}: expected a name in {module}, got {path}, which it does not have")
            made = getattr(made, part)
        arguments = _arguments(location, text)
        if callable(made):
            signature = inspect.signature(made)
            if "device" in signature.parameters:
                arguments.setdefault("device", device)
            try:
                signature.bind(**arguments)
            except TypeError as error:
                raise ValueError(f"{name}: {path}{signature} does not take these arguments ({error})") from error
            made = made(**arguments)
        elif arguments:
            raise ValueError(f"{name}: expected no arguments, since {path} is an object that is made already")
        super().__init__(made, name)
