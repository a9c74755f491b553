"""The curves of a training run as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def plot_curves(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw loss and validation SDR over the minutes of a run.

    Args:
        rows: rows of ``metrics.csv``.
        path: the png file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    losses, scores = figure.subplots(2, 1, sharex=True)
    losses.plot([row["minutes"] for row in rows], [row["loss"] for row in rows], color="0.3")
    losses.set_ylabel("training loss")
    validated = [row for row in rows if "valid_sdr" in row]
    minutes = [row["minutes"] for row in validated]
    stems = [name for name in validated[-1] if name.startswith("valid_") and name != "valid_sdr"] if validated else []
    for name in stems if len(stems) > 1 else []:
        values = [row.get(name, float("nan")) for row in validated]
        scores.plot(minutes, values, marker=".", label=name.removeprefix("valid_"))
    scores.plot(minutes, [row["valid_sdr"] for row in validated], marker="o", color="0.1", label="mean")
    if validated:
        scores.legend(loc="lower right")
    scores.set_ylabel("validation SDR (dB)")
    scores.set_xlabel("minutes")
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(figure).print_figure(path, format="png", dpi=110)
