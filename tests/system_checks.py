"""Checks that every system of the benchmark must pass."""

import numpy as np

from models.tracks import STEMS


def check_separates(system, noise, stems=STEMS):
    for channels, num_samples, rate in ((2, 30_000, 44_100), (2, 1, 44_100), (1, 3001, 44_100), (2, 3000, 48_000)):
        mixture = noise[:channels, :num_samples]
        estimates = system.separate(mixture, rate)
        assert set(estimates) == set(stems)
        for estimate in estimates.values():
            assert isinstance(estimate, np.ndarray) and estimate.dtype == np.float32
            assert estimate.shape == mixture.shape and np.isfinite(estimate).all()
    first, second = (system.separate(noise, 44_100) for _ in range(2))
    for stem in stems:
        np.testing.assert_array_equal(first[stem], second[stem])
