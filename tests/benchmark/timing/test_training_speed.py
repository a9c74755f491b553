"""Training speed: presets take their steps in turns, on batches of a pack, and the table's ratios are to the first."""

import pytest
import torch

from benchmark.__main__ import main
from benchmark.timing import training_speed
from benchmark.timing.training_speed import StepTiming, measure_training, parse_setup, render_training
from models.macs import step_gflops
from models.tracks import STEMS
from models.training.data.packs import prepare_pack

SMALL = "tiny?model.layers=2&model.features=8&model.hidden=8&train.batch=2&data.crop_s=0.5"


@pytest.fixture
def pack(hq_root, tmp_path):
    return prepare_pack([hq_root], tmp_path / "pack", STEMS, 44100)


def test_a_setup_is_a_preset_with_changed_settings():
    preset = parse_setup(SMALL)
    assert (preset.architecture, preset.model.layers, preset.data.crop_s) == ("bsrnn", 2, 0.5)
    assert parse_setup("tiny").model.layers == 6
    assert parse_setup("tiny?model.bands=100:1k,1k:20k").model.bands == "100:1k,1k:20k"
    for wrong, message in (("tinny", "no preset 'tinny'"), ("tiny?train.lr", "expected NAME=VALUE")):
        with pytest.raises(ValueError, match=message):
            parse_setup(wrong)


@pytest.mark.slow
def test_presets_take_turns_and_only_warm_steps_count(pack, monkeypatch):
    taken = []
    take = training_speed._Trainer.take
    monkeypatch.setattr(training_speed._Trainer, "take", lambda self: (taken.append(self.preset), take(self)))
    setups = {text: parse_setup(text) for text in (SMALL, f"{SMALL}&train.seed=1")}
    timings = measure_training(setups, pack, steps=3, threads=torch.get_num_threads())
    first, second = setups.values()
    assert taken == [first, second] * (training_speed.WARM_UP_STEPS + 3)
    assert [timing.name for timing in timings] == list(setups)
    for timing in timings:
        assert len(timing.step_s) == len(timing.batch_s) == 3 and min(timing.step_s) > 0
        assert timing.mixture_s == 1.0 and timing.gflops == step_gflops(first) and timing.operators == {}


@pytest.mark.slow
def test_operators_share_a_step(pack):
    (timing,) = measure_training({"x": parse_setup(SMALL)}, pack, 1, torch.get_num_threads(), profiled=True)
    assert sum(timing.operators.values()) == pytest.approx(1)
    assert list(timing.operators.values()) == sorted(timing.operators.values(), reverse=True)
    assert any("lstm" in name for name in timing.operators)


def test_the_table_compares_with_the_first():
    first = StepTiming("a", 1_000_000, 50.0, 16.0, (0.5, 0.1, 0.1), (0.4, 0.3, 0.9), {"mm": 0.6, "add": 0.4})
    second = StepTiming("b", 2_000_000, 80.0, 8.0, (0.05,) * 3, (0.75,) * 3, {})
    table = render_training([first, second], 1, "cpu", 1)
    assert "| a | 1.0 M | 16 | 0.100 | 0.400 | 0.300–0.900 | 125 | 32.0 | 1.00 |" in table
    assert "| b | 2.0 M | 8 | 0.050 | 0.750 | 0.750–0.750 | 107 | 10.0 | 0.31 |" in table
    assert table.splitlines()[-1] == "a, shares of a batch and a step: mm 60 %"


def test_the_command_prints_a_table(hq_root, capsys):
    threads = str(torch.get_num_threads())
    command = ["training-speed", "--data", str(hq_root), "--preset", SMALL, "--steps", "1", "--threads", threads]
    assert main([*command, "--operators", "2"]) == 0
    out = capsys.readouterr().out
    assert f"| {SMALL} | " in out and "shares of a batch and a step: " in out
    assert main(["training-speed", "--data", str(hq_root / "nothing"), "--preset", "tiny"]) == 2
    assert main(["training-speed", "--data", str(hq_root), "--preset", "no-such"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
