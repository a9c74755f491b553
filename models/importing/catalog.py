"""Public BSRNN weights: their stems, published scores, training data, licence and address."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MUSDB = "100 tracks from musdb18-hq"
"""The train split, validation tracks included; worded as in model cards and leaderboards."""
LABEL_NOISE = "203 tracks from MDX-23 labelnoise"
UNKNOWN = "unknown music from unknown"


@dataclass(frozen=True)
class Entry:
    """Weights that somebody published.

    Attributes:
        name: of the checkpoint.
        layout: codebase that wrote them, a key of `models.commands.import_weights.LAYOUTS`.
        stems: in the order of the scores.
        metric: of the scores.
        scores: dB for each stem, as published.
        scored_on: what the scores were measured on.
        score_source: where the scores are published.
        training_data: as in `info.training_data`: "... from NAME, NAME".
        size: approximate size of the download.
        licence: of the weights, as its authors state it, or "none stated".
        where: addresses to download from, one for each stem or one for all.
        how: what to download there and where to put it.
    """

    name: str
    layout: str
    stems: tuple[str, ...]
    metric: str
    scores: tuple[float, ...]
    scored_on: str
    score_source: str
    training_data: str
    size: str
    licence: str
    where: tuple[str, ...]
    how: str
    scores_by_stem: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        """Join stems and scores."""
        object.__setattr__(self, "scores_by_stem", dict(zip(self.stems, self.scores, strict=True)))

    @property
    def mean(self) -> float:
        """Mean of the scores, dB."""
        return sum(self.scores) / len(self.scores)


CATALOG = (
    Entry(
        name="oBSRNN-SIMO",
        layout="magronp",
        stems=("vocals", "bass", "drums", "other"),
        metric="cSDR",
        scores=(10.66, 9.73, 10.98, 7.78),
        scored_on="MUSDB18-HQ test",
        score_source="https://github.com/magronp/bsrnn",
        training_data=MUSDB,
        size="about 0.4 GB for the weights, three times that with the optimiser's state",
        licence="as the Zenodo record states it (the code is MIT)",
        where=("https://zenodo.org/records/17516442",),
        how="separator.ckpt of the folder simo-bsrnn-opt",
    ),
    Entry(
        name="oBSRNN",
        layout="magronp",
        stems=("vocals", "bass", "drums", "other"),
        metric="cSDR",
        scores=(9.81, 9.85, 10.31, 6.31),
        scored_on="MUSDB18-HQ test",
        score_source="https://github.com/magronp/bsrnn",
        training_data=MUSDB,
        size="about 0.7 GB for the weights, three times that with the optimiser's state",
        licence="as the Zenodo record states it (the code is MIT)",
        where=("https://zenodo.org/records/17516442",),
        how="vocals.ckpt, bass.ckpt, drums.ckpt and other.ckpt of the folder bsrnn-opt",
    ),
    Entry(
        name="crlandsc-mdx23",
        layout="crlandsc",
        stems=("vocals", "bass", "drums", "other"),
        metric="global SDR",
        scores=(6.26, 5.61, 4.83, 3.27),
        scored_on="MDX-23 leaderboard A",
        score_source="https://github.com/crlandsc/Music-Demixing-with-Band-Split-RNN",
        training_data=LABEL_NOISE,
        size="about 0.5 GB for each stem",
        licence="none stated",
        where=tuple(f"https://huggingface.co/crlandsc/bsrnn-{stem}" for stem in ("vocals", "bass", "drums", "other")),
        how="the .ckpt or .pt file of each of the four, renamed to vocals, bass, drums and other",
    ),
    Entry(
        name="amanteur-vocals",
        layout="amanteur",
        stems=("vocals",),
        metric="global SDR",
        scores=(6.88,),
        scored_on="MUSDB18-HQ test",
        score_source="https://github.com/amanteur/BandSplitRNN-PyTorch",
        training_data=MUSDB,
        size="about 0.15 GB",
        licence="none stated",
        where=("https://drive.google.com/file/d/14FzOPUcf4BKym1kCRqRH1PeJWSvv4qHE/view",),
        how="vocals.pt, in a browser: Google Drive asks for confirmation before it sends large files",
    ),
)


def find_entry(name: str) -> Entry | None:
    """The entry of this name, upper or lower case; None if there is none."""
    return next((entry for entry in CATALOG if entry.name.lower() == name.lower()), None)


def describe() -> str:
    """The catalog as text, for a terminal."""
    blocks = []
    for entry in CATALOG:
        scores = ", ".join(f"{stem} {score:.2f}" for stem, score in entry.scores_by_stem.items())
        mean = f", mean {entry.mean:.2f}" if len(entry.stems) > 1 else ""
        lines = [
            f"{entry.name}  (layout {entry.layout})",
            f"  {entry.metric} on {entry.scored_on}, dB: {scores}{mean}  [{entry.score_source}]",
            f"  training data: {entry.training_data}",
            f"  licence: {entry.licence}; {entry.size}",
            *(f"  at: {address}" for address in entry.where),
            f"  file: {entry.how}",
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
