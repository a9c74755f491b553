"""Resampling of streams, equal to resampling the whole signal at once."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

_FILTER_BANK_LIMIT = 40_000_000  # taps; torchaudio's intermediate results take several times as many bytes


def resample_blocks(blocks: Iterable[Tensor], from_hz: int, to_hz: int) -> Iterator[Tensor]:
    """Resample a stream; gives what ``torchaudio.functional.resample`` gives for the whole signal at once.

    Args:
        blocks: consecutive pieces of one signal, each [..., t] with any t, T samples in all.
        from_hz: their sample rate.
        to_hz: the wanted sample rate.

    Yields:
        Consecutive pieces [..., t'] with ceil(T * to_hz / from_hz) samples in all.

    Raises:
        ValueError: the rates have so small a common divisor that the filter bank would fill the memory.
    """
    if from_hz == to_hz:
        yield from blocks
        return
    divisor = math.gcd(from_hz, to_hz)
    step_in, step_out = from_hz // divisor, to_hz // divisor  # so many samples in make so many out
    resample = _resampler(from_hz, to_hz)
    margin = -(-resample.width // step_in)  # steps before and after a step that its filters see
    num_in = num_out = 0
    buffer = None  # starts `margin` steps before the next output
    for block in blocks:
        if buffer is None:
            buffer = block.new_zeros(*block.shape[:-1], margin * step_in)
        buffer = torch.cat([buffer, block], dim=-1)
        num_in += block.shape[-1]
        ready = buffer.shape[-1] // step_in - 2 * margin
        if ready > 0:
            yield resample(buffer)[..., margin * step_out : (margin + ready) * step_out]
            num_out += ready * step_out
            buffer = buffer[..., ready * step_in :]
    if buffer is not None:
        rest = -(-num_in * step_out // step_in) - num_out
        yield resample(buffer)[..., margin * step_out : margin * step_out + rest]


def _resampler(from_hz: int, to_hz: int):  # -> torchaudio.transforms.Resample
    from torchaudio.transforms import Resample

    divisor = math.gcd(from_hz, to_hz)
    if (from_hz // divisor) * (to_hz // divisor) > _FILTER_BANK_LIMIT:
        raise ValueError(
            f"cannot resample between {from_hz} and {to_hz} Hz, whose common divisor is only {divisor}; "
            "convert the audio to a usual rate first, for example with ffmpeg -ar 44100"
        )
    return Resample(from_hz, to_hz, dtype=torch.float32)
