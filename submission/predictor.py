"""The challenge's class around a shipped checkpoint.

In the kit's `my_submission/user_config.py`:

    from submission.predictor import BandsplitPredictor

    MySeparationModel = BandsplitPredictor

Source: the public MDX-23 starter kit, whose wrapper builds the class without arguments, hands it what `soundfile.read`
returned and writes what it gets with `soundfile.write`, which stores PCM_16.
"""

import warnings

import numpy as np
import torch

from models.separator import Separator, load_separator

INSTRUMENTS = ("bass", "drums", "other", "vocals")
PCM16_MAX = 32767 / 32768


class BandsplitPredictor:
    """Separates one song at a time, as the grader asks for it.

    Args:
        separator: what separates; the shipped checkpoint `small`, on CUDA if present, when None (as the kit calls it).
    """

    def __init__(self, separator: Separator | None = None) -> None:
        if separator is None:
            separator = load_separator("small", device="cuda" if torch.cuda.is_available() else "cpu")
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
        [T, C], finite and within PCM_16's [-1, 1). Non-finite input is read as silence, with a warning: a lost
        moment costs less than a lost track.

        Stems are clipped, never scaled. The grader's references are PCM_16 themselves, so clipping moves each
        sample towards its reference or leaves it; scaling a stem would add error to every sample of it.
        """
        mixture = np.asarray(mixed_sound_array)
        mixture = mixture[:, None] if mixture.ndim == 1 else mixture
        rate = int(sample_rate)
        estimates = self._separate(_finite(mixture.T, "the mixture"), rate)
        stems = {
            name: np.clip(_finite(estimates[name], name), -1.0, PCM16_MAX).T.astype(np.float32, order="C")
            for name in INSTRUMENTS
        }
        return stems, dict.fromkeys(INSTRUMENTS, rate)

    def _separate(self, mixture: np.ndarray, sample_rate: int) -> dict[str, np.ndarray]:
        if mixture.shape[1] == 0:
            return dict.fromkeys(INSTRUMENTS, mixture)
        return self.separator.separate(mixture, sample_rate)


def _finite(waveform: np.ndarray, name: str) -> np.ndarray:
    """The waveform in float32 with zeros where it is not finite there."""
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(waveform, dtype=np.float32)
    bad = ~np.isfinite(samples)
    if not bad.any():
        return samples
    warnings.warn(f"{int(bad.sum())} samples of {name} are not finite and were silenced", RuntimeWarning, stacklevel=3)
    return np.where(bad, np.float32(0), samples)
