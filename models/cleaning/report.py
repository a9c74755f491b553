"""What cleaning decided, as a table and as a picture."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from models.cleaning.decisions import ACTIONS, Decision
from models.running.atomic import replacing, write_text

COLUMNS = ("track", "stem", "start_s", "end_s", "own_share", "dirt", "heard_as", "decision", "label", "reason")
COLOURS = {"keep": "0.6", "cut": "tab:orange", "relabel": "tab:blue", "drop": "tab:red", "silent": "0.9"}


def write_report(decisions: Sequence[Decision], stretch_s: float, path: Path) -> None:
    """Write a row for each stem, and one for each stretch that is cut out of it; stems by falling dirt."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in sorted(decisions, key=lambda one: (-one.dirt, one.score.track, one.score.stem)):
        score = one.score
        row = [score.track, score.stem, "", "", f"{score.share(score.stem):.4f}", f"{one.dirt:.4f}"]
        writer.writerow([*row, "" if score.is_silent else score.heard_as, one.action, one.label, one.reason])
        shares = score.stretch_shares(score.stem)
        for index in one.cuts:
            end = "" if index == len(shares) - 1 else f"{(index + 1) * stretch_s:g}"
            row = [score.track, score.stem, f"{index * stretch_s:g}", end, f"{shares[index]:.4f}", ""]
            heard = score.stems[max(range(len(score.stems)), key=lambda place: score.estimates[index][place])]
            writer.writerow([*row, heard, "silence", "", "sounds like something else"])
    write_text(path, text.getvalue())


def plot_report(decisions: Sequence[Decision], path: Path) -> None:
    """Draw the own share of each stem, a row for each name, coloured by what becomes of it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(one.score.stem for one in decisions))
    figure = Figure(figsize=(8, 1 + 0.9 * len(names)), layout="constrained")
    axes = figure.subplots()
    for action in ACTIONS[:-1]:
        chosen = [one for one in decisions if one.action == action]
        # Stems of a name are spread over its row by their number, so that equal shares can be told apart.
        rows = [names.index(one.score.stem) + (index % 9 - 4) / 16 for index, one in enumerate(chosen)]
        shares = [one.score.share(one.score.stem) for one in chosen]
        axes.scatter(shares, rows, s=14, color=COLOURS[action], label=f"{action} ({len(chosen)})")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of the stem's energy that the model hears as what its name says")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    canvas = FigureCanvasAgg(figure)
    with replacing(path) as part:
        canvas.print_figure(part, format="png", dpi=110)
