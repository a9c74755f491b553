"""Counts the multiplications of a network, LSTMs included, on tensors without values."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from models.presets.preset import Preset

BACKWARD_FACTOR = 2
"""Multiplications of a backward pass relative to the forward pass: gradients of the inputs and of the weights."""
T4_GFLOPS = 8100.0
T4_SHARE = 0.25
"""A T4's float32 speed by its data sheet, in 10^9 operations a second, and the share of it that LSTMs reach."""


def gmacs_per_second(preset: Preset, overlapped: bool = False) -> float:
    """Multiply-accumulates to separate one second of stereo audio, in 10^9.

    Counts matrix products, convolutions, LSTMs and attention of one chunk of ``separate.segment_s`` seconds. FFTs,
    norms, activations and Open-Unmix's Wiener filter cost little and are not counted.

    Args:
        preset: of any architecture.
        overlapped: whether to count the repeated work of ``separate.overlap`` and ``separate.shifts``.
    """
    length = preset.separate.window_size(preset.model.sample_rate)
    macs = count_macs(preset.build_network, length, channels=2) / length * preset.model.sample_rate
    if overlapped:
        macs *= preset.separate.shifts * length / preset.separate.hop_size(preset.model.sample_rate)
    return macs / 1e9


def seconds_on_t4(gmacs: float) -> float:
    """Seconds that a T4 needs in float32 for so many 10^9 multiply-accumulates; computed, not measured."""
    return 2 * gmacs / (T4_GFLOPS * T4_SHARE)


def step_gflops(preset: Preset) -> float:
    """Floating-point operations of one training step, forward and backward, in 10^9 (a multiply-accumulate is two)."""
    length = math.ceil(preset.data.crop_s * preset.model.sample_rate)
    forward = count_macs(preset.build_network, length, preset.data.channels) * preset.train.batch
    return 2 * forward * (1 + BACKWARD_FACTOR) / 1e9


def count_parameters(preset: Preset) -> int:
    """Parameters of a preset's network, without allocating them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in preset.build_network().parameters())


def count_macs(build_network: Callable[[], nn.Module], num_samples: int, channels: int) -> int:
    """Multiply-accumulates of one forward pass over a mixture [1, channels, num_samples].

    The network runs on tensors without values; what it asserts about values, as Hybrid Demucs does, is taken to hold.
    If it needs values all the same, as Open-Unmix does, it runs on real tensors, without its LSTMs.

    Args:
        build_network: makes (or returns) the network; first called in torch's fake-tensor mode (shapes, no values).
        num_samples: T.
        channels: C.
    """
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            return _count(build_network(), num_samples, channels)
    except DataDependentOutputException:
        return _count(build_network(), num_samples, channels)


def _count(network: nn.Module, num_samples: int, channels: int) -> int:
    was_training = network.training
    network.train()  # Open-Unmix has no Wiener filter in training mode
    attention = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    counter = FlopCounterMode(display=False, custom_mapping=attention)
    with torch.no_grad(), counter, _WithoutValues() as lstms:
        network(torch.zeros(1, channels, num_samples))
    network.train(was_training)
    return counter.get_total_flops() // 2 + lstms.macs


def _attention_flops(query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _skip_istft(spectrum: Tensor, n_fft: int, hop_length: int, *_: Any, length: int | None = None, **__: Any) -> Tensor:
    """[B, F, frames] to [B, T]; torch's inverse STFT looks whether its windows add up to 0 anywhere."""
    num_samples = hop_length * (spectrum.shape[-1] - 1) if length is None else length
    return torch.zeros(*spectrum.shape[:-2], num_samples, device=spectrum.device)


class _WithoutValues(TorchFunctionMode):
    """Counts LSTMs instead of running them, which torch's counter does not support, and replaces what needs values."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__bool__:
            return True
        if func is torch.istft:
            return _skip_istft(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") == "lstm":
            return self._skip_lstm(*args)
        return func(*args, **(kwargs or {}))

    def _skip_lstm(
        self,
        sequences: Tensor,
        states: Sequence[Tensor],
        weights: Sequence[Tensor],
        biased: bool,
        layers: int,
        dropout: float,
        training: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[..., inputs] to [..., directions * hidden]; every weight matrix is used once for each position."""
        positions = sequences.shape[:-1].numel()
        self.macs += positions * sum(weight.numel() for weight in weights if weight.dim() == 2)
        outputs = states[0].shape[-1] * (2 if bidirectional else 1)
        return sequences.new_zeros(*sequences.shape[:-1], outputs), states[0], states[1]
