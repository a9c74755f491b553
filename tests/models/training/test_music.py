"""Music that changes while a run trains: from the step after a validation on, also for workers, and after a resume."""

import csv

import pytest
import torch

from conftest import SAMPLE_RATE, STEMS, TINY, with_train
from models.checkpoints.checkpoint import load_checkpoint
from models.training.data.mixing import RandomMixer
from models.training.data.origin import data_names
from models.training.data.packs import prepare_pack
from models.training.loop import train
from models.training.step import TrainingStep


@pytest.fixture
def pack(hq_root, tmp_path):
    return prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


class Seeds:
    """Mixers of another seed after each validation."""

    def __init__(self, pack):
        self.pack, self.seed, self.steps = pack, None, []

    def follow(self, rows, now, average, is_stopped):
        seed = 100 + sum("valid_sdr" in row for row in rows)
        self.steps.append(now)
        if seed == self.seed:
            return None
        self.seed = seed
        return mixer_of(self.pack, seed)

    def origins(self):
        return "songs without stems of X, labels of Y"

    def facts(self):
        return {"unlabelled_songs": "2 songs: a; b", "teacher": "Y"}


def mixer_of(pack, seed):
    return RandomMixer(pack, TINY.data, TINY.model.stems, seed)


@pytest.fixture
def batches(monkeypatch):
    """The mixtures of each step."""
    taken = {}
    original = TrainingStep.take

    def take(self, batch, progress, rate):
        taken[progress.step] = batch.mixture.clone()
        return original(self, batch, progress, rate)

    monkeypatch.setattr(TrainingStep, "take", take)
    return taken


def check(batches, pack, steps=12):
    assert sorted(batches) == list(range(steps))
    for step, mixture in batches.items():
        assert torch.equal(mixture, mixer_of(pack, 100 + step // 5).batch(step, 2).mixture)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_those_of_the_mixer_of_the_moment(pack, tmp_path, batches, workers):
    music = Seeds(pack)
    assert train(TINY, pack, tmp_path / "run", music=music, workers=workers).finished
    check(batches, pack)
    assert music.steps == [0, 5, 10]  # not after the last validation, which ends the run


def test_a_resumed_run_goes_on_with_the_music_of_its_rows(pack, tmp_path, batches):
    train(with_train(steps=7), pack, tmp_path / "run", music=Seeds(pack))
    with (tmp_path / "run" / "metrics.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file) if row["valid_sdr"]] == ["5", "7"]
    music = Seeds(pack)
    train(with_train(steps=12), pack, tmp_path / "run", music=music, resume=True)
    assert music.steps == [7, 10]
    for step in range(7, 12):
        assert torch.equal(batches[step], mixer_of(pack, 102 + step // 10).batch(step, 2).mixture)


def test_without_music_batches_are_the_packs(pack, tmp_path, batches):
    train(TINY, pack, tmp_path / "run")
    for step, mixture in batches.items():
        assert torch.equal(mixture, mixer_of(pack, 0).batch(step, 2).mixture)


def test_checkpoints_say_what_the_music_was(pack, tmp_path):
    train(with_train(steps=2), pack, tmp_path / "run", music=Seeds(pack))
    info = load_checkpoint(tmp_path / "run" / "best").info
    assert data_names(info) == ["musdb18hq", "songs without stems of X", "labels of Y"]
    card = (tmp_path / "run" / "best" / "README.md").read_text()
    assert "| unlabelled songs | 2 songs: a; b |" in card and "| teacher | Y |" in card
