"""From a search to a model with a name: a preset, and a checkpoint that `benchmark` and `submission` find."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint import CHECKPOINT_FOLDER, load_checkpoint, save_checkpoint, write_atomically
from models.config import override, to_mapping
from models.preset import PRESET_FOLDER
from models.training.record.card import model_card
from models.training.record.run_folder import BEST
from tuning.plan import Plan, read_plan
from tuning.space import format_overrides
from tuning.trial import FINISHED, Trial, read_outcome, read_trials


@dataclass(frozen=True)
class Promoted:
    """Where a trial went.

    Attributes:
        trial: which it was.
        preset: the file.
        checkpoint: the folder.
    """

    trial: Trial
    preset: Path
    checkpoint: Path


def choose(out: Path, trial: int | None = None, most_gmacs: float | None = None) -> Trial:
    """The trial to promote: the one named, or the best seed of the best cell, by the means of the complete cells.

    A cell is complete if each of its seeds has finished: the mean of the seeds that came through says nothing of it.

    Args:
        out: folder of a search.
        trial: its number; it must have finished, whatever became of the other seeds.
        most_gmacs: leave out cells that cost more GMAC/s.

    Raises:
        ValueError: no such trial, or no complete cell that is cheap enough.
        FileNotFoundError: no search there.
    """
    trials = {each.index: each for each in read_trials(out)}
    outcomes = {index: read_outcome(out / each.name) for index, each in trials.items()}
    if trial is not None:
        if trial not in trials:
            raise ValueError(f"--trial: expected one of the {len(trials)} trials in {out}, got {trial}")
        if outcomes[trial].status != FINISHED:
            raise ValueError(f"--trial: expected a finished trial, {trial} is {outcomes[trial].status}")
        return trials[trial]
    seeds = read_plan(out).seeds
    cells: dict[str, list[Trial]] = {}
    for index, each in trials.items():
        if outcomes[index].status == FINISHED and (most_gmacs is None or each.gmacs_per_s <= most_gmacs):
            cells.setdefault(format_overrides(each.overrides), []).append(each)
    complete = [finished for finished in cells.values() if len(finished) == seeds]
    if not complete:
        limit = "" if most_gmacs is None else f" under {most_gmacs:g} GMAC/s"
        raise ValueError(
            f"{out}: expected a cell{limit} of which each seed has finished ({seeds}), found none; "
            "go on with the search, or name a finished trial with --trial"
        )

    def sdr(each: Trial) -> float:
        return float(outcomes[each.index].metrics["sdr"])

    best = max(complete, key=lambda cell: sum(map(sdr, cell)) / len(cell))
    return max(best, key=sdr)


def promote(
    out: Path,
    plan: Plan,
    trial: Trial,
    name: str,
    presets: Path = PRESET_FOLDER,
    checkpoints: Path = CHECKPOINT_FOLDER,
) -> Promoted:
    """Write a trial's settings as the preset, and its weights as the checkpoint, of a name that is free.

    The preset is the search's with the trial's settings, without its budget: it may be trained for longer.

    Args:
        out: folder of the search.
        plan: of the search.
        trial: a finished one.
        name: of lower-case letters, digits, ``-``, ``_`` and ``.``.
        presets: folder of the preset.
        checkpoints: folder of the checkpoint's folder.

    Raises:
        ValueError: a name that cannot be one, or is taken.
        FileNotFoundError: the trial's weights have gone.
    """
    import yaml

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or name.endswith((".yaml", ".yml")):
        raise ValueError(f"--name: expected lower-case letters, digits, '-', '_' and '.', got {name!r}")
    preset_file, folder = presets / f"{name}.yaml", checkpoints / name
    for path in (preset_file, folder):
        if path.exists():
            raise ValueError(f"--name: {path} is there already; choose another name, or remove it first")
    checkpoint = load_checkpoint(out / trial.name / BEST)
    settings = format_overrides(trial.overrides)
    found = f"trial {trial.index} ({settings}) of a search over {', '.join(plan.grid)}, {plan.budget} each"
    info = {**checkpoint.info, "name": name, "found_by": found}
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=_made(checkpoints)) as temporary:
        made = Path(temporary) / name
        save_checkpoint(
            made, checkpoint.network.state_dict(), checkpoint.preset, info, model_card(checkpoint.preset, info)
        )
        shutil.copy(out / trial.name / "metrics.csv", made)
        os.rename(made, folder)
    text = yaml.safe_dump(to_mapping(override(plan.preset, trial.overrides)), sort_keys=False, width=120)
    header = f"# Found by `python -m tuning`: {settings}, changed from {plan.preset_name}.\n"
    write_atomically(preset_file, lambda path: path.write_text(header + text, encoding="utf-8"))
    return Promoted(trial, preset_file, folder)


def parse_gmacs(text: str) -> float:
    """Read ``2GMAC``, ``2.5 GMAC/s`` or ``2`` as GMAC/s.

    Raises:
        ValueError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(?:gmacs?(?:/s)?)?", text.strip().lower())
    if not match or not float(match[1]):
        raise ValueError(f"--pareto-under: expected GMAC a second such as 2GMAC, got {text!r}")
    return float(match[1])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
