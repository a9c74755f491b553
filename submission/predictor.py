"""The challenge's class around a shipped checkpoint.

In the kit's `my_submission/user_config.py`:

    from submission.predictor import BandsplitPredictor

    MySeparationModel = BandsplitPredictor

Source: the public MDX-23 starter kit, whose wrapper builds the class without arguments, hands it what `soundfile.read`
returned and writes what it gets with `soundfile.write`, which stores PCM_16.
"""

import warnings

import numpy as np

from models.separator import Separator, load_separator

INSTRUMENTS = ("bass", "drums", "other", "vocals")
PCM16_MAX = 32767 / 32768
# Twice the largest 16-bit sample that somebody forgot to scale: what is beyond is damage, not music.
MAX_AMPLITUDE = 65536.0
# Hz. Every usual rate is a multiple of this; converting between such rates takes a filter bank of moderate size.
RATE_STEP_HZ = 25


class BandsplitPredictor:
    """Separates one song at a time, as the grader asks for it.

    Args:
        separator: what separates; the shipped checkpoint `small`, on CUDA if present, when None (as the kit calls it).
    """

    def __init__(self, separator: Separator | None = None) -> None:
        separator = load_separator("small") if separator is None else separator
        missing = set(INSTRUMENTS) - set(separator.stems)
        if missing:
            raise ValueError(
                f"the challenge needs {', '.join(INSTRUMENTS)}; the separator lacks {', '.join(sorted(missing))}"
            )
        self.separator = separator

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
        """
        mixture = np.asarray(mixed_sound_array)
        mixture = mixture[:, None] if mixture.ndim == 1 else mixture
        rate = int(sample_rate)
        estimates = self._separate(_undamaged(mixture.T, "the mixture"), rate)
        stems = {
            name: np.clip(_undamaged(estimates[name], name), -1.0, PCM16_MAX).T.astype(np.float32, order="C")
            for name in INSTRUMENTS
        }
        return stems, dict.fromkeys(INSTRUMENTS, rate)

    def _separate(self, mixture: np.ndarray, sample_rate: int) -> dict[str, np.ndarray]:
        if mixture.shape[1] == 0:
            return dict.fromkeys(INSTRUMENTS, mixture)
        nominal_rate = max(RATE_STEP_HZ, round(sample_rate / RATE_STEP_HZ) * RATE_STEP_HZ)
        return self.separator.separate(mixture, nominal_rate)


def _undamaged(waveform: np.ndarray, name: str) -> np.ndarray:
    """The waveform in float32, with zeros where it is not finite or beyond any level that a recording has."""
    sound = np.abs(waveform) <= MAX_AMPLITUDE
    if not sound.all():
        message = f"{sound.size - int(sound.sum())} samples of {name} are NaN, infinite or absurdly large: silenced"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        waveform = np.where(sound, waveform, 0)
    return np.ascontiguousarray(waveform, dtype=np.float32)
