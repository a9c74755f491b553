"""Steps whose loss or gradient is not finite: undone, counted, and met as the settings say."""

import csv
import dataclasses
import math

import pytest
import torch

from conftest import SAMPLE_RATE, STEMS, TINY, with_train
from models.checkpoints.checkpoint import load_checkpoint
from models.peers import OpenUnmixConfig
from models.training import clock, step
from models.training.data.packs import prepare_pack
from models.training.loop import train
from models.training.step import TrainingStep


@pytest.fixture
def pack(hq_root, tmp_path):
    return prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


@pytest.fixture(autouse=True)
def log_every_step(monkeypatch):
    monkeypatch.setattr(clock, "LOG_EVERY", 1)


def metrics(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def not_finite_at(monkeypatch, steps):
    """Make the first example's estimate NaN in the given steps."""
    original = TrainingStep.take

    def take(self, batch, progress, rate):
        if progress.step in steps:
            batch.mixture[0] = math.nan
        return original(self, batch, progress, rate)

    monkeypatch.setattr(TrainingStep, "take", take)


def test_a_loss_that_is_not_finite_names_step_and_tracks_and_keeps_the_last_good_weights(pack, tmp_path, monkeypatch):
    train(with_train(steps=4, schedule="exponential"), pack, tmp_path / "good")
    not_finite_at(monkeypatch, {4})
    with pytest.raises(FloatingPointError, match=r"step 4: loss nan.*not finite: [^|]*vocals of 'Tin[^|]*at sample.*;"):
        train(with_train(steps=6, schedule="exponential"), pack, tmp_path / "run")
    states = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("good", "run")]
    assert states[1]["progress"]["step"] == 4
    assert all(value.isfinite().all() for value in states[1]["network"].values())
    for good, kept in zip(states[0]["network"].values(), states[1]["network"].values(), strict=True):
        assert torch.allclose(good, kept, rtol=1e-3, atol=1e-4)


def test_steps_that_are_not_finite_are_skipped_when_asked(pack, tmp_path, monkeypatch, capsys):
    not_finite_at(monkeypatch, {2, 5})
    result = train(with_train(steps=8, non_finite="skip"), pack, tmp_path / "run")
    assert result.finished and result.steps == 8
    assert capsys.readouterr().err.count("skipped step") == 2
    rows = metrics(tmp_path / "run")
    assert rows[-1]["skipped"] == "2" and [math.isnan(float(row["loss"])) for row in rows].count(True) == 2
    assert load_checkpoint(tmp_path / "run" / "best").info["steps"]


def test_a_network_that_stays_not_finite_stops(pack, tmp_path, monkeypatch):
    not_finite_at(monkeypatch, range(3, 1000))
    with pytest.raises(FloatingPointError, match="step 12: loss nan"):
        train(with_train(steps=100, non_finite="skip", validate_every=100), pack, tmp_path / "run")


def with_batch_norm(**changes):
    """A small Open-Unmix."""
    model = OpenUnmixConfig(stems=("vocals", "drums"), n_fft=1024, hop=512, max_bin=200, hidden=8, layers=1)
    data = dataclasses.replace(TINY.data, channels=2)
    return dataclasses.replace(with_train(**changes), architecture="openunmix", model=model, data=data)


def test_a_skipped_step_leaves_the_statistics_of_batch_norm(pack, tmp_path, monkeypatch):
    """One mixture that is not finite made every later validation NaN: the statistics never forget it."""
    not_finite_at(monkeypatch, {2})
    take = TrainingStep.take
    changed = []

    def watch(self, *arguments):
        kept = [*self.network.buffers(), *self.average.buffers()]
        before = [buffer.clone() for buffer in kept]
        result = take(self, *arguments)
        changed.append(any(not torch.equal(now, then) for now, then in zip(kept, before, strict=True)))
        return result

    monkeypatch.setattr(TrainingStep, "take", watch)
    result = train(with_batch_norm(steps=4, non_finite="skip"), pack, tmp_path / "run")
    assert changed == [True, True, False, True]
    assert math.isfinite(result.best_sdr) and load_checkpoint(tmp_path / "run" / "best")
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert all(value.isfinite().all() for name in ("network", "average") for value in state[name].values())


def test_a_stopped_run_keeps_the_statistics_of_batch_norm(pack, tmp_path, monkeypatch):
    not_finite_at(monkeypatch, {2})
    with pytest.raises(FloatingPointError, match="step 2: loss nan"):
        train(with_batch_norm(steps=4), pack, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert all(value.isfinite().all() for name in ("network", "average") for value in state[name].values())


@pytest.fixture
def overflow_at(monkeypatch):
    """Train with float16's gradient scaler, on the CPU; gradients overflow in the steps that are given to it."""
    scaler = torch.amp.GradScaler
    # Two halvings away from the smallest scale.
    make = lambda device, enabled: scaler(device, init_scale=4 * step.SMALLEST_SCALE, enabled=True)  # noqa: E731
    monkeypatch.setattr(step.torch.amp, "GradScaler", make)
    take, backward = TrainingStep.take, TrainingStep._backward

    def set_steps(steps):
        now = []

        def watch(self, batch, progress, rate):
            now[:] = [progress.step]
            return take(self, batch, progress, rate)

        def overflow(self, batch):
            result = backward(self, batch)
            if now[0] in steps:
                next(self.network.parameters()).grad[...] = math.inf
            return result

        monkeypatch.setattr(TrainingStep, "take", watch)
        monkeypatch.setattr(TrainingStep, "_backward", overflow)

    return set_steps


def test_overflows_that_a_lower_scale_ends_are_counted_and_trained_through(pack, tmp_path, overflow_at):
    overflow_at({2, 3})
    assert train(with_train(steps=6), pack, tmp_path / "run").finished
    assert [row["skipped"] for row in metrics(tmp_path / "run")] == ["0", "0", "1", "2", "2", "2"]
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert state["scaler"]["scale"] == step.SMALLEST_SCALE


def test_overflows_that_no_scale_ends_stop_the_run(pack, tmp_path, overflow_at):
    overflow_at(range(2, 1000))
    with pytest.raises(FloatingPointError, match="step 4: loss .*gradient norm inf.*scale.*0.00012.*train.precision="):
        train(with_train(steps=100, validate_every=100), pack, tmp_path / "run")
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["progress"]["step"] == 4


def test_overflows_that_no_scale_ends_are_skipped_when_asked_but_not_for_ever(pack, tmp_path, overflow_at, capsys):
    overflow_at(range(2, 8))
    preset = with_train(steps=9, non_finite="skip", validate_every=100)
    assert train(preset, pack, tmp_path / "some").finished
    assert metrics(tmp_path / "some")[-1]["skipped"] == "6"
    assert capsys.readouterr().err.count("skipped step") == 4  # two halvings need no remark
    state = torch.load(tmp_path / "some" / "last.pt", weights_only=True)
    assert state["scaler"]["scale"] == step.SMALLEST_SCALE  # it falls no further
    overflow_at(range(2, 1000))
    with pytest.raises(FloatingPointError, match="step 13: loss"):
        train(with_train(steps=100, non_finite="skip", validate_every=100), pack, tmp_path / "all")
