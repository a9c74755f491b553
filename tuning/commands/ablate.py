"""The command ``ablate``: train the rows of an ablation file, and make a table."""

import argparse

from models.running import atomic
from models.running.arguments import check_at_least
from models.running.folder_lock import sole_writer
from tuning.ablation.ablation import read_ablation, train_rows
from tuning.ablation.table import ablation_table
from tuning.commands.common_data import open_common_data
from tuning.space.grid import Cell


def ablate(options: argparse.Namespace) -> int:
    """Train the rows of an ablation file and write `table.md`.

    Returns:
        The exit code: 1 if a run failed.

    Raises:
        ValueError: an invalid file, or another process writes to the folder.
        FileNotFoundError: no file or no data.
    """
    for name in ("jobs", "seeds"):
        check_at_least(name, getattr(options, name), 1)
    rows = read_ablation(options.file)
    cells = [Cell(row.settings, row.preset) for row in rows]
    with sole_writer(options.out):
        pack = open_common_data(options.data, cells, options.out / "pack")
        runs = train_rows(rows, [pack.folder], options.out, options.jobs, options.seeds)
        table = ablation_table([row.name for row in rows], runs)
        atomic.write_text(options.out / "table.md", table)
    print(table, end="")
    return int(any(run.error for each in runs for run in each))
