"""Checks that the peers' configs and networks share."""

import importlib
from types import ModuleType

from torch import Tensor, nn


def check_ranges(config: object, largest: dict[str, int]) -> None:
    """Check sizes; they may come from a file of unknown origin.

    Raises:
        ValueError: a size below 1 or above its limit.
    """
    for name, limit in largest.items():
        if not 1 <= getattr(config, name) <= limit:
            raise ValueError(f"model.{name}: expected 1 to {limit}, got {getattr(config, name)}")


def check_stems(stems: tuple[str, ...]) -> None:
    """Check names of stems.

    Raises:
        ValueError: none, or one twice.
    """
    if not stems or len(set(stems)) != len(stems):
        raise ValueError(f"model.stems: expected one or more different names, got {list(stems)}")


def check_window(n_fft: int, hop: int) -> None:
    """Check an STFT that mirrors half a window at its ends.

    Raises:
        ValueError: an odd or too small window, or a hop of more than half of it.
    """
    if not 16 <= n_fft <= 2**17 or n_fft % 2 or hop > n_fft // 2:
        raise ValueError(f"model.n_fft: expected an even number from 16 to {2**17} and two hops, got {n_fft}, {hop}")


def optional_package(module: str, distribution: str) -> ModuleType:
    """Import a package that requirements.txt does not hold.

    Raises:
        ValueError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the package {distribution} is not installed: pip install --no-deps -r requirements-peers.txt"
        ) from error


def pad_to(mixture: Tensor, samples: int) -> Tensor:
    """Lengthen a mixture [B, C, T] with zeros to at least ``samples``: such an STFT mirrors half a window."""
    return nn.functional.pad(mixture, (0, max(0, samples - mixture.shape[-1])))
