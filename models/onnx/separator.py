"""A separator on onnxruntime. Its stems equal those of ``models.separation`` to 1e-4."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from models.audio.reader import BLOCK_S
from models.onnx.graph import Graph
from models.presets.settings import override
from models.separation.progress import Stems
from models.separation.stream import OTHER, check_residual, chosen_stems, separate_at_own_rate
from models.signal.chunking import overlap_add


class OnnxSeparator:
    """Separates with an exported graph, chunk by chunk, in numpy.

    As with a ``NetworkSeparator``, separate(k x) = k separate(x), and silent chunks do not go through the network.

    Attributes:
        name: of the checkpoint that was exported.
        stems: names of the stems it returns, in order.
        sample_rate: the rate the network works at, Hz.
        channels: input channels of the network; a mono mixture is copied to all of them.
        settings: how the mixture is cut into chunks.
    """

    on_arrays = True
    """Its streams are of numpy arrays."""

    def __init__(
        self,
        path: str | Path,
        stems: Sequence[str] | None = None,
        overlap: float | None = None,
        settings: Mapping[str, str | int | float] | None = None,
        threads: int | None = None,
    ) -> None:
        """Load a graph that ``python -m models export`` wrote.

        Args:
            path: the file.
            stems: the stems to return, all of the graph's by default.
            overlap: fraction of a chunk that it shares with the next one, the checkpoint's own setting by default.
            settings: other settings to change, such as `{"separate.segment_s": 20}`.
            threads: processor threads, all by default.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: not a graph of ``models export``, an unknown stem or setting, or a value out of range.
        """
        self.graph = Graph(path, threads)
        changes = dict(settings or {})
        if overlap is not None:
            changes["separate.overlap"] = overlap
        if fixed := [name for name in changes if not name.startswith("separate.")]:
            raise ValueError(f"{fixed[0]} is fixed by the graph; only separate.* can be changed")
        facts = override(self.graph.facts, changes)
        self.name, self.sample_rate, self.channels = facts.name, facts.sample_rate, facts.channels
        self.settings = facts.separate
        self.stems = chosen_stems(stems, facts.stems)
        check_residual(facts.separate, facts.stems)
        self._selection = [facts.stems.index(stem) for stem in self.stems]

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """Separate a whole mixture [C, T] of floating-point samples into {stem: [C, T]} of the same type and rate.

        Raises:
            ValueError: the mixture is empty, has another shape or type, or is not finite; or the rate is not a positive
                whole number.
        """
        if not isinstance(mixture, np.ndarray) or mixture.ndim != 2 or mixture.dtype.kind != "f":
            raise ValueError("the mixture must be a numpy array [channels, samples] of floating-point samples")
        size = round(BLOCK_S * self.sample_rate)
        blocks = (mixture[:, start : start + size] for start in range(0, mixture.shape[1], size))
        pieces = list(self.separate_stream(blocks, self.sample_rate if sample_rate is None else sample_rate))
        return {
            stem: np.concatenate([piece[stem] for piece in pieces], axis=-1).astype(mixture.dtype, copy=False)
            for stem in self.stems
        }

    def separate_stream(self, blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[Stems]:
        """Separate a mixture of any length with bounded memory.

        Args:
            blocks: consecutive pieces of one mixture, each [C, t] with any t.
            sample_rate: their rate, Hz.

        Yields:
            Consecutive pieces {stem: [C, t']} of the stems; their total length is that of the mixture.

        Raises:
            ValueError: the mixture is empty, has another number of channels, or is not finite.
        """
        settings, rate = self.settings, self.sample_rate
        window, hop = settings.window_size(rate), settings.hop_size(rate)
        arrays = (np.asarray(block, np.float32) for block in blocks)
        return separate_at_own_rate(
            self,
            arrays,
            sample_rate,
            lambda mixture: overlap_add(self.separate_chunks, mixture, window, hop, settings.batch),
        )

    def separate_chunks(self, mixtures: np.ndarray) -> np.ndarray:
        """Run the graph on chunks [B, C, t]; returns the chosen stems [B, S, C, t].

        Each chunk is scaled to a peak of 1, as in training, and its stems are scaled back by the same factor.
        """
        peaks = np.abs(mixtures).max(axis=(1, 2))
        stems = np.zeros((len(mixtures), len(self.stems), *mixtures.shape[1:]), np.float32)
        audible = np.flatnonzero(peaks > 0)
        if len(audible):
            scale = peaks[audible, None, None]
            estimate = self._estimate(mixtures[audible] / scale)[:, self._selection]
            stems[audible] = estimate * scale[:, None]
        return stems

    def _estimate(self, mixtures: np.ndarray) -> np.ndarray:
        """Chunks [B, C, t] to all stems [B, S, C, t]: the mean over the shifts, and the residual's share."""
        total = self.graph.run(mixtures)
        for index in range(1, self.settings.shifts):
            delay = index * self.graph.facts.hop // self.settings.shifts
            total = total + self.graph.run(np.pad(mixtures, ((0, 0), (0, 0), (delay, 0))))[..., delay:]
        stems = total / self.settings.shifts
        if self.settings.residual:
            left = mixtures - stems.sum(axis=1)
            stems[:, self.graph.facts.stems.index(OTHER)] += self.settings.residual * left
        return stems
