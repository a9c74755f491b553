"""What training asks of the machine."""

import os
import signal
import subprocess

import pytest
import torch

from models.training import machine


def test_bfloat16_falls_back_where_the_processor_cannot(monkeypatch, capsys):
    monkeypatch.setattr(machine.nn, "LSTM", lambda *_, **__: _Refusing())
    assert not machine.can_bfloat16("cpu")
    assert "float32 instead" in capsys.readouterr().err


class _Refusing(torch.nn.Module):
    def forward(self, _):
        raise RuntimeError("could not create a primitive descriptor")


def test_a_signal_is_noted_once_and_then_acts_as_usual():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    stopped = []
    try:
        with machine.stop_on_signal(stopped):
            os.kill(os.getpid(), signal.SIGINT)
            assert stopped == [signal.SIGINT]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_commit_is_named_and_none_outside_a_repository(monkeypatch, tmp_path):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=machine.ROOT, capture_output=True, text=True)
    assert machine.git_commit().rstrip("+") == head.stdout.strip()
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert machine.git_commit() == ""


def test_the_hardware_is_described():
    assert f"2 process(es) of {torch.get_num_threads()} thread(s)" in machine.describe_hardware("cpu", 2)
