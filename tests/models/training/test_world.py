"""Processes that train together do what one process does."""

import csv
import os
import subprocess
import sys

import pytest
import torch
import yaml
from torch import nn

from conftest import SAMPLE_RATE, STEMS, with_train
from models.__main__ import main
from models.presets.settings import to_mapping
from models.running.repository import ROOT
from models.training.data.packs import prepare_pack
from models.training.world import World, join_world

TWO_PROCESSES = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def train_together(arguments):
    """Train in two processes."""
    command = [sys.executable, *TWO_PROCESSES, "-m", "models", "train", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def train_alone(arguments):
    """Train in this process."""
    assert main(["train", *map(str, arguments)]) == 0


def losses(folder):
    with (folder / "metrics.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_processes_make_the_losses_of_one(hq_root, tmp_path):
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    preset = with_train(batch=4, steps=6, validate_every=1)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(to_mapping(preset)))
    arguments = ["--preset", tmp_path / "tiny.yaml", "--data", pack.folder, "--out"]
    together = train_together([*arguments, tmp_path / "two"])
    assert together.stdout.count("6 steps") == 1  # one process speaks
    train_alone([*arguments, tmp_path / "one"])
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    assert len(losses(tmp_path / "two")) == 6
    train_together([*arguments, tmp_path / "two", "--resume", "--set", "train.steps=8"])
    train_alone([*arguments, tmp_path / "one", "--resume", "--set", "train.steps=8", "--set", "train.seed=0"])
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)


def test_alone_a_process_is_the_whole_world():
    with join_world("cpu") as world:
        assert world == World(0, 1, "cpu")
    assert world.sum(1.5, 2) == [1.5, 2] and world.gather("a") == ["a"] and world.part(6) == slice(0, 6)
    network = nn.Linear(2, 2)
    assert world.share(network) is network


def test_the_parts_of_a_batch_cover_it():
    examples = torch.arange(6)
    parts = [examples[World(rank, 3).part(6)] for rank in range(3)]
    assert torch.equal(torch.cat(parts), examples)
    with pytest.raises(ValueError, match="train.batch: expected a multiple of the 4 processes, got 6"):
        World(0, 4).part(6)
