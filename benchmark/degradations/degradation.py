"""One degradation of a mixture, and the names for them in `--degrade`."""

import difflib
import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.degradations.codec import coded
from benchmark.degradations.loudness import made_loud

CODECS = ("mp3", "aac")
EXAMPLES = ("mp3:128k", "aac:96k", "clip:-3", "loud:-8LUFS", "level:-20", "mono", "rate:22050", "noise:-50")
PATTERNS: Mapping[str, tuple[str, float, float]] = {
    "mp3": (r"(\d+)k", 32, 320),
    "aac": (r"(\d+)k", 16, 512),
    "clip": (r"(-?[\d.]+)", -60, 0),
    "loud": (r"(-?[\d.]+)LUFS", -40, -3),
    "level": (r"(-?[\d.]+)", -80, 40),
    "mono": ("()", 0, 0),
    "rate": (r"(\d+)", 2000, 192_000),
    "noise": (r"(-?[\d.]+)", -140, 20),
}
"""For each kind: what its value looks like, and the value's limits."""


@dataclass(frozen=True)
class Degradation:
    """A degradation.

    Attributes:
        kind: one of PATTERNS.
        value: `mp3`, `aac`: kbit/s. `clip`: the ceiling in dB below the mixture's peak. `loud`: the loudness in LUFS
            to which gain and a limiter bring it. `level`: gain in dB. `rate`: the sample rate in Hz through which it
            goes. `noise`: level of white noise in dB relative to the mixture. `mono`: 0.
    """

    kind: str
    value: float = 0.0

    @property
    def name(self) -> str:
        """The name in `--degrade`."""
        if self.kind == "mono":
            return self.kind
        unit = {"mp3": "k", "aac": "k", "loud": "LUFS"}.get(self.kind, "")
        return f"{self.kind}:{self.value:g}{unit}"

    @property
    def changes_level(self) -> bool:
        """Whether it is a change of level, which is no error of a system: the true stems must change with it."""
        return self.kind in ("level", "loud")

    def apply(self, mixture: np.ndarray, sample_rate: int, title: str = "") -> np.ndarray:
        """Degrade a mixture; the result has its shape and is not shifted in time.

        Args:
            mixture: float32.
            sample_rate: Hz.
            title: seeds the noise, so that a track always gets the same.

        Shape:
            - mixture, output: [C, T]

        Raises:
            ValueError: ffmpeg cannot encode it.
        """
        if self.kind in CODECS:
            changed = coded(mixture, sample_rate, self.kind, round(self.value))
        elif self.kind == "clip":
            ceiling = np.abs(mixture).max(initial=0.0) * 10 ** (self.value / 20)
            changed = np.clip(mixture, -ceiling, ceiling)
        elif self.kind == "loud":
            changed = made_loud(mixture, sample_rate, self.value)
        elif self.kind == "level":
            changed = 10 ** (self.value / 20) * mixture
        elif self.kind == "mono":
            changed = np.broadcast_to(mixture.mean(axis=0), mixture.shape)
        elif self.kind == "rate":
            changed = _through(mixture, sample_rate, round(self.value))
        else:
            seed = int(hashlib.sha256(title.encode()).hexdigest()[:16], 16)
            level = np.sqrt(np.square(mixture, dtype=np.float64).mean()) * 10 ** (self.value / 20)
            changed = mixture + level * np.random.default_rng(seed).standard_normal(mixture.shape)
        return np.ascontiguousarray(changed, dtype=np.float32)


def gain_between(mixture: np.ndarray, degraded: np.ndarray) -> float:
    """The factor by which a mixture best fits a degraded one [C, T] (least squares); 1 for silence."""
    power = np.square(mixture, dtype=np.float64).sum()
    return float(np.multiply(mixture, degraded, dtype=np.float64).sum() / power) if power else 1.0


def _through(mixture: np.ndarray, sample_rate: int, rate: int) -> np.ndarray:
    """A mixture [C, T] that was resampled to a rate and back."""
    import torch

    from models.signal.resampling import resample

    there = resample(torch.from_numpy(np.ascontiguousarray(mixture)), sample_rate, rate)
    back = resample(there, rate, sample_rate)[..., : mixture.shape[-1]].numpy()
    return np.pad(back, ((0, 0), (0, mixture.shape[-1] - back.shape[-1])))


def parse_degradations(text: str) -> list[Degradation]:
    """Read `--degrade`: comma-separated names, such as those in EXAMPLES.

    Raises:
        ValueError: an unknown kind, a wrong value, a name that is there twice, or a codec without ffmpeg.
    """
    found: list[Degradation] = []
    for name in (part.strip() for part in text.split(",")):
        degradation = _parse(name)
        if degradation in found:
            raise ValueError(f"--degrade: expected different names, got {name!r} twice")
        if degradation.kind in CODECS and not shutil.which("ffmpeg"):
            raise ValueError(f"--degrade {name}: needs ffmpeg, which is not installed")
        found.append(degradation)
    return found


def _parse(name: str) -> Degradation:
    kind, _, value = name.partition(":")
    if kind not in PATTERNS:
        near = difflib.get_close_matches(kind.lower(), PATTERNS, n=1, cutoff=0.4)
        hint = f" (nearest: {near[0]})" if near else ""
        raise ValueError(f"--degrade: expected some of {', '.join(PATTERNS)}, got {name!r}{hint}")
    pattern, low, high = PATTERNS[kind]
    example = next(each for each in EXAMPLES if each.startswith(kind))
    matched = re.fullmatch(pattern, value)
    try:
        number = float(matched[1] or 0) if matched else None
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f"--degrade: expected {kind} like {example}, got {name!r}")
    if not low <= number <= high:
        raise ValueError(f"--degrade: expected {kind} from {low:g} to {high:g} as in {example}, got {name!r}")
    return Degradation(kind, number)
