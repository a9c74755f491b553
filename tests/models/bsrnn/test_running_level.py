"""The running level: that of the loudest frame so far, alike in one piece and in several."""

import torch

from models.bsrnn.norm import RunningLevel


def test_frames_are_divided_by_the_loudest_so_far():
    level = RunningLevel(8)  # a tone of peak 1 has a magnitude of 2
    frames = torch.tensor([0.0, 1.0, 4.0, 2.0])
    spectrogram = torch.zeros(1, 2, 3, 4, dtype=torch.complex64)
    spectrogram[0, 1, 2] = 1j * frames
    assert level(spectrogram)[0, 1, 2].imag.tolist() == [0, 2, 2, 1]
    assert not level(spectrogram)[0, 0].any()


def test_pieces_remember_the_loudest_frame():
    level, spectrogram = RunningLevel(16), torch.randn(2, 2, 5, 9, dtype=torch.complex64)
    memory: dict = {}
    pieces = [level(piece, memory) for piece in spectrogram.split(2, dim=-1)]
    torch.testing.assert_close(torch.cat(pieces, dim=-1), level(spectrogram))


def test_loudness_does_not_matter_and_silence_stays_silent():
    level, spectrogram = RunningLevel(16), torch.randn(1, 1, 5, 9, dtype=torch.complex64)
    torch.testing.assert_close(level(0.01 * spectrogram), level(spectrogram))
    assert not level(torch.zeros_like(spectrogram)).any()
