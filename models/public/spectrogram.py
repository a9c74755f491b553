"""The spectrogram of the public codebases, torchaudio's: the signal is mirrored at its ends."""

import torch
from torch import Tensor, nn

from models.bsrnn.spectrogram import Spectrogram


class MirroredSpectrogram(Spectrogram):
    """``Spectrogram`` with mirrored ends, L = T // hop + 1 frames.

    A signal too short to be mirrored is padded with zeros first.

    Source: ``torchaudio.transforms.Spectrogram``, whose defaults all public codebases use.
    """

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform [..., T] to spectrogram [..., F, L]."""
        *lead, length = waveform.shape
        padded = nn.functional.pad(waveform.reshape(-1, length), (0, max(0, self.n_fft // 2 + 1 - length)))
        spectrogram = torch.stft(
            padded, self.n_fft, self.hop, window=self.window, center=True, pad_mode="reflect", return_complex=True
        )
        return spectrogram.reshape(*lead, *spectrogram.shape[-2:])
