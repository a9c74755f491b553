"""The class that the challenge's grader calls; it separates with shipped checkpoints.

In the kit's `my_submission/user_config.py`:

    from submission.predictor.predictor import BandsplitPredictor

    class MySeparationModel(BandsplitPredictor):
        ensemble = ("small",)
        fallbacks = ("tiny",)

Source: the public MDX-23 starter kit. Its wrapper builds the class without arguments, passes it what `soundfile.read`
returned, and writes the stems with `soundfile.write`, which stores PCM_16.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from models.checkpoints.checkpoint import CHECKPOINT_FOLDER
from models.separation.separator import NetworkSeparator, load_separator
from submission.predictor.attempt import Clock
from submission.predictor.ensemble_weights import read_shares
from submission.predictor.separation_record import SeparationRecord
from submission.predictor.separator import DeadlineSeparator
from submission.rules.challenge import INSTRUMENTS, PCM16_MAX, TIME_FACTOR

# Twice the largest 16-bit sample, for files that were not scaled to [-1, 1). Larger samples are taken as damaged.
MAX_AMPLITUDE = 65536.0
# Hz. All usual rates are multiples of this, which keeps the resampler's filter bank small.
RATE_STEP_HZ = 25


class BandsplitPredictor:
    """Separates one song at a time within the grader's time limit.

    Args:
        networks: the ensemble. None, as the kit calls it, loads the checkpoints that `ensemble` and `fallbacks` name,
            on CUDA if present.
        spares: the fallbacks for `networks`.
        clock: the time.

    Attributes:
        ensemble: names or folders of checkpoints. Each stem is the mean over the checkpoints that have it, with the
            weights of `checkpoints/ensemble.yaml` if there is one.
        fallbacks: faster checkpoints for when the time runs short, the better ones first.
        account: how the last song was separated; None before the first.

    Raises:
        FileNotFoundError, ValueError: a checkpoint is missing or damaged, or instruments are missing.
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
        self.account: SeparationRecord | None = None

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
        [T, C], finite and within PCM_16's [-1, 1).

        Damaged samples (NaN, infinite or above 65536) are read as silence, with a warning: a failed track would cost
        more than a silent moment. A sample rate is rounded to a multiple of 25 Hz for the networks, at most 1 cent off
        from 22 kHz up, which does not change the separation noticeably. The returned rate and length are the file's.

        Stems are clipped, never scaled. The grader's references are PCM_16, so clipping moves a sample towards its
        reference or does not change it; scaling a stem would add error to all of its samples.

        If time runs short or a network fails, parts of the song are separated at lower quality, with a warning.
        """
        started = self._clock()
        mixture = np.asarray(mixed_sound_array)
        mixture = mixture[:, None] if mixture.ndim == 1 else mixture
        rate = int(sample_rate)
        if mixture.size == 0:
            stems = {name: np.zeros(mixture.shape, np.float32) for name in INSTRUMENTS}
            return stems, dict.fromkeys(INSTRUMENTS, rate)
        clean = torch.from_numpy(_undamaged(mixture.T, "the mixture"))
        nominal_rate = max(RATE_STEP_HZ, round(rate / RATE_STEP_HZ) * RATE_STEP_HZ)
        limit_s = TIME_FACTOR * len(mixture) / rate
        estimates, self.account = self._separator.separate(clean, nominal_rate, started, limit_s)
        _warn_of_reduced(self.account)
        stems = {
            name: np.clip(_undamaged(estimate, name), -1.0, PCM16_MAX).T.astype(np.float32, order="C")
            for name, estimate in zip(INSTRUMENTS, estimates.numpy(), strict=True)
        }
        return stems, dict.fromkeys(INSTRUMENTS, rate)


def _undamaged(waveform: np.ndarray, name: str) -> np.ndarray:
    """The waveform in float32, with zeros where it is not finite or above MAX_AMPLITUDE."""
    is_usable = np.abs(waveform) <= MAX_AMPLITUDE
    if not is_usable.all():
        num_damaged = is_usable.size - int(is_usable.sum())
        message = f"{num_damaged} samples of {name} are NaN, infinite or too large: silenced"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        waveform = np.where(is_usable, waveform, 0)
    return np.ascontiguousarray(waveform, dtype=np.float32)


def _warn_of_reduced(account: SeparationRecord) -> None:
    """Warn if parts of a song were not separated at full quality."""
    parts = [f"{seconds:.1f} s by {mode}" for mode, seconds in account.reduced.items()]
    if parts:
        message = f"time ran short (allowed: {account.limit_s:.1f} s) or a network failed: {'; '.join(parts)}"
        warnings.warn("; ".join([message, *account.faults]), RuntimeWarning, stacklevel=3)
