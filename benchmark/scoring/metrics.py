"""The registry of metrics: name, title, unit, direction and one sentence each. Tables, page and files read it."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: in files and options.
        title: for readers.
        unit: "dB", or "" for a number without a unit.
        higher_is_better: its direction.
        over_tracks: how it is aggregated over tracks, "mean" or "median".
        sentence: what it means.
        frames: the BSSEval ratio of one-second frames of which it is the median; "" for a score of a whole track.
        together: whether it depends on which stems are scored together.
        extra: whether `--metrics` chooses it; the others are always computed.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    over_tracks: str
    sentence: str
    frames: str = ""
    together: bool = False
    extra: bool = False

    @property
    def direction(self) -> str:
        """Its direction in words."""
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def heading(self) -> str:
        """Title, unit and direction, for a table."""
        return f"{self.title}{f' ({self.unit})' if self.unit else ''}, {self.direction}"

    @property
    def definition(self) -> str:
        """The sentence with the aggregation over tracks."""
        return f"{self.sentence}; {self.over_tracks} over tracks"


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "sdr",
            "Global SDR",
            "dB",
            True,
            "mean",
            "energy of the true stem over energy of the error, of a whole track; the score of the Music Demixing"
            " Challenges",
        ),
        Metric(
            "csdr",
            "cSDR",
            "dB",
            True,
            "median",
            "museval's SDR: median over frames of 1 s",
            frames="SDR",
            together=True,
        ),
        Metric(
            "si_sdr",
            "SI-SDR",
            "dB",
            True,
            "median",
            "as global SDR after the best gain of the true stem: a wrong level costs nothing",
        ),
        Metric(
            "isr",
            "ISR",
            "dB",
            True,
            "median",
            "image to spatial distortion (BSSEval v4): how well level, panning and filtering are kept",
            frames="ISR",
            together=True,
        ),
        Metric(
            "sir",
            "SIR",
            "dB",
            True,
            "median",
            "source to interference (BSSEval v4): how little of the other stems is left",
            frames="SIR",
            together=True,
        ),
        Metric(
            "sar",
            "SAR",
            "dB",
            True,
            "median",
            "source to artifacts (BSSEval v4): how little sounds like none of the stems",
            frames="SAR",
            together=True,
        ),
        Metric(
            "si_sar",
            "SI-SAR",
            "dB",
            True,
            "median",
            "true stem after the best gain over what no gains of the true stems explain, of a whole track; of the"
            " energy ratios the best match to listeners for drums and bass (arXiv 2507.06917)",
            together=True,
        ),
        Metric(
            "log_wmse",
            "log-WMSE",
            "",
            True,
            "mean",
            "log of the error after a filter like human hearing, relative to the mixture's level; defined for silent"
            " stems too, at most 73.7",
            extra=True,
        ),
        Metric(
            "mrstft",
            "Multi-resolution STFT distance",
            "",
            False,
            "median",
            "distance of the magnitude spectrograms at three resolutions (spectral convergence plus log magnitudes),"
            " phase ignored",
            extra=True,
        ),
        Metric(
            "l1_freq",
            "L1-frequency",
            "",
            True,
            "mean",
            "mean absolute difference of the magnitude spectrograms, mapped to 0 to 100; it depends on the level",
            extra=True,
        ),
        Metric(
            "bleedless",
            "Bleedless",
            "",
            True,
            "mean",
            "0 to 100: falls where the estimate's mel spectrogram is louder than the true one",
            extra=True,
        ),
        Metric(
            "fullness",
            "Fullness",
            "",
            True,
            "mean",
            "0 to 100: falls where the estimate's mel spectrogram is quieter than the true one",
            extra=True,
        ),
        Metric(
            "silence",
            "Energy at silence",
            "dB",
            False,
            "mean",
            "energy of the estimate in seconds where the true stem is silent (below -60 dBFS); no value for a stem that"
            " is never silent",
            extra=True,
        ),
    )
}
"""All metrics, in the order of tables and files."""
EXTRA = tuple(name for name, metric in METRICS.items() if metric.extra)
WHOLE_TRACK = tuple(name for name, metric in METRICS.items() if not metric.together)
"""The scores of a whole track that do not depend on the stems scored together."""
TOGETHER = tuple(name for name, metric in METRICS.items() if metric.together)
FRAME_MEDIANS = {name: metric.frames for name, metric in METRICS.items() if metric.frames}
"""The scores that are medians over frames, and the ratio of these frames."""


def parse_metrics(text: str) -> tuple[str, ...]:
    """Read `--metrics`: names, `all` or `none`, of the metrics that are not always computed.

    Raises:
        ValueError: there is no such metric.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names in (["all"], ["none"]):
        return EXTRA if names == ["all"] else ()
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise ValueError(f"--metrics: expected all, none, or some of {', '.join(METRICS)}, got {text!r}")
    return in_order(names)


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """The extra metrics among some names, in the order of the registry."""
    return tuple(name for name in EXTRA if name in names)
