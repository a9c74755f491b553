"""The record of a run, `DIR/run.json`: which results belong to it. It is written when a run begins and when it ends.

The report of a folder shows the results of its last run only, finished or not.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.runs.store import FORMAT, Failure, TrackId, read_result, result_path, track_id, track_titles
from models.running import atomic

RECORD_FILE = "run.json"


@dataclass(frozen=True)
class Record:
    """A run.

    Attributes:
        data: description of its tracks.
        keys: the key of each of its results, sorted by system and track as given.
        failures: the failures; empty while it runs.
        root: the data set's path; "" if it is not known.
    """

    data: str
    keys: tuple[dict[str, Any], ...]
    failures: tuple[Failure, ...] = ()
    root: str = ""

    @property
    def systems(self) -> list[str]:
        """The systems' names in order."""
        return list(dict.fromkeys(key["system"] for key in self.keys))

    @property
    def tracks(self) -> dict[TrackId, str]:
        """The titles of the tracks, in order."""
        return track_titles(map(track_id, self.keys))

    def results(self, out: Path) -> list[dict[str, Any]]:
        """The results that exist, in the order of the keys."""
        found = (read_result(result_path(out, key["system"], *track_id(key)), key) for key in self.keys)
        return [result for result in found if result is not None]


def write_record(
    out: Path, data: str, keys: Iterable[dict[str, Any]], failures: Sequence[Failure] = (), root: str = ""
) -> None:
    """Write a run's record."""
    record = Record(data, tuple(keys), tuple(failures), root)
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_json(out / RECORD_FILE, asdict(record), ensure_ascii=False)


def read_record(out: Path) -> Record:
    """Read the record of the run that a folder holds.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or of another version of this program.
    """
    path = out / RECORD_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        keys = tuple(dict(key) for key in stored["keys"])
        if not all(isinstance(key[name], str) for key in keys for name in ("system", "track", "split")):
            raise ValueError("a key names no system or track")
        failures = tuple(Failure(**failure) for failure in stored["failures"])
        record = Record(str(stored["data"]), keys, failures, str(stored.get("root", "")))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(
            f"expected the --out folder of `python -m benchmark run`, got {out}, which holds no run (no {RECORD_FILE})"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); the same `python -m benchmark run` writes it again") from error
    if formats := {key.get("format") for key in keys} - {FORMAT}:
        raise ValueError(
            f"{out} holds a run of another version of this benchmark (format {min(map(str, formats))}, this one reads"
            f" {FORMAT}): run the same `python -m benchmark run` again, which measures it anew"
        )
    return record
