"""An exported graph: what its file says of itself, and its session in onnxruntime."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.presets.settings import build
from models.signal.chunking import SeparateConfig
from models.tracks.names import check_stems

METADATA = "bandsplit"
INSTALL = "pip install 'bandsplit[onnx]'"


@dataclass(frozen=True)
class GraphFacts:
    """What a graph's metadata says, see ``models.export``."""

    name: str
    """Of the checkpoint."""
    stems: tuple[str, ...]
    """Names of the S stems."""
    sample_rate: int
    """Hz."""
    channels: int
    """C of the mixture."""
    hop: int
    """Samples between the network's frames."""
    separate: SeparateConfig
    """How a mixture is cut into chunks."""

    def __post_init__(self) -> None:
        """Check the values; the stems become file names.

        Raises:
            ValueError: a value out of range, or a name that cannot be used for a stem.
        """
        check_stems(self.stems, "stems")
        for name in ("sample_rate", "channels", "hop"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")


class Graph:
    """A graph, ready to run: mixtures [B, C, t] to stems [B, S, C, t].

    Attributes:
        facts: what its file says.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        """Load a file that ``models export`` wrote. Code is not executed: onnxruntime runs operators only.

        Args:
            path: the file.
            threads: processor threads, all by default.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: not a graph, or not one of ``models export``; or onnxruntime is not installed.
        """
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise ValueError(f"running {path} needs onnxruntime: {INSTALL}") from None
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file; `python -m models export NAME --onnx FILE` makes one")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has many error classes
            raise ValueError(f"{path}: not an ONNX graph ({' '.join(str(error).split())[:200]})") from None
        self.facts = _read_facts(path, self._session.get_modelmeta().custom_metadata_map)

    def run(self, mixtures: np.ndarray) -> np.ndarray:
        """Mixtures [B, C, t] float32 to stems [B, S, C, t]."""
        return self._session.run(["stems"], {"mixture": mixtures})[0]


def _read_facts(path: str | Path, metadata: Mapping[str, str]) -> GraphFacts:
    """The facts in a graph's metadata.

    Raises:
        ValueError: there are none, or they are not valid.
    """
    if METADATA not in metadata:
        raise ValueError(f"{path}: expected a graph of `python -m models export`, got another one")
    try:
        return build(GraphFacts, json.loads(metadata[METADATA]))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged metadata ({error})") from None
