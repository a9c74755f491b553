"""Runs that end at a share of their length and go on later, as in the rungs of successive halving."""

import csv

from conftest import SAMPLE_RATE, STEMS, with_train
from models.training.data.packs import prepare_pack
from models.training.loop import train


def rows_of(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["valid_sdr"]]


def test_a_run_in_parts_is_the_run_in_one(hq_root, tmp_path):
    """To the digit: the rate of the linear schedule follows the whole run, not the part."""
    pack, preset = (
        prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE),
        with_train(steps=9, validate_every=1000),
    )
    shares = [1 / 9, 1 / 3, 2 / 3, 1.0]
    train(preset, pack, tmp_path / "one", validations=shares)
    for until, resume in ((1 / 3, False), (1 / 3, True), (1.0, True)):
        result = train(preset, pack, tmp_path / "parts", validations=shares, until=until, resume=resume)
        assert (result.steps, result.finished) == ((9, True) if until == 1 else (3, False))
    columns = ["step", "lr", "loss", "valid_sdr"]
    whole, parts = ([[row[name] for name in columns] for row in rows_of(tmp_path / part)] for part in ("one", "parts"))
    assert [row[0] for row in whole] == ["1", "3", "6", "9"] and whole == parts
