"""The challenge's class around shipped checkpoints.

In the kit's `my_submission/user_config.py`:

    from submission.predictor.predictor import BandsplitPredictor

    class MySeparationModel(BandsplitPredictor):
        ensemble = ("small",)
        fallbacks = ("tiny",)

Source: the public MDX-23 starter kit, whose wrapper builds the class without arguments, hands it what `soundfile.read`
returned and writes what it gets with `soundfile.write`, which stores PCM_16.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from models.checkpoints.checkpoint import CHECKPOINT_FOLDER
from models.separation.separator import NetworkSeparator, load_separator
from submission.predictor.account import Account
from submission.predictor.attempt import Clock
from submission.predictor.ensemble_weights import read_shares
from submission.predictor.separator import DeadlineSeparator
from submission.rules.challenge import INSTRUMENTS, PCM16_MAX, TIME_FACTOR

# Twice the largest 16-bit sample that somebody forgot to scale: what is beyond is damage, not music.
MAX_AMPLITUDE = 65536.0
# Hz. Every usual rate is a multiple of this; converting between such rates takes a filter bank of moderate size.
RATE_STEP_HZ = 25


class BandsplitPredictor:
    """Separates one song at a time, as the grader asks for it, within the grader's time.

    Args:
        networks: the ensemble; the checkpoints that `ensemble` and `fallbacks` name, on CUDA if present, when None (as
            the kit calls it).
        spares: the fallbacks that go with `networks`.
        clock: the time, by which everything goes.

    Attributes:
        ensemble: checkpoints, names or folders, whose waveforms are averaged for each stem that they have; with the
            weights of `checkpoints/ensemble.yaml` if there is one.
        fallbacks: cheaper checkpoints for when the time runs short, the better first.
        account: how the last song was separated, None before the first.

    Raises:
        FileNotFoundError, ValueError: a checkpoint is absent or damaged, or instruments are missing.
    """

    ensemble: Sequence[str] = ("small",)
    fallbacks: Sequence[str] = ("tiny",)

    def __init__(
        self,
        networks: Sequence[NetworkSeparator] | None = None,
        spares: Sequence[NetworkSeparator] = (),
        clock: Clock | None = None,
    ) -> None:
        shares = None
        if networks is None:
            networks = [load_separator(name) for name in self.ensemble]
            spares = [load_separator(name) for name in self.fallbacks]
            shares = read_shares(CHECKPOINT_FOLDER, self.ensemble, [network.stems for network in networks])
        self._clock = clock or Clock()
        self._separator = DeadlineSeparator(INSTRUMENTS, networks, spares, self._clock, shares)
        self.account: Account | None = None

    @property
    def instruments(self) -> list[str]:
        """The stems that the grader scores."""
        return list(INSTRUMENTS)

    def raise_aicrowd_error(self, msg: str) -> None:
        """Raise the error that the grader shows in the submission's log.

        Raises:
            NameError: always, with the message.
        """
        raise NameError(msg)

    def separate_music_file(
        self, mixed_sound_array: np.ndarray, sample_rate: int
    ) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        """Separate one song.

        Shape: `mixed_sound_array` is [T, C] as `soundfile.read` returns it, or [T] for mono; each stem is float32
        [T, C], finite and within PCM_16's [-1, 1). Damaged samples (NaN, infinite, absurdly large) are read as
        silence, with a warning: a lost moment costs less than a lost track. A rate that is no multiple of 25 Hz is
        taken for the nearest one, at most 1 cent off for 22 kHz and above, which no network minds; the stems'
        rate and length are the file's.

        Stems are clipped, never scaled. The grader's references are PCM_16 themselves, so clipping moves each
        sample towards its reference or leaves it; scaling a stem would add error to every sample of it.

        Where time runs short, or a network fails, parts of the song are separated more cheaply, with a warning.
        """
        started = self._clock()
        mixture = np.asarray(mixed_sound_array)
        mixture = mixture[:, None] if mixture.ndim == 1 else mixture
        rate = int(sample_rate)
        if mixture.size == 0:
            stems = {name: np.zeros(mixture.shape, np.float32) for name in INSTRUMENTS}
            return stems, dict.fromkeys(INSTRUMENTS, rate)
        heard = torch.from_numpy(_undamaged(mixture.T, "the mixture"))
        nominal_rate = max(RATE_STEP_HZ, round(rate / RATE_STEP_HZ) * RATE_STEP_HZ)
        limit_s = TIME_FACTOR * len(mixture) / rate
        estimates, self.account = self._separator.separate(heard, nominal_rate, started, limit_s)
        _tell(self.account)
        stems = {
            name: np.clip(_undamaged(estimate, name), -1.0, PCM16_MAX).T.astype(np.float32, order="C")
            for name, estimate in zip(INSTRUMENTS, estimates.numpy(), strict=True)
        }
        return stems, dict.fromkeys(INSTRUMENTS, rate)


def _undamaged(waveform: np.ndarray, name: str) -> np.ndarray:
    """The waveform in float32, with zeros where it is not finite or beyond any level that a recording has."""
    sound = np.abs(waveform) <= MAX_AMPLITUDE
    if not sound.all():
        message = f"{sound.size - int(sound.sum())} samples of {name} are NaN, infinite or absurdly large: silenced"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        waveform = np.where(sound, waveform, 0)
    return np.ascontiguousarray(waveform, dtype=np.float32)


def _tell(account: Account) -> None:
    """Warn of what was not done the best way."""
    parts = [f"{seconds:.1f} s by {rung}" for rung, seconds in account.reduced.items()]
    if parts:
        message = f"time ran short (allowed: {account.limit_s:.1f} s) or a network failed: {'; '.join(parts)}"
        warnings.warn("; ".join([message, *account.faults]), RuntimeWarning, stacklevel=3)
