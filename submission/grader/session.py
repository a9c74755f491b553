"""Runs one predictor process as the grader does: one track after the other, within the limits, and scores each."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.metrics import global_sdr
from models.tracks import Track
from submission.rules.challenge import INSTRUMENTS, MEMORY_BYTES, NUM_CPUS, TIME_FACTOR
from submission.sandbox.run import Outcome, Stage, run_child
from submission.sandbox.written_elsewhere import Snapshot

START_LIMIT_S = 300.0
"""The class must be built within this; the grader's own limit is not known."""
Score = tuple[str, dict[str, float]]
"""Why the grader would fail a track, else ""; and the SDR of each instrument, dB."""


@dataclass(frozen=True)
class Result:
    """The result of a track.

    Attributes:
        track: its name.
        duration_s: its length.
        limit_s: the allowed time.
        start_s: time to load the class; not part of the limit.
        took_s: time to read, separate and write; None if the track did not finish.
        processor_s: processor time of these steps.
        peak_bytes: the largest memory that was measured; None where the system does not report it.
        sdr: global SDR of each instrument, dB; empty if the track failed.
        written: files besides the predictions that the process wrote until the end of this track.
        reduced: seconds of audio that the predictor reports as separated at lower quality, by mode.
        failure: why the grader would fail the track, else "".
        log: the last lines of stdout and stderr, if the track failed.
    """

    track: str
    duration_s: float
    limit_s: float
    start_s: float | None
    took_s: float | None
    processor_s: float | None
    peak_bytes: int | None
    sdr: dict[str, float]
    written: list[str]
    reduced: dict[str, float]
    failure: str
    log: str

    @property
    def song_sdr(self) -> float:
        """Mean over the instruments, dB."""
        return float(np.mean(list(self.sdr.values())))


@dataclass(frozen=True)
class Grader:
    """The limits that tracks run under.

    Attributes:
        time_factor: allowed time over the track's duration.
        start_limit_s: allowed time for building the class.
        memory_bytes: allowed memory of the process tree.
        num_cpus: processors that the tree may use.
    """

    time_factor: float = TIME_FACTOR
    start_limit_s: float = START_LIMIT_S
    memory_bytes: int = MEMORY_BYTES
    num_cpus: int = NUM_CPUS


def score_track(track: Track, predictions: Path) -> Score:
    """Score the files of a track against its stems; see `score`."""
    return score(predictions, track.read_stems(INSTRUMENTS), track.sample_rate)


def run_tracks(
    root: Path,
    tracks: Sequence[Track],
    grader: Grader,
    scratch: Path,
    judge: Callable[[Track, Path], Score] = score_track,
    tell: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Separate tracks in one sandboxed process and score each; only one track's files exist at a time.

    Args:
        root: the submission.
        tracks: the tracks. A failed track ends the process, so the tracks after it fail too.
        grader: the limits, for each track.
        scratch: an existing folder for the files.
        judge: scores a track, given the track and the folder of its predictions.
        tell: called with each result as soon as it is known.

    Raises:
        ValueError: a track cannot be read.
        OSError: the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="tracks-", dir=scratch) as folder:
        session = _Session(root, tracks, grader, Path(folder).resolve(), judge, tell)
        return session.run()


class _Session:
    """The state of `run_tracks`."""

    def __init__(
        self,
        root: Path,
        tracks: Sequence[Track],
        grader: Grader,
        folder: Path,
        judge: Callable[[Track, Path], Score],
        tell: Callable[[Result], None],
    ) -> None:
        self._root, self._tracks, self._grader, self._judge, self._tell = root, tracks, grader, judge, tell
        self._dataset, self._shared, self._home = (folder / part for part in ("dataset", "shared", "home"))
        # Track names may hold any character, so folders get names of their own.
        self._names = [f"track-{number}" for number in range(1, len(tracks) + 1)]
        self._results: list[Result] = []
        self._written: list[str] = []

    def run(self) -> list[Result]:
        """See `run_tracks`."""
        (self._shared / "predictions").mkdir(parents=True)
        self._home.mkdir()
        self._write_mixture()
        self._snapshot = Snapshot((self._root, self._dataset, self._shared))
        limits = (self._limit_s(track) for track in self._tracks)
        stages = [Stage(f"done {name}", limit_s) for name, limit_s in zip(self._names, limits, strict=True)]
        outcome = run_child(
            {"root": str(self._root), "cpus": self._grader.num_cpus, "tracks": self._names},
            [Stage("ready", self._grader.start_limit_s), *stages],
            folder=self._root,
            scratch=self._home,
            environment={
                "AICROWD_DATASET_DIR": str(self._dataset),
                "AICROWD_PUBLIC_SHARED_DIR": str(self._shared),
                **({} if wants_gpu(self._root) else {"CUDA_VISIBLE_DEVICES": ""}),
            },
            memory_bytes=self._grader.memory_bytes,
            at_stage=self._at_stage,
        )
        if outcome.failure:
            ended_in = self._tracks[len(self._results)].name
            self._note_written([])
            self._add(outcome, _failure(outcome, self._limit_s(self._tracks[len(self._results)])), {})
            while len(self._results) < len(self._tracks):
                self._add(Outcome(), f"not started: the process ended at {ended_in!r}", {})
        return self._results

    def _at_stage(self, message: str, outcome: Outcome) -> None:
        """Score the finished track, and write the mixture of the next one."""
        number = len(self._results)
        self._note_written(outcome.messages[message].get("written", []))
        if message != "ready":
            predictions = self._shared / "predictions" / self._names[number]
            failure, sdr = self._judge(self._tracks[number], predictions)
            shutil.rmtree(predictions)
            shutil.rmtree(self._dataset / self._names[number])
            self._add(outcome, failure, sdr)
            if len(self._results) < len(self._tracks):
                self._write_mixture()
                self._snapshot.changes()

    def _write_mixture(self) -> None:
        import soundfile

        track, name = self._tracks[len(self._results)], self._names[len(self._results)]
        file = self._dataset / name / "mixture.wav"
        file.parent.mkdir(parents=True)
        try:  # float samples, so that the submission gets exactly the input of the benchmark's systems
            soundfile.write(file, track.read_mixture().T, track.sample_rate, subtype="FLOAT")
        except soundfile.SoundFileError as error:
            raise OSError(f"{file}: cannot be written, is the disk full? ({error})") from error

    def _note_written(self, by_python: Sequence[str]) -> None:
        """Record the files that were written since the last snapshot, except the predictions."""
        predictions = self._shared / "predictions" / self._names[len(self._results)]
        expected = {str(predictions / f"{name}.wav") for name in INSTRUMENTS}
        for path in (*self._snapshot.changes(), *by_python):
            if path not in expected and path not in self._written:
                self._written.append(path)

    def _limit_s(self, track: Track) -> float:
        return self._grader.time_factor * track.duration_s

    def _add(self, outcome: Outcome, failure: str, sdr: dict[str, float]) -> None:
        number = len(self._results)
        track, message = self._tracks[number], f"done {self._names[number]}"
        done: dict[str, Any] = outcome.messages.get(message) or {}
        attempts = (done or outcome.messages.get("ready") or {}).get("attempts", [])
        if failure and attempts:
            failure += f" (it tried to reach the network: {attempts[0]})"
        result = Result(
            track=track.name,
            duration_s=track.duration_s,
            limit_s=self._limit_s(track),
            start_s=outcome.took_s.get("ready"),
            took_s=outcome.took_s.get(message),
            processor_s=done.get("processor_s"),
            peak_bytes=outcome.peak_bytes,
            sdr=sdr,
            written=list(self._written),
            reduced=done.get("reduced", {}),
            failure=failure,
            log=outcome.log if failure else "",
        )
        self._results.append(result)
        self._tell(result)


def _failure(outcome: Outcome, limit_s: float) -> str:
    """Why the grader would fail the track in which a process ended."""
    if outcome.is_late and "ready" in outcome.took_s:
        return f"missed the time limit: not done after {limit_s:.2f} s"
    return outcome.failure


def score(predictions: Path, references: dict[str, np.ndarray], sample_rate: int) -> Score:
    """Read the files that the wrapper wrote and score them.

    Args:
        predictions: folder of the track.
        references: the true stems, [C, T] each.
        sample_rate: of the references, Hz.

    Returns:
        Why the grader would fail the track, else ""; and the SDR of each instrument, dB.
    """
    import soundfile

    sdr = {}
    for name in INSTRUMENTS:
        samples, rate = soundfile.read(predictions / f"{name}.wav", dtype="float32", always_2d=True)
        if samples.T.shape != references[name].shape:
            got = f"{samples.shape[0]} samples of {samples.shape[1]} channels"
            channels, num_samples = references[name].shape
            return f"{name}: wrong sample count: expected {num_samples} samples of {channels} channels, got {got}", {}
        if rate != sample_rate:
            return f"{name}: expected {sample_rate} Hz, got {rate}", {}
        sdr[name] = float(global_sdr(references[name], samples.T))
    return "", sdr


def wants_gpu(root: Path) -> bool:
    """Whether `aicrowd.json` asks for a GPU; otherwise the grader has none."""
    try:
        return json.loads((root / "aicrowd.json").read_text(encoding="utf-8")).get("gpu") is True
    except (OSError, ValueError, AttributeError):
        return False
