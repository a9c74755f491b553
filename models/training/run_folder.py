"""What a training run keeps on disk: its state for an exact resume, its metrics, and its best weights."""

import csv
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from models.checkpoint import write_atomically
from models.config import to_mapping
from models.preset import Preset

STATE, METRICS, BEST = "last.pt", "metrics.csv", "best"


class RunFolder:
    """The folder of one training run.

    Args:
        path: made if absent.

    Attributes:
        best: folder of the checkpoint with the best validation SDR.
        rows: rows of ``metrics.csv``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best = path / BEST
        self.rows: list[dict[str, Any]] = []
        path.mkdir(parents=True, exist_ok=True)

    def save(self, state: dict[str, Any], preset: Preset) -> None:
        """Replace the saved state and the metrics; if that fails, the previous ones stay."""
        content = {**state, "preset": to_mapping(preset), "rows": self.rows}
        write_atomically(self.path / STATE, lambda path: torch.save(content, path))
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path / METRICS, lambda path: path.write_text(text.getvalue()))

    def load(self, preset: Preset) -> dict[str, Any]:
        """The saved state, without executing any code from the file.

        Raises:
            FileNotFoundError: nothing to resume.
            ValueError: a damaged file, or one of another preset (its length alone may differ).
        """
        file = self.path / STATE
        if not file.is_file():
            raise FileNotFoundError(f"{file}: nothing to resume; leave out --resume to start a run")
        try:
            with warnings.catch_warnings(action="ignore"):  # torch warns of foreign pickles, and then refuses them
                state = torch.load(file, map_location="cpu", weights_only=True)
            saved, self.rows = state["preset"], state["rows"]
        except (RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise ValueError(
                f"{file}: not a training state, or damaged ({' '.join(str(error).split())[:120]})"
            ) from None
        wanted = to_mapping(preset)
        for section, settings in wanted.items():
            for name, value in settings.items() if isinstance(settings, dict) else [("", settings)]:
                before = saved[section].get(name) if isinstance(settings, dict) else saved[section]
                if value != before and (section, name) not in {("train", "steps"), ("train", "minutes")}:
                    raise ValueError(
                        f"--resume: {section}.{name} was {before!r} in {self.path} and is {value!r} now; "
                        "resume with the same settings, or start a run in another folder"
                    )
        return state

    def refuse_overwrite(self) -> None:
        """Raise ValueError if a run is here already."""
        if (self.path / STATE).exists():
            raise ValueError(f"{self.path} holds a run already; add --resume to continue it, or choose another --out")
