"""What a network computes in: float32, or bfloat16 where the processor multiplies it faster."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "float32", "bfloat16")


def compute_dtype(precision: str, device: "torch.device") -> "torch.dtype":
    """The type that BLSTMs and linear layers compute in; norms, spectrograms and sums are float32 in any case.

    Args:
        precision: one of ``PRECISIONS``; ``auto`` is bfloat16 on a CPU that has instructions for it (AVX512-BF16 or
            AMX), where it is faster, and float32 elsewhere.
        device: where the network runs.

    Raises:
        ValueError: another precision, or bfloat16 where PyTorch has no BLSTM for it.
    """
    import torch

    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected {', '.join(PRECISIONS)}, got {precision}")
    if precision == "float32" or (precision == "auto" and not _is_fast(device)):
        return torch.float32
    if precision == "bfloat16" and not _has_bfloat16_blstm(device):
        raise ValueError("precision: no bfloat16 BLSTM on this processor; use float32")
    return torch.bfloat16


def _is_fast(device: "torch.device") -> bool:
    import torch

    if device.type != "cpu":
        return False
    return torch.cpu._is_avx512_bf16_supported() and _has_bfloat16_blstm(device)


def _has_bfloat16_blstm(device: "torch.device") -> bool:
    import torch

    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16):
            torch.nn.LSTM(8, 8, bidirectional=True).to(device)(torch.zeros(2, 2, 8, device=device))
    except RuntimeError:
        return False
    return True
