"""What a network computes in: asked for, or by the processor."""

import pytest
import torch

from models.running import precision
from models.running.precision import compute_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize(("has_instructions", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_where_the_processor_has_instructions_for_it(monkeypatch, has_instructions, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_instructions)
    monkeypatch.setattr(precision, "_has_bfloat16_blstm", lambda _: True)
    assert compute_dtype("auto", CPU) is expected


def test_auto_is_float32_on_other_devices():
    assert compute_dtype("auto", torch.device("meta")) is torch.float32


def test_auto_is_float32_where_pytorch_has_no_bfloat16_blstm(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(precision, "_has_bfloat16_blstm", lambda _: False)
    assert compute_dtype("auto", CPU) is torch.float32
    with pytest.raises(ValueError, match="no bfloat16 BLSTM"):
        compute_dtype("bfloat16", CPU)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="expected auto, float32, bfloat16, got float64"):
        compute_dtype("float64", CPU)
