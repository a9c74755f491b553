"""Separates music as it comes with a causal network, with a latency of one window instead of a chunk."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from models.bsrnn import BSRNN
from models.bsrnn.norm import Memory
from models.bsrnn.spectrogram import ENVELOPE_FLOOR

FRAMES_AT_ONCE = 64
"""Bounds the memory where a block is long."""


class LiveStems:
    """Separates one mixture that arrives in blocks of any size; the stems are those of the network on the whole.

    Args:
        network: causal, in evaluation mode.

    Attributes:
        latency: a stem's sample comes out at the latest when so many more samples have gone in: a window, less one.

    Raises:
        ValueError: the network is not causal.
    """

    def __init__(self, network: BSRNN) -> None:
        if not network.config.causal:
            raise ValueError("expected a causal network (model.causal), got one that needs the whole mixture")
        self.network = network
        self._n_fft, self._hop = network.spectrogram.n_fft, network.hop
        self.latency = self._n_fft - 1
        self._memory: Memory = {}
        self._input: Tensor | None = None  # samples of frames to come, [B, C, t]; begins with half a window of zeros
        self._sum: Tensor | None = None  # of the frames done, where later ones add to it, [B, S, C, t]
        self._gain = torch.zeros(0)
        self._skip = self._n_fft // 2  # samples before the beginning of the mixture
        self._received = self._given = 0

    def feed(self, block: Tensor) -> Tensor:
        """Take the next samples [B, C, t] and return the stems' next samples [B, S, C, t'], t' from 0."""
        if self._input is None:
            self._input = block.new_zeros(*block.shape[:-1], self._n_fft // 2)
        self._received += block.shape[-1]
        self._input = torch.cat([self._input, block], dim=-1)
        return self._separate(self._input)

    def finish(self) -> Tensor:
        """The stems' last samples [B, S, C, t']; nothing can be fed afterwards.

        Raises:
            ValueError: nothing was fed.
        """
        if self._input is None or not self._received:
            raise ValueError("the mixture is empty: expected at least 1 sample, got 0")
        padding = -self._received % self._hop + self._n_fft // 2
        rest = self._separate(nn.functional.pad(self._input, (0, padding)), is_last=True)
        return rest[..., : self._received - (self._given - rest.shape[-1])]

    def _separate(self, samples: Tensor, is_last: bool = False) -> Tensor:
        """The stems as far as the frames of these samples, the oldest first, decide them."""
        num_frames = max(0, (samples.shape[-1] - self._n_fft) // self._hop + 1)
        pieces = []
        for start in range(0, num_frames, FRAMES_AT_ONCE):
            count = min(FRAMES_AT_ONCE, num_frames - start)
            first = start * self._hop
            pieces.append(self._frames(samples[..., first : first + (count - 1) * self._hop + self._n_fft]))
        self._input = samples[..., num_frames * self._hop :]
        if is_last and self._sum is not None:
            pieces.append(self._sum / self._gain.clamp_min(ENVELOPE_FLOOR))
        if not pieces:
            return samples.new_zeros(samples.shape[0], len(self.network.stems), samples.shape[1], 0)
        stems = torch.cat(pieces, dim=-1)
        skipped = min(self._skip, stems.shape[-1])
        self._skip -= skipped
        self._given += stems.shape[-1] - skipped
        return stems[..., skipped:]

    def _frames(self, samples: Tensor) -> Tensor:
        """Separate the frames of these samples, add them to the frames before, and take what is complete."""
        spectrogram = self.network.spectrogram
        frames = samples.unfold(-1, self._n_fft, self._hop) * spectrogram.window  # [B, C, L, n_fft]
        stems = self.network.separate_spectrogram(torch.fft.rfft(frames).mT, memory=self._memory)
        added = torch.fft.irfft(stems.mT, self._n_fft) * spectrogram.window
        num_frames = frames.shape[-2]
        length = (num_frames - 1) * self._hop + self._n_fft
        total, gain = added.new_zeros(*added.shape[:-2], length), added.new_zeros(length)
        if self._sum is not None:
            total[..., : self._sum.shape[-1]] = self._sum
            gain[: len(self._gain)] = self._gain
        for index in range(num_frames):
            place = slice(index * self._hop, index * self._hop + self._n_fft)
            total[..., place] += added[..., index, :]
            gain[place] += spectrogram.window**2
        done = num_frames * self._hop
        self._sum, self._gain = total[..., done:], gain[done:]
        return total[..., :done] / gain[:done].clamp_min(ENVELOPE_FLOOR)


def is_causal(network: nn.Module) -> bool:
    """Whether the network's frames depend on none that come later."""
    config: Any = getattr(network, "config", None)
    return bool(getattr(config, "causal", False))


def separate_live(network: Any, blocks: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Separate consecutive blocks [C, t] on the CPU into pieces [S, C, t'] on the CPU, as soon as each is known."""
    with torch.inference_mode():
        live = LiveStems(network)

    def separated(step: Callable[..., Tensor], *block: Tensor) -> Tensor:
        with torch.inference_mode():
            return step(*block)[0].float().cpu()

    for block in blocks:
        yield separated(live.feed, block[None].to(device))
    yield separated(live.finish)
