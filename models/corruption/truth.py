"""The truth about a corrupted data set: what was done to each stem."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from models.running.atomic import write_text

TRUTH, TRACK_TRUTH = "truth.csv", "truth.json"
ACTIONS = ("kept", "exchanged", "mixed", "bleeding", "emptied", "silent")
DIRTY = ("exchanged", "mixed", "bleeding")
"""Actions after which a stem has sound that its name does not say."""


@dataclass(frozen=True)
class StemTruth:
    """What was done to one stem.

    Attributes:
        track: name of the track.
        stem: name of the stem.
        action: ``kept``; ``exchanged``: holds other recordings instead of its own; ``mixed``: beside its own;
            ``bleeding``: parts of others beside its own; ``emptied``: its recording went elsewhere and nothing came;
            ``silent``: silent as before.
        holds: the recordings that it holds, joined by "+".
        leaks: what bleeds into it, as text.
    """

    track: str
    stem: str
    action: str
    holds: str
    leaks: str = ""

    def __post_init__(self) -> None:
        """Check the action."""
        if self.action not in ACTIONS:
            raise ValueError(f"expected one of {', '.join(ACTIONS)}, got {self.action!r}")

    @property
    def is_dirty(self) -> bool:
        """Whether the stem has sound that its name does not say."""
        return self.action in DIRTY


def write_track_truth(folder: Path, stems: Iterable[StemTruth]) -> None:
    """Write the truth about one track into its folder."""
    text = json.dumps([asdict(stem) for stem in stems], indent=1) + "\n"
    write_text(folder / TRACK_TRUTH, text)


def read_track_truth(folder: Path) -> list[StemTruth]:
    """The truth about one track.

    Raises:
        ValueError: damaged.
        FileNotFoundError: not there.
    """
    path = folder / TRACK_TRUTH
    try:
        return [StemTruth(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the truth about a track ({error}); delete its folder and run again") from None


def write_truth(path: Path, stems: Iterable[StemTruth]) -> None:
    """Write the truth about a data set, one row a stem."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(StemTruth.__dataclass_fields__))
    writer.writeheader()
    writer.writerows(asdict(stem) for stem in stems)
    write_text(path, text.getvalue())


def read_truth(path: Path) -> dict[tuple[str, str], StemTruth]:
    """The truth about a data set, by track and stem.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [StemTruth(**row) for row in csv.DictReader(file)]
    except (TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path}: expected a truth.csv of `models corrupt` ({error})") from None
    return {(row.track, row.stem): row for row in rows}
