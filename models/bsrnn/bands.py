"""Band schemes: how the bins of a spectrum are cut into bands.

A scheme is written as a spec: comma-separated ``width:edge`` pairs in Hz, each meaning "bands of this width up to this
edge". The bins above the last edge are one more band. The paper's V7 is ``"100:1k,250:4k,500:8k,1k:16k,2k:20k"`` and
has 41 bands.

Source: Luo & Yu 2022 (arXiv 2209.15174), sections 3.1 and 4.2; the joint split is SIMO-BSRNN's (ICASSP 2024).
"""

import difflib

SCHEMES: dict[str, str] = {
    "v1": "1k:21k",
    "v2": "1k:16k,2k:20k",
    "v3": "1k:8k,2k:16k,4k:20k",
    "v4": "100:1k,1k:8k,2k:16k,4k:20k",
    "v5": "100:1k,1k:16k,2k:20k",
    "v6": "100:1k,500:4k,1k:8k,2k:16k,4k:20k",
    "v7": "100:1k,250:4k,500:8k,1k:16k,2k:20k",
    "bass": "50:500,100:1k,500:4k,1k:8k,2k:16k",
    "drums": "50:1k,100:2k,250:4k,500:8k,1k:16k",
    "joint57": "50:1k,100:2k,250:4k,500:8k,1k:16k,2k:20k",
}

MOST_BANDS = 1000


def parse_bands(bands: str) -> tuple[tuple[float, float], ...]:
    """Read a scheme's name or spec as (width, upper edge) pairs.

    Args:
        bands: a key of ``SCHEMES`` or a spec such as ``"100:1k,500:4k"``.

    Returns:
        ``(width_hz, edge_hz)`` pairs with rising edges.

    Raises:
        ValueError: not a name and not a spec, edges that do not rise, or a width that does not divide its range.
    """
    spec = SCHEMES.get(bands.lower(), bands)
    if ":" not in spec:
        nearest = difflib.get_close_matches(bands.lower(), SCHEMES, n=1, cutoff=0.0)[0]
        raise ValueError(f"model.bands: no scheme {bands!r}; did you mean {nearest!r}? (a spec reads '100:1k,500:4k')")
    pairs = []
    lower_hz = 0.0
    for part in spec.split(","):
        width_text, _, edge_text = part.partition(":")
        width_hz, edge_hz = _hertz(width_text, part), _hertz(edge_text, part)
        if edge_hz <= lower_hz:
            raise ValueError(f"model.bands: edges must rise, got {part!r} after {lower_hz:g} Hz in {spec!r}")
        count = (edge_hz - lower_hz) / width_hz
        if abs(count - round(count)) > 1e-6 or round(count) < 1:
            raise ValueError(
                f"model.bands: {part!r} asks for bands of {width_hz:g} Hz between {lower_hz:g} and {edge_hz:g} Hz, "
                f"which is {count:g} bands; choose a width that divides the range"
            )
        if count > MOST_BANDS:
            raise ValueError(f"model.bands: expected at most {MOST_BANDS} bands, got {count:.0f} in {part!r}")
        pairs.append((width_hz, edge_hz))
        lower_hz = edge_hz
    return tuple(pairs)


def _hertz(text: str, part: str) -> float:
    number = text.strip().lower()
    scale = 1000.0 if number.endswith("k") else 1.0
    try:
        value = float(number.removesuffix("k")) * scale
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise ValueError(f"model.bands: expected WIDTH:EDGE in Hz such as '250:4k', got {part!r}")
    return value


def band_widths(bands: str, n_fft: int = 2048, sample_rate: int = 44100) -> tuple[int, ...]:
    """Number of bins in each band, lowest band first; every bin lies in exactly one band.

    Bands of one width have the same number of bins, ``floor(width * F / nyquist)`` as in the authors' code, so that
    equal bands are batched.

    Args:
        bands: a scheme's name or a spec, see ``parse_bands``.
        n_fft: FFT length in samples; the spectrum has ``n_fft // 2 + 1`` bins.
        sample_rate: in Hz.

    Returns:
        K widths that sum to ``n_fft // 2 + 1``.

    Raises:
        ValueError: a band would have no bin, or the edges lie above the Nyquist frequency.
    """
    num_bins = n_fft // 2 + 1
    nyquist_hz = sample_rate / 2
    pairs = parse_bands(bands)
    if pairs[-1][1] >= nyquist_hz:
        raise ValueError(
            f"model.bands: the last edge of {bands!r} is {pairs[-1][1]:g} Hz, "
            f"expected under {nyquist_hz:g} Hz (half the sample rate)"
        )
    lower_hz = 0.0
    widths: list[int] = []
    for width_hz, edge_hz in pairs:
        widths += [int(width_hz * num_bins / nyquist_hz + 1e-9)] * round((edge_hz - lower_hz) / width_hz)
        lower_hz = edge_hz
    widths.append(num_bins - sum(widths))
    if min(widths) < 1:
        narrow = widths.index(min(widths))
        raise ValueError(
            f"model.bands: band {narrow} of {bands!r} has no bin at n_fft {n_fft} and {sample_rate} Hz "
            f"({sample_rate / n_fft:.1f} Hz a bin); widen it or raise model.n_fft"
        )
    return tuple(widths)
