"""Which library a waveform belongs to: code on torch tensors and on numpy arrays is written once, without torch."""

import sys
from typing import Any

import numpy as np


def library_of(samples: Any) -> Any:
    """numpy for arrays, torch for tensors. Of both, only functions are used that agree in name and arguments."""
    return np if isinstance(samples, np.ndarray) else sys.modules["torch"]
