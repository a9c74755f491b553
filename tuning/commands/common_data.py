"""The training data that all cells of a search, or rows of an ablation, share."""

from collections.abc import Sequence
from pathlib import Path

from models.training.data.packs import Pack, open_data
from tuning.space.grid import Cell


def open_common_data(roots: Sequence[Path], cells: Sequence[Cell], cache: Path) -> Pack:
    """A pack for all cells: the given one, or one made from data folders.

    Raises:
        ValueError: the cells need different stems or rates, or others than the pack's; or the data are unusable.
        FileNotFoundError: no data.
    """
    needs = {(cell.preset.data.sources, cell.preset.model.sample_rate) for cell in cells}
    if len(needs) > 1:
        raise ValueError(
            "--grid: expected one data.sources and one model.sample_rate for all trials, got several; "
            "run a search for each"
        )
    sources, sample_rate = needs.pop()
    return open_data(roots, cache, sources, sample_rate)
