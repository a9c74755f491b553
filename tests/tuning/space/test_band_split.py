"""Band splits as numbers: every combination is a valid spec that covers the spectrum with the asked number of bands."""

import random

import pytest

from conftest import TINY
from models.bsrnn import parse_bands
from models.presets.preset import load_preset
from tuning.space.band_split import band_split, resolve
from tuning.space.grid import check_values, expand, sample


def widths_of(spec):
    """Widths of all bands below 20 kHz."""
    lower, widths = 0.0, []
    for width, upper in parse_bands(spec):
        widths += [width] * round((upper - lower) / width)
        lower = upper
    return widths, lower


def test_any_numbers_make_a_valid_split():
    rng = random.Random(0)
    for _ in range(300):
        count, edge, ratio = rng.randint(8, 60), rng.uniform(200, 8000), rng.uniform(1, 1.8)
        widths, top = widths_of(band_split(count, edge, ratio))
        assert top == 20_000 and len(widths) == count - 1  # the last band lies above
        assert min(widths) > 0


def test_extreme_numbers_make_a_split_or_a_message():
    for count, edge, ratio in ((400, 19_999, 10), (3, 1e-9, 1), (1000, 1000, 1)):
        assert len(widths_of(band_split(count, edge, ratio))[0]) == count - 1
    with pytest.raises(ValueError, match="model.bands: expected WIDTH:EDGE in Hz"):
        parse_bands(band_split(1000, 1.0, 10))


def test_widths_are_equal_below_the_edge_and_grow_by_the_ratio_above():
    widths, _ = widths_of(band_split(28, 1000, 1.3))
    fine = widths.count(widths[0])
    assert sum(widths[:fine]) == pytest.approx(1000, abs=fine)
    assert [after / before for before, after in zip(widths[fine:], widths[fine + 1 :], strict=False)] == pytest.approx(
        [1.3] * (len(widths) - fine - 1), abs=0.05
    )
    assert 1 / 2 < widths[fine] / widths[0] < 2.6  # no jump at the edge


def test_the_settings_of_a_split_become_model_bands_with_defaults_for_the_others():
    assert resolve({"bands.count": "20", "model.hidden": "8"}) == {
        "model.hidden": "8",
        "model.bands": band_split(20, 1000, 1.3),
    }
    assert resolve({"model.hidden": "8"}) == {"model.hidden": "8"}
    with pytest.raises(ValueError, match="expected it or bands.count"):
        resolve({"bands.count": "20", "model.bands": "v7"})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"bands.count": "2"}, "expected bands.count from 3 to 1000"),
        ({"bands.count": "1001"}, "expected bands.count from 3 to 1000"),
        ({"bands.count": "20.5"}, "bands.count: expected a whole number, got '20.5'"),
        ({"bands.edge_hz": "30000"}, "bands.edge_hz between 0 and 20000"),
        ({"bands.ratio": "0.5"}, "bands.ratio from 1 to 10"),
        ({"bands.ratio": "1e300"}, "bands.ratio from 1 to 10"),
        ({"bands.ratio": "x"}, "bands.ratio: expected a number, got 'x'"),
    ],
)
def test_numbers_out_of_range_are_said(overrides, message):
    with pytest.raises(ValueError, match=message):
        resolve(overrides)


def test_splits_are_cells_of_a_grid_and_of_ranges():
    grid = {"bands.count": ("12", "16"), "bands.edge_hz": ("2000",)}
    check_values(load_preset("tiny"), grid)
    cells, _ = expand(load_preset("tiny"), grid)
    assert [cell.preset.model.bands for cell in cells] == [band_split(count, 2000, 1.3) for count in (12, 16)]
    ranges = {"bands.count": ("int 8..12",), "bands.edge_hz": ("log 1000..4000",), "bands.ratio": ("float 1..1.5",)}
    cells, rejections = sample(TINY, ranges)
    assert len(cells) + len(rejections) == 16 and cells
