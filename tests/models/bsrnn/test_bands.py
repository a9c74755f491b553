"""Band schemes: the paper's tables, the authors' bin counts, and the law that every bin lies in exactly one band."""

import itertools
import re

import pytest

from models.bsrnn import SCHEMES, band_widths, parse_bands

# (width, edge) in Hz as the paper's table 1 and section 4.2 have them; the last band is the rest.
TABLES = {
    "v1": ((1000, 21000),),
    "v2": ((1000, 16000), (2000, 20000)),
    "v3": ((1000, 8000), (2000, 16000), (4000, 20000)),
    "v4": ((100, 1000), (1000, 8000), (2000, 16000), (4000, 20000)),
    "v5": ((100, 1000), (1000, 16000), (2000, 20000)),
    "v6": ((100, 1000), (500, 4000), (1000, 8000), (2000, 16000), (4000, 20000)),
    "v7": ((100, 1000), (250, 4000), (500, 8000), (1000, 16000), (2000, 20000)),
    "bass": ((50, 500), (100, 1000), (500, 4000), (1000, 8000), (2000, 16000)),
    "drums": ((50, 1000), (100, 2000), (250, 4000), (500, 8000), (1000, 16000)),
    "joint57": ((50, 1000), (100, 2000), (250, 4000), (500, 8000), (1000, 16000), (2000, 20000)),
}
NUM_BANDS = {
    "v1": 22,
    "v2": 19,
    "v3": 14,
    "v4": 23,
    "v5": 28,
    "v6": 26,
    "v7": 41,
    "bass": 30,
    "drums": 55,
    "joint57": 57,
}
GRIDS = [(1024, 44100), (2048, 44100), (4096, 44100), (6144, 44100), (2048, 48000), (4096, 96000), (2050, 44101)]


def edges_of(table) -> list[int]:
    """Every band's edges in Hz: 0, then the upper edge of each band but the last."""
    edges = [0]
    for width, upper in table:
        edges += range(edges[-1] + width, upper + 1, width)
    return edges


def test_every_scheme_is_in_the_tables():
    assert set(SCHEMES) == set(TABLES) == set(NUM_BANDS)


@pytest.mark.parametrize("name", TABLES)
def test_schemes_are_the_papers(name):
    assert parse_bands(name) == TABLES[name]
    assert len(band_widths(name)) == NUM_BANDS[name]


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("v7", [(4, 10), (11, 12), (23, 8), (46, 8), (92, 2), (117, 1)]),
        ("bass", [(2, 10), (4, 5), (23, 6), (46, 4), (92, 4), (295, 1)]),
        ("drums", [(2, 20), (4, 10), (11, 8), (23, 8), (46, 8), (305, 1)]),
        ("joint57", [(2, 20), (4, 10), (11, 8), (23, 8), (46, 8), (92, 2), (121, 1)]),
    ],
)
def test_bin_counts_are_the_authors(name, runs):
    expected = tuple(width for width, count in runs for _ in range(count))
    assert band_widths(name, n_fft=2048, sample_rate=44100) == expected


@pytest.mark.parametrize(("n_fft", "sample_rate"), GRIDS)
@pytest.mark.parametrize("name", TABLES)
def test_every_bin_is_in_exactly_one_band(name, n_fft, sample_rate):
    widths = band_widths(name, n_fft, sample_rate)
    assert len(widths) == NUM_BANDS[name]
    assert all(isinstance(width, int) and width >= 1 for width in widths)
    starts = [0, *itertools.accumulate(widths)]
    covered = [index for lower, upper in itertools.pairwise(starts) for index in range(lower, upper)]
    assert covered == list(range(n_fft // 2 + 1))


@pytest.mark.parametrize(("n_fft", "sample_rate"), GRIDS)
@pytest.mark.parametrize("name", TABLES)
def test_equal_widths_have_equal_counts(name, n_fft, sample_rate):
    widths = band_widths(name, n_fft, sample_rate)
    steps_hz = [upper - lower for lower, upper in itertools.pairwise(edges_of(TABLES[name]))]
    assert widths[:-1] == tuple(step * 2 * (n_fft // 2 + 1) // sample_rate for step in steps_hz)


def test_a_scheme_may_be_a_spec():
    assert parse_bands("100:1k,1.5k:4K , 250.5:4.501k") == ((100, 1000), (1500, 4000), (250.5, 4501))
    assert band_widths("1k:2k,2k:6k", n_fft=64, sample_rate=16000) == (4, 4, 8, 8, 9)
    assert band_widths("900:1800,1800:3600,900:5400,3600:19800", 64, 44100) == (1, 1, 2, 1, 1, 5, 5, 5, 5, 7)
    assert band_widths(SCHEMES["v7"]) == band_widths("v7") == band_widths("V7")


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ("v8", "model.bands: no scheme 'v8'; did you mean 'v7'? (a spec reads '100:1k,500:4k')"),
        ("jont57", "model.bands: no scheme 'jont57'; did you mean 'joint57'?"),
        ("", "model.bands: no scheme ''; did you mean "),
        ("100:1k,500:1k", "model.bands: edges must rise, got '500:1k' after 1000 Hz in '100:1k,500:1k'"),
        ("100:2k,100:1k", "model.bands: edges must rise, got '100:1k' after 2000 Hz in"),
        (
            "300:1k",
            "model.bands: '300:1k' asks for bands of 300 Hz between 0 and 1000 Hz, which is 3.33333 bands; "
            "choose a width that divides the range",
        ),
        ("100:1k,5k:2k", "'5k:2k' asks for bands of 5000 Hz between 1000 and 2000 Hz, which is 0.2 bands"),
        ("100:1k,", "model.bands: expected WIDTH:EDGE in Hz such as '250:4k', got ''"),
        ("a:1k", "model.bands: expected WIDTH:EDGE in Hz such as '250:4k', got 'a:1k'"),
        ("100:", "expected WIDTH:EDGE in Hz such as '250:4k', got '100:'"),
        ("0:1k", "expected WIDTH:EDGE in Hz such as '250:4k', got '0:1k'"),
        ("-100:1k", "expected WIDTH:EDGE in Hz such as '250:4k', got '-100:1k'"),
        ("nan:1k", "expected WIDTH:EDGE in Hz such as '250:4k', got 'nan:1k'"),
        ("100:inf", "expected WIDTH:EDGE in Hz such as '250:4k', got '100:inf'"),
        ("100:1k:2k", "expected WIDTH:EDGE in Hz such as '250:4k', got '100:1k:2k'"),
    ],
)
def test_wrong_schemes_are_named(bands, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_bands(bands)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("v7", 2048, 16000),
            "model.bands: the last edge of 'v7' is 20000 Hz, expected under 8000 Hz (half the sample rate)",
        ),
        (("1k:8k", 2048, 16000), "the last edge of '1k:8k' is 8000 Hz, expected under 8000 Hz"),
        (
            ("bass", 512, 44100),
            "model.bands: band 0 of 'bass' has no bin at n_fft 512 and 44100 Hz (86.1 Hz a bin); "
            "widen it or raise model.n_fft",
        ),
    ],
)
def test_schemes_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        band_widths(*arguments)
