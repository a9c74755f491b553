"""The ideal ratio mask: what masking the mixture's magnitudes reaches when the stems are known. A bound, no system."""

from collections.abc import Mapping

import numpy as np

from models.tracks import STEMS

N_FFT = 4096
HOP = 2048


class IdealRatioMask:
    """Separates with the true stems in hand: the mixture's spectrogram times |stem| / sum of the |stems|.

    Source: Liutkus and Badeau, "Generalized Wiener filtering with fractional power spectrograms", 2015, with power 1;
        the IRM1 of SiSEC 2018 differs in its STFT.

    Attributes:
        stems: names of the stems, in the order of STEMS.
        parameters: 0.
    """

    stems = STEMS
    parameters = 0

    def separate(self, mixture: np.ndarray, references: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Separate a mixture [C, T] at any sample rate, given the true {stem: [C, T]}.

        One channel is worked on at a time, and the stems' spectrograms are computed twice rather than kept: a whole
        song then needs three spectrograms of one channel.
        """
        import torch

        window = torch.hann_window(N_FFT)

        def spectrogram(signal: np.ndarray) -> torch.Tensor:
            samples = torch.from_numpy(np.ascontiguousarray(signal, dtype=np.float32))
            return torch.stft(samples, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True)

        estimates = {stem: np.empty_like(mixture) for stem in references}
        for channel, signal in enumerate(mixture):
            unit = spectrogram(signal)
            total = torch.full(unit.shape, 1e-10)
            for reference in references.values():
                total += spectrogram(reference[channel]).abs()
            unit /= total
            for stem, reference in references.items():
                masked = unit * spectrogram(reference[channel]).abs()
                restored = torch.istft(masked, N_FFT, HOP, window=window, length=len(signal))
                estimates[stem][channel] = restored.numpy()
        return estimates
