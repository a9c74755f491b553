"""Stems with their rest sum to the mixture, whatever the network gives, the blocks and the format."""

import numpy as np
import pytest
import torch

from models.separation.sums import ACCOMPANIMENT, RESIDUAL, SHARED, names_with_rest, on_grid, with_rest

LSB = 2.0**-15


def mixture(length: int = 5000) -> torch.Tensor:
    return 0.2 * torch.randn(2, length, generator=torch.Generator().manual_seed(length))


def split(waveform: torch.Tensor, *sizes: int):
    return iter(waveform.split([*sizes, waveform.shape[-1] - sum(sizes)], dim=-1))


def wrong(blocks):
    """Stems that do not sum to the mixture, in other pieces than it came in."""
    whole = torch.cat(list(blocks), dim=-1)
    for piece in split(whole, 700, 0, 1000):
        yield {"vocals": 0.5 * piece, "drums": 0.3 * piece.flip(0)}


def joined(pieces) -> dict[str, torch.Tensor]:
    pieces = list(pieces)
    return {stem: torch.cat([piece[stem] for piece in pieces], dim=-1) for stem in pieces[0]}


@pytest.mark.parametrize("sums", [ACCOMPANIMENT, RESIDUAL, SHARED])
def test_stems_sum_to_the_mixture(sums):
    stems = joined(with_rest(wrong, split(mixture(), 100, 3000), sums))
    assert tuple(stems) == names_with_rest(("vocals", "drums"), sums)
    torch.testing.assert_close(sum(stems.values()), mixture(), rtol=0, atol=1e-6)


def test_the_rest_is_a_stem_of_its_own_or_shared_equally():
    whole = mixture()
    raw = joined(wrong(split(whole, 100)))
    rest = whole - raw["vocals"] - raw["drums"]
    named = joined(with_rest(wrong, split(whole, 100), RESIDUAL))
    assert torch.equal(named["vocals"], raw["vocals"]) and torch.equal(named["drums"], raw["drums"])
    torch.testing.assert_close(named[RESIDUAL], rest)
    shared = joined(with_rest(wrong, split(whole, 100), SHARED))
    torch.testing.assert_close(shared["vocals"], raw["vocals"] + rest / 2)
    torch.testing.assert_close(shared["drums"], raw["drums"] + rest / 2)


def test_without_sums_the_stems_are_as_they_are():
    stems = joined(with_rest(wrong, split(mixture(), 100), None))
    assert torch.equal(stems["vocals"], joined(wrong(split(mixture())))["vocals"]) and "residual" not in stems


def test_rounded_stems_sum_to_the_rounded_mixture_exactly():
    whole = torch.from_numpy(np.random.default_rng(0).integers(-9000, 9000, (2, 5000)) * LSB).float()
    stems = joined(with_rest(wrong, split(whole, 100), SHARED))
    alone = sum((samples / LSB).round() * LSB for samples in stems.values())
    assert (alone - whole).abs().max() >= LSB  # each rounded on its own: not the mixture
    rounded = on_grid(stems, LSB)
    assert torch.equal(sum(rounded.values()), whole)
    for stem, samples in rounded.items():
        assert torch.equal((samples / LSB).round(), samples / LSB)
        assert (samples - stems[stem]).abs().max() <= 1.5 * LSB


def test_a_stem_with_the_name_of_the_rest_is_refused():
    with pytest.raises(ValueError, match="has a stem 'residual' of its own"):
        names_with_rest(("vocals", "residual"), RESIDUAL)
