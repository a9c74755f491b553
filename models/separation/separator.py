"""Separates a mixture into stems with a network.

A `Separator` takes a mixture of any length and sample rate, mono or stereo. Its stems have the mixture's type, length,
channels and rate.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.presets.settings import override
from models.running.precision import compute_dtype
from models.separation.live import LiveStems, is_causal, separate_live
from models.separation.progress import Stems
from models.separation.stream import OTHER, check_residual, chosen_stems, separate_at_own_rate
from models.separation.whole_mixture import Waveform, separate_whole
from models.signal.chunking import SeparateConfig, overlap_add


class Separator(Protocol):
    """The interface of every separation system in this project.

    Attributes:
        stems: names of the stems it returns, in order.
        sample_rate: the rate it works at, Hz.
    """

    stems: tuple[str, ...]
    sample_rate: int

    def separate(self, mixture: Waveform, sample_rate: int | None = None) -> dict[str, Waveform]:
        """Separate a mixture [C, T] into {stem: [C, T]} of the same type, at the same rate."""
        ...


class NetworkSeparator:
    """Separates with a network, chunk by chunk.

    The result does not depend on loudness: separate(k x) = k separate(x), with a causal network once a tone has been
    louder than about -80 dB. The stems of a digitally silent chunk are silent; it does not go through the network.

    Attributes:
        name: of the network, for messages and tables.
        network: the network, in evaluation mode, on the device.
        settings: how the mixture is cut into chunks.
        device: where the network runs.
        precision: what it computes in, ``float32`` or ``bfloat16``.
        stems: names of the stems it returns, in order.
        sample_rate: the rate the network works at, Hz.
        channels: input channels of the network; a mono mixture is copied to all of them.
        workers: chunks that are separated at once; by default None, as many as PyTorch has threads. On other devices
            than the CPU, and for a network that is read from disk in parts, it is 1.
        latency: of a causal network, how many samples at its rate a stream's stems are late at most; else None. Such a
            network goes through a mixture from beginning to end, in float32, without chunks, shifts and residual.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: SeparateConfig,
        device: str | torch.device = "cpu",
        stems: Sequence[str] | None = None,
        name: str = "network",
        precision: str = "float32",
    ) -> None:
        """Put the network into evaluation mode and onto the device.

        Args:
            network: has `stems`, `sample_rate`, `channels` and, for more than one shift, `hop` (samples between its
                frames), and maps mixtures [B, C, T] to an `Estimate`, for any T.
            settings: how the mixture is cut into chunks.
            device: where the network runs.
            stems: the stems to return, all of the network's by default.
            name: of the network, for messages and tables.
            precision: what the network computes in, see ``models.running.precision``.

        Raises:
            ValueError: the network does not have a stem, or this machine does not have the device or the precision.
        """
        traits: Any = network  # for type checkers: every attribute of a Module is a Tensor or a Module
        self.name = name
        self.settings = settings
        self.device = _usable_device(device)
        if is_causal(network):
            if precision not in ("auto", "float32"):
                raise ValueError(f"precision: expected float32 for {name}, a causal network, got {precision}")
            precision = "float32"
        self.precision = str(compute_dtype(precision, self.device)).removeprefix("torch.")
        self.network = network.eval().to(self.device)
        self.sample_rate: int = traits.sample_rate
        self.stems = chosen_stems(stems, traits.stems)
        check_residual(settings, traits.stems)
        self._stem_selection: list[int] | slice = [traits.stems.index(stem) for stem in self.stems]
        if self.stems == traits.stems:
            self._stem_selection = slice(None)  # indexing by a slice makes a view, by a list a copy
        self.channels: int = traits.channels
        self.latency: int | None = LiveStems(traits).latency if is_causal(network) else None
        is_reentrant = self.device.type == "cpu" and getattr(network, "is_reentrant", True)
        self.workers: int | None = None if is_reentrant else 1

    def separate(
        self, mixture: Waveform, sample_rate: int | None = None, progress: bool = False
    ) -> dict[str, Waveform]:
        """Separate a whole mixture.

        Args:
            mixture: floating-point samples [C, T], array or tensor; C is 1 or the network's channels, T at least 1.
            sample_rate: its rate in Hz, the network's by default.
            progress: whether to show a progress bar.

        Returns:
            {stem: [C, T]}, arrays or tensors as the mixture, with its dtype and sample rate.

        Raises:
            ValueError: the mixture is empty, has another shape or type, or is not finite; or the network's output is
                not finite.
        """
        return separate_whole(self, mixture, sample_rate, progress)

    def separate_stream(self, blocks: Iterable[Tensor | np.ndarray], sample_rate: int) -> Iterator[Stems]:
        """Separate a mixture of any length with bounded memory.

        Args:
            blocks: consecutive float32 pieces of one mixture on the CPU, each [C, t] with any t, tensors or arrays.
            sample_rate: their rate, Hz.

        Yields:
            Consecutive pieces {stem: [C, t']} of the stems; their total length is that of the mixture.

        Raises:
            ValueError: as `separate`.
        """
        return separate_at_own_rate(self, map(torch.as_tensor, blocks), sample_rate, self._separate_mixture)

    def _separate_mixture(self, mixture: Iterable[Tensor]) -> Iterator[Tensor]:
        """Pieces [C, t] at the network's rate to pieces [S, C, t'] of the stems."""
        if self.latency is not None:
            return (piece[self._stem_selection] for piece in separate_live(self.network, mixture, self.device))
        window, hop = self.settings.window_size(self.sample_rate), self.settings.hop_size(self.sample_rate)
        workers = self.workers or torch.get_num_threads()
        return overlap_add(self.separate_chunks, mixture, window, hop, self.settings.batch, workers)

    def separate_chunks(self, mixtures: Tensor) -> Tensor:
        """Run the network on chunks [B, C, t] on the CPU; returns the chosen stems [B, S, C, t], also on the CPU.

        Each chunk is scaled to a peak of 1, as in training, and its stems are scaled back by the same factor. The
        result is thus independent of loudness.
        """
        peaks = mixtures.abs().amax(dim=(1, 2), keepdim=True)
        is_audible = peaks.flatten() > 0
        if is_audible.all():
            is_half = self.precision == "bfloat16"  # if not, the caller's precision counts
            half = torch.autocast(self.device.type, torch.bfloat16) if is_half else contextlib.nullcontext()
            with torch.inference_mode(), half:
                stems = self._estimate((mixtures / peaks).to(self.device))[:, self._stem_selection].float().cpu()
                return stems * peaks[:, None]
        num_chunks, channels, length = mixtures.shape
        stems = torch.zeros(num_chunks, len(self.stems), channels, length)
        if is_audible.any():
            stems[is_audible] = self.separate_chunks(mixtures[is_audible])
        return stems

    def _estimate(self, mixtures: Tensor) -> Tensor:
        """Chunks [B, C, t] to all stems [B, S, C, t]: the mean over the shifts.

        A shifted mixture has its frame borders, and the network's errors, at other places. The mean cancels a part of
        the errors.

        Source: the "shift trick" of Defossez et al. 2019 (Demucs), section 4.1.
        Differs: there the shifts are random, up to half a second.
        """
        total = self.network(mixtures).waveforms
        num_shifts = self.settings.shifts
        for index in range(1, num_shifts):
            delay = index * int(self.network.hop) // num_shifts  # type: ignore[arg-type]
            delayed = nn.functional.pad(mixtures, (delay, 0))
            total = total + self.network(delayed).waveforms[..., delay:]
        stems = total / num_shifts if num_shifts > 1 else total
        return self._with_residual(stems, mixtures) if self.settings.residual else stems

    def _with_residual(self, stems: Tensor, mixtures: Tensor) -> Tensor:
        """All stems [B, S, C, t], a share of what they leave of the mixtures added to ``other``.

        Source: the entries of S. Kim's team in Fabbro et al. 2023 (arXiv 2308.06979), half of it, on boards A and B.
        """
        left = mixtures - stems.sum(dim=1)
        given = torch.zeros_like(stems)
        all_stems: Sequence[str] = self.network.stems  # type: ignore[assignment]
        given[:, all_stems.index(OTHER)] = self.settings.residual * left
        return stems + given


def load_separator(
    name_or_path: str = "small",
    device: str | None = None,
    stems: Sequence[str] | None = None,
    overlap: float | None = None,
    settings: Mapping[str, str | int | float] | None = None,
    one_at_a_time: bool = False,
    precision: str = "float32",
) -> NetworkSeparator:
    """Load a trained network, ready to separate.

    Args:
        name_or_path: a checkpoint that ships with the project, or a checkpoint folder.
        device: where to run; by default a CUDA GPU if there is one, else the CPU.
        stems: the stems to return, all of the network's by default.
        overlap: fraction of a chunk that it shares with the next one, the checkpoint's own setting by default.
        settings: other settings of the checkpoint to change, such as `{"separate.segment_s": 20}`.
        one_at_a_time: for a checkpoint of several networks: hold one in memory, and read each again for every chunk.
        precision: what the network computes in, see ``models.running.precision``.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: an unknown stem or setting, a value out of range, a setting of chunks for a causal network, or this
            machine does not have the device or the precision.
    """
    from models.checkpoints.checkpoint import find_checkpoint, load_checkpoint
    from models.checkpoints.streamed import load_streamed

    folder = find_checkpoint(name_or_path)
    checkpoint = load_streamed(folder) if one_at_a_time else load_checkpoint(folder)
    changes = dict(settings or {})
    if fixed := [name for name in changes if not name.startswith("separate.")]:
        raise ValueError(f"{fixed[0]} is fixed by the checkpoint; only separate.* can be changed")
    if overlap is not None:
        changes["separate.overlap"] = overlap
    chunks = override(checkpoint.preset, changes).separate
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    network: Any = checkpoint.network
    if is_causal(network) and chunks != checkpoint.preset.separate:
        raise ValueError(
            f"{', '.join(changes)}: no effect on {checkpoint.identity}, a causal network, which has no chunks"
        )
    if stems is not None and hasattr(network, "keep_stems"):
        network.keep_stems(chosen_stems(stems, network.stems))
    return NetworkSeparator(network, chunks, device, stems, checkpoint.identity, precision)


def _usable_device(name: str | torch.device) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        usable = "cpu or cuda" if torch.cuda.is_available() else "cpu"
        raise ValueError(f"device must be {usable} on this machine, got {name}") from error
    return device
