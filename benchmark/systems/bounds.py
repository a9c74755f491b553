"""The bounds of a table: the mixture itself, and oracles, which compute masks from the true stems."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmark.scoring.accompaniment import KNOWN_STEMS
from benchmark.systems.interface import TrackSystem
from models.tracks import STEMS, Track

if TYPE_CHECKING:
    from torch import Tensor

N_FFT = 4096
HOP = 2048
BLOCK_FRAMES = 256
"""Frames that the Wiener filter works on at a time; the result does not depend on it."""


class Mixture:
    """The mixture as the estimate of every stem: the lower bound."""

    stems = KNOWN_STEMS
    sample_rate = None
    parameters = 0

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """Return the mixture for every stem."""
        return dict.fromkeys(self.stems, mixture)


class Oracle(TrackSystem):
    """Separates with the true stems. All oracles use the same STFT, so that they differ only in their mask.

    Attributes:
        stems: names of the stems, in the order of STEMS.
        parameters: 0.
    """

    stems = STEMS

    def for_track(self, track: Track) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """See TrackSystem."""
        references = track.read_stems(self.stems)

        def separate(mixture: np.ndarray) -> dict[str, np.ndarray]:
            shape = references[self.stems[0]].shape
            if mixture.shape != shape:
                raise ValueError(f"expected stems shaped like the mixture {mixture.shape}, got {shape}")
            return self.separate(mixture, references)

        return separate

    def separate(self, mixture: np.ndarray, references: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Separate a mixture [C, T] at any sample rate, given the true {stem: [C, T]}."""
        raise NotImplementedError


class IdealRatioMask(Oracle):
    """The mixture's spectrogram times |stem| / sum of the |stems|, for each channel. The estimates sum to the mixture.

    Source: Liutkus and Badeau, "Generalized Wiener filtering with fractional power spectrograms", 2015, with power 1;
        the IRM1 of SiSEC 2018 differs in its STFT.
    """

    def separate(self, mixture: np.ndarray, references: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See Oracle.

        It computes one channel at a time, and the stems' spectrograms twice instead of storing them. So a whole song
        needs the memory of three spectrograms of one channel.
        """
        import torch

        estimates = {stem: np.empty_like(mixture) for stem in references}
        for channel, signal in enumerate(mixture):
            unit = _spectrogram(signal)
            total = torch.full(unit.shape, 1e-10)
            for reference in references.values():
                total += _spectrogram(reference[channel]).abs()
            unit /= total
            for stem, reference in references.items():
                masked = unit * _spectrogram(reference[channel]).abs()
                estimates[stem][channel] = _waveform(masked, len(signal))
        return estimates


class IdealBinaryMask(Oracle):
    """Assigns each bin of the mixture, for each channel, to the loudest stem. The estimates sum to the mixture.

    Source: Wang, "On ideal binary mask as the computational goal of auditory scene analysis", 2005.
    Differs: with several stems the bin goes to the loudest; the IBM1 of SiSEC 2018 gives it to each stem that has at
        least half of the mixture's power, so to one, several or none.
    """

    def separate(self, mixture: np.ndarray, references: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See Oracle."""
        import torch

        estimates = {stem: np.empty_like(mixture) for stem in references}
        for channel, signal in enumerate(mixture):
            spectrogram = _spectrogram(signal)
            loudest = torch.zeros(spectrogram.shape, dtype=torch.uint8)
            magnitude = torch.full(spectrogram.shape, -1.0)
            for index, reference in enumerate(references.values()):
                other = _spectrogram(reference[channel]).abs()
                loudest[other > magnitude] = index
                magnitude = torch.maximum(magnitude, other)
            for index, stem in enumerate(references):
                estimates[stem][channel] = _waveform(spectrogram * (loudest == index), len(signal))
        return estimates


class WienerFilter(Oracle):
    """The multichannel Wiener filter: each stem is a Gaussian with its true power at each bin and a spatial covariance.

    With v_j(f, t) the stem's power (mean over channels) and R_j(f) the covariance of its channels over the track,
    normalised by that power, the estimate is v_j R_j (sum of v_k R_k)^-1 times the mixture's channels. It uses the
    panning, which masks of single channels cannot. The estimates sum to the mixture.

    Source: Duong, Vincent and Gribonval, "Under-determined reverberant audio source separation using a full-rank
        spatial covariance model", 2010; the MWF oracle of SiSEC 2018 differs in its STFT.
    """

    def separate(self, mixture: np.ndarray, references: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See Oracle. A whole song needs about five spectrograms of both channels."""
        import torch

        spectrogram = _spectrogram(mixture)  # [C, F, L]
        powers, covariances = [], []  # [F, L] and [F, C, C], of each stem
        for reference in references.values():
            stem = _spectrogram(reference)
            power = stem.abs().square().mean(0)
            covariance = torch.einsum("cfl,dfl->fcd", stem, stem.conj()).to(torch.complex128)
            powers.append(power)
            covariances.append(covariance / power.sum(1).clamp(min=1e-20)[:, None, None])
        identity = torch.eye(len(mixture), dtype=torch.complex128)
        filtered = [torch.empty_like(spectrogram) for _ in references]
        for start in range(0, spectrogram.shape[-1], BLOCK_FRAMES):
            block = slice(start, start + BLOCK_FRAMES)
            total = torch.zeros(*powers[0][:, block].shape, *identity.shape, dtype=identity.dtype)  # [F, L, C, C]
            for power, covariance in zip(powers, covariances, strict=True):
                total += power[:, block, None, None] * covariance[:, None]
            # In a bin with a single stem the covariance has rank one, so a small value is added to its diagonal.
            loading = total.diagonal(dim1=-2, dim2=-1).real.mean(-1)[..., None, None] * 1e-9 + 1e-20
            channels = spectrogram[..., block].permute(1, 2, 0).to(identity.dtype)  # [F, L, C]
            whitened = torch.linalg.solve(total + loading * identity, channels)
            for output, power, covariance in zip(filtered, powers, covariances, strict=True):
                output[..., block] = power[:, block] * torch.einsum("fcd,fld->cfl", covariance, whitened)
        return {stem: _waveform(output, mixture.shape[-1]) for stem, output in zip(references, filtered, strict=True)}


ORACLES: dict[str, tuple[str, type[Oracle]]] = {
    "ibm": ("Ideal binary mask", IdealBinaryMask),
    "irm": ("Ideal ratio mask", IdealRatioMask),
    "mwf": ("Multichannel Wiener filter", WienerFilter),
}
"""Label and class by the name after `oracle:`."""


def load_mixture(location: str, device: str) -> Mixture:
    """The lower bound; it has no files and needs no device."""
    return Mixture()


def load_oracle(location: str, device: str) -> Oracle:
    """The oracle whose name in ORACLES is the location, on the CPU."""
    return ORACLES[location][1]()


def _spectrogram(signal: np.ndarray) -> "Tensor":
    """STFT of [..., T]: complex [..., F, L]."""
    import torch

    samples = torch.from_numpy(np.ascontiguousarray(signal, dtype=np.float32))
    return torch.stft(samples, N_FFT, HOP, window=torch.hann_window(N_FFT), pad_mode="constant", return_complex=True)


def _waveform(spectrogram: "Tensor", num_samples: int) -> np.ndarray:
    import torch

    return torch.istft(spectrogram, N_FFT, HOP, window=torch.hann_window(N_FFT), length=num_samples).numpy()
