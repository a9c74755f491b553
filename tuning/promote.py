"""Promotes a trial of a search: writes it as a preset, and as a checkpoint that `benchmark` and `submission` find."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from models.checkpoints.checkpoint import CHECKPOINT_FOLDER, load_checkpoint, save_checkpoint
from models.presets.preset import PRESET_FOLDER
from models.presets.settings import override, to_mapping
from models.running import atomic
from models.training.record.card import model_card
from models.training.record.run_folder import BEST
from tuning.analysis.results import compare, read_results
from tuning.space.band_split import resolve
from tuning.space.grid import format_overrides
from tuning.space.plan import Plan, read_plan
from tuning.trials.records import FINISHED, Trial, read_outcome, read_trials


@dataclass(frozen=True)
class Promoted:
    """The files of a promoted trial.

    Attributes:
        trial: the trial.
        preset: its preset file.
        checkpoint: its checkpoint folder.
    """

    trial: Trial
    preset: Path
    checkpoint: Path


def choose(out: Path, trial: int | None = None, most_gmacs: float | None = None) -> Trial:
    """The trial to promote: the given one, or the best seed of the complete cell that leads the summary.

    A cell is complete if each of its seeds has finished. The mean of only some seeds would not be comparable.

    Args:
        out: folder of a search.
        trial: its number; this trial must have finished, the other seeds need not.
        most_gmacs: leave out cells that cost more GMAC/s.

    Raises:
        ValueError: no such trial, no complete cell within the limit, or a damaged file.
        FileNotFoundError: the folder holds no search.
    """
    trials = {each.index: each for each in read_trials(out)}
    plan = read_plan(out)
    if trial is not None:
        if trial not in trials:
            raise ValueError(f"--trial: expected one of the {len(trials)} trials in {out}, got {trial}")
        if (status := read_outcome(out / trials[trial].name).status_at(plan.budget.amount)) != FINISHED:
            raise ValueError(f"--trial: expected a finished trial, {trial} is {status}")
        return trials[trial]
    table = read_results(out)
    cells = compare(out, table, plan).cells
    if most_gmacs is not None and not cells.empty:
        cells = cells[cells.gmacs_per_s <= most_gmacs]
    if cells.empty:
        limit = "" if most_gmacs is None else f" under {most_gmacs:g} GMAC/s"
        raise ValueError(
            f"{out}: expected a cell{limit} of which each seed has finished ({plan.seeds}), found none; "
            "go on with the search, or name a finished trial with --trial"
        )
    seeds = table[table.cell == cells.index[0]]
    return trials[int(seeds.trial[seeds.sdr.idxmax()])]


def promote(
    out: Path,
    plan: Plan,
    trial: Trial,
    name: str,
    presets: Path = PRESET_FOLDER,
    checkpoints: Path = CHECKPOINT_FOLDER,
) -> Promoted:
    """Write a trial's settings as a preset, and its weights as a checkpoint, under a new name.

    The preset is the search's preset with the trial's settings, without its budget, so that it can be trained longer.

    Args:
        out: folder of the search.
        plan: of the search.
        trial: a finished trial.
        name: of lower-case letters, digits, ``-``, ``_`` and ``.``.
        presets: folder of the preset file.
        checkpoints: folder in which the checkpoint's folder is made.

    Raises:
        ValueError: the name is invalid or taken.
        FileNotFoundError: the trial's weights are missing.
    """
    import yaml

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or name.endswith((".yaml", ".yml")):
        raise ValueError(f"--name: expected lower-case letters, digits, '-', '_' and '.', got {name!r}")
    preset_file, folder = presets / f"{name}.yaml", checkpoints / name
    for path in (preset_file, folder):
        if path.exists():
            raise ValueError(f"--name: expected a new name, but {path} exists; choose another name, or remove it first")
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
    text = yaml.safe_dump(to_mapping(override(plan.preset, resolve(trial.overrides))), sort_keys=False, width=120)
    header = f"# Found by `python -m tuning`: {settings}, changed from {plan.preset_name}.\n"
    atomic.write_text(preset_file, header + text)
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
