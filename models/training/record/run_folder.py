"""What a training run keeps on disk: its state for an exact resume, its metrics, and its weights."""

import contextlib
import csv
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

from models.presets.preset import Preset, preset_from_mapping
from models.presets.settings import to_mapping
from models.running import atomic
from models.training.record.plot import plot_curves
from models.training.record.saved_state import load_state, save_state

STATE, METRICS, SETTINGS, CALLS, PLOT = "last.pt", "metrics.csv", "config.yaml", "calls.jsonl", "curves.png"
BEST, LAST, TENSORBOARD = "best", "last", "tensorboard"
STATE_KEYS = {"network", "average", "optimizers", "scaler", "progress", "preset", "rows"}
"""Of ``last.pt``."""
PLOT_EVERY_S = 30.0


class RunFolder:
    """The folder of one training run.

    ``last.pt`` (state), ``metrics.csv``, ``tracks.csv`` (validation SDR of each track), ``config.yaml`` (the preset,
    complete), ``calls.jsonl`` (git commit and arguments of each call), ``curves.png``, ``tensorboard/`` (a file for
    each call), and the checkpoints ``best/`` and ``last/``. Close it at the end of the call.

    Args:
        path: made if absent.

    Attributes:
        best: folder of the checkpoint with the best validation SDR.
        last: folder of the checkpoint of the last validation.
        rows: rows of ``metrics.csv``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best, self.last = path / BEST, path / LAST
        self.rows: list[dict[str, Any]] = []
        self._logged, self._said = 0, False
        self._tensorboard: Any = None
        self._plotted_at, self._is_plotted = time.monotonic(), True
        path.mkdir(parents=True, exist_ok=True)

    def describe(self, preset: Preset, call: dict[str, Any]) -> None:
        """Write the settings, and add a line about this call."""
        import yaml

        settings = yaml.safe_dump(to_mapping(preset), sort_keys=False)
        atomic.write_text(self.path / SETTINGS, settings)
        with (self.path / CALLS).open("a") as file:
            file.write(json.dumps(call) + "\n")

    def save(self, state: dict[str, Any], preset: Preset) -> None:
        """Replace the saved state and the metrics; if that fails, the previous ones stay. Plots follow."""
        save_state(self.path / STATE, {**state, "preset": to_mapping(preset), "rows": self.rows})
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic.write_text(self.path / METRICS, text.getvalue())
        self._show()

    def _show(self) -> None:
        """Add to the TensorBoard log and, from time to time, plot, where their packages are installed."""
        new, self._logged = self.rows[self._logged :], len(self.rows)
        if not new:
            return
        try:
            from tensorboardX import SummaryWriter

            if self._tensorboard is None:
                folder = self.path / TENSORBOARD
                number = len(list(folder.glob("*")))  # the names hold the second only, and a call may be shorter
                self._tensorboard = SummaryWriter(str(folder), filename_suffix=f".{number}")
            for row in new:
                for name, value in row.items():
                    if name != "step":
                        self._tensorboard.add_scalar(name, value, row["step"])
            self._tensorboard.flush()
            self._is_plotted = False
            if time.monotonic() - self._plotted_at > PLOT_EVERY_S:
                self._plot()
        except ModuleNotFoundError as error:
            if not self._said:
                print(f"{self.path}: no TensorBoard log or plot, {error.name} is not installed", file=sys.stderr)
            self._said = True

    def _plot(self) -> None:
        with atomic.replacing(self.path / PLOT) as part:
            plot_curves(self.rows, part)
        self._plotted_at, self._is_plotted = time.monotonic(), True

    def load(self, preset: Preset) -> dict[str, Any]:
        """The saved state, without executing any code from the file.

        Raises:
            FileNotFoundError: nothing to resume.
            ValueError: a damaged file, or one of another preset (its length alone may differ).
        """
        file = self.path / STATE
        if not file.is_file():
            raise FileNotFoundError(f"{file}: nothing to resume; leave out --resume to start a run")
        state = load_state(file, STATE_KEYS)
        try:
            saved = to_mapping(preset_from_mapping(state["preset"]))  # settings that it lacks have their defaults
        except (ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise ValueError(f"{file}: holds settings that this version does not have ({reason})") from None
        self.rows = state["rows"]
        self._logged = len(self.rows)
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

    def close(self) -> None:
        """Plot what is not plotted yet, and end the TensorBoard file of this call."""
        if not self._is_plotted:
            with contextlib.suppress(OSError, ModuleNotFoundError):  # a full disk was reported when the state was saved
                self._plot()
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None

    def refuse_overwrite(self) -> None:
        """Raise ValueError if a run is here already."""
        if (self.path / STATE).exists():
            raise ValueError(f"{self.path} holds a run already; add --resume to continue it, or choose another --out")
