"""Pre-flight check on real music: an excerpt with known stems, a long track, and the excerpt again, in one process.

It finds what the test signals cannot show: exchanged stems, lags, wrong levels, a track of a minute that takes too much
time or memory, stems that depend on the track before, and files written outside the predictions.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from models.separation.separator import load_separator
from models.tracks import Track, open_tracks, shipped_excerpt
from submission.grader.session import Grader, Result, Score, run_tracks, score_track
from submission.package.user_config import USER_CONFIG, is_ours, read_checkpoints
from submission.predictor.ensemble_weights import read_shares
from submission.preflight.alignment import diagnose
from submission.preflight.answers import PCM16_STEP, is_busy
from submission.preflight.findings import Finding
from submission.rules.challenge import INSTRUMENTS, PCM16_MAX

LONG_S = 60.0
SONG_S = 600.0
"""Memory must suffice for a song of this length, seconds."""
MEMORY_NOISE_BYTES = 100_000_000
"""The peak memory of two runs of one track differs by up to this."""
SAME_DB = 40.0
"""A package's stems must equal those of `load_separator` up to an error this far below them; rounding is smaller."""
LESS_DB = 1.0
"""A long track may score this much less than the excerpt that it repeats, dB."""

Stems = dict[str, np.ndarray]


@dataclass(frozen=True)
class HeldTrack(Track):
    """A track that is held in memory.

    Attributes:
        audio: the mixture and the stems, [C, T] each.
        rate: sample rate, Hz.
    """

    audio: Mapping[str, np.ndarray] = field(repr=False)
    rate: int

    @property
    def stems(self) -> tuple[str, ...]:
        """See Track."""
        return tuple(name for name in self.audio if name != "mixture")

    @property
    def sample_rate(self) -> int:
        """See Track."""
        return self.rate

    @property
    def num_frames(self) -> int:
        """See Track."""
        return self.audio["mixture"].shape[-1]

    def read_stem(self, stem: str, start: int = 0, frames: int = -1) -> np.ndarray:
        """See Track."""
        return self.audio[stem][:, start : None if frames < 0 else start + frames]


def check_real_music(
    root: Path, grader: Grader, excerpt: Track | None = None, long_s: float = LONG_S
) -> tuple[list[Finding], list[str]]:
    """Separate an excerpt, a long track made from it, and the excerpt again; returns findings, and notes.

    Args:
        root: the submission.
        grader: the limits.
        excerpt: a piece of music with known stems; by default the one that stempeg ships.
        long_s: length of the long track, seconds.
    """
    try:
        held = hold(excerpt or open_tracks(shipped_excerpt(), "test")[0])
    except (ValueError, OSError) as error:
        return [], [f"not tried on real music: {error}"]
    tracks = [held, repeated(held, long_s), held]
    answers: list[Stems] = []

    def judge(track: Track, predictions: Path) -> Score:
        failure, sdr = score_track(track, predictions)
        if track is held and not failure:
            answers.append(read_predictions(predictions))
        return failure, sdr

    with tempfile.TemporaryDirectory(prefix="bandsplit-check-") as scratch:
        results = run_tracks(root, tracks, grader, Path(scratch), judge)
    findings = [*_judge_runs(results, root, grader.memory_bytes), *_judge_scores(results)]
    if answers:
        mixture = held.read_mixture()
        true = held.read_stems(INSTRUMENTS)
        where, advice = f"music {held.name!r}", "find where the code does that"
        findings += [Finding(what, where, advice) for what in diagnose(true, answers[0], mixture, held.sample_rate)]
        if not results[0].reduced:
            findings += _judge_sameness(root, held, answers[0])
        if len(answers) == 2 and not results[0].reduced and not results[2].reduced:
            findings += _judge_memory_of_tracks(answers[0], answers[1])
    return findings, list(_notes(results))


def hold(track: Track) -> HeldTrack:
    """Read a track's mixture and instruments into memory."""
    audio = track.read_stems(("mixture", *INSTRUMENTS))
    return HeldTrack(track.name, track.split, track.path, audio, track.sample_rate)


def repeated(track: HeldTrack, duration_s: float) -> HeldTrack:
    """A track repeated, and cut to a duration in seconds."""
    num_samples = round(duration_s * track.rate)
    times = -(-num_samples // track.num_frames)
    audio = {name: np.tile(samples, times)[:, :num_samples] for name, samples in track.audio.items()}
    return HeldTrack(f"{track.name}, repeated for {duration_s:.0f} s", track.split, track.path, audio, track.rate)


def read_predictions(folder: Path) -> Stems:
    """Read the stems that the wrapper wrote, [C, T] each."""
    files = {name: folder / f"{name}.wav" for name in INSTRUMENTS}
    return {name: soundfile.read(file, dtype="float32", always_2d=True)[0].T for name, file in files.items()}


def _judge_runs(results: Sequence[Result], root: Path, memory_bytes: int) -> Iterator[Finding]:
    """Findings about failures, memory, time and written files."""
    for result in results:
        if result.failure:
            log = f"; it wrote: {result.log.splitlines()[-1][:300]}" if result.log else ""
            yield Finding(
                f"{result.failure}{log}", f"music {result.track!r}", "fix the code: it would fail in the grader"
            )
            break
    short, long, _ = results
    if short.peak_bytes and long.peak_bytes and not long.failure:
        grown = max(0.0, long.peak_bytes - short.peak_bytes - MEMORY_NOISE_BYTES)
        each_s = grown / (long.duration_s - short.duration_s)
        projected = long.peak_bytes + each_s * (SONG_S - long.duration_s)
        if projected > memory_bytes:
            yield Finding(
                f"would take {projected / 1e9:.0f} GB for a song of {SONG_S / 60:.0f} minutes"
                f" ({each_s / 1e6:.0f} MB more for each second); the grader has {memory_bytes / 1e9:.0f} GB",
                f"music {long.track!r}",
                "separate long tracks piece by piece",
            )
    if long.reduced and not short.reduced and not is_busy():
        ways = "; ".join(f"{seconds:.1f} s by {way}" for way, seconds in long.reduced.items())
        yield Finding(f"too slow for full quality here: {ways}", f"music {long.track!r}", "take a smaller checkpoint")
    if written := results[-1].written:
        listed = ", ".join(path.removeprefix(f"{root}/") for path in written[:5])
        yield Finding(
            f"writes {len(written)} files outside the predictions: {listed}",
            str(USER_CONFIG),
            "write other files with tempfile only, and delete them",
        )


def _judge_scores(results: Sequence[Result]) -> Iterator[Finding]:
    """Findings from the scores."""
    short, long, _ = results
    if short.sdr and short.song_sdr < 0:
        what = f"scores {short.song_sdr:.2f} dB, where silence scores 0"
        yield Finding(what, f"music {short.track!r}", "listen to the stems that it returns")
    if short.sdr and long.sdr and not long.reduced and long.song_sdr < short.song_sdr - LESS_DB:
        yield Finding(
            f"scores {long.song_sdr:.2f} dB, but {short.song_sdr:.2f} dB on the same music without repetition",
            f"music {long.track!r}",
            "find what the code does differently for long tracks",
        )


def _judge_sameness(root: Path, track: HeldTrack, answer: Stems) -> Iterator[Finding]:
    """A finding if a package of ours does not return what its checkpoints return."""
    user_config = (root / USER_CONFIG).read_text(encoding="utf-8")
    if not is_ours(user_config):
        return
    try:
        expected = ensemble_stems(root, read_checkpoints(user_config)[0], track)
    except (ValueError, OSError):
        return  # check_checkpoints reports it
    for name, stem in expected.items():
        error = np.sqrt(np.mean((answer[name] - stem) ** 2))
        level = np.sqrt(np.mean(stem**2))
        if error > max(PCM16_STEP, level * 10 ** (-SAME_DB / 20)):
            yield Finding(
                f"{name} differs from what load_separator returns with the same checkpoints: the error is"
                f" {20 * np.log10((level + 1e-9) / error):.1f} dB below it, expected {SAME_DB:.0f}",
                f"music {track.name!r}",
                "find where the package's code changes it; if that is intended, compare both with `evaluate`",
            )
            return


def ensemble_stems(root: Path, ensemble: Sequence[str], track: HeldTrack) -> Stems:
    """The weighted mean of the stems that each checkpoint's own separator returns, clipped to the range of PCM_16.

    Raises:
        FileNotFoundError, ValueError: a checkpoint, or the file of weights, is missing or damaged.
    """
    estimates = []
    for name in ensemble:
        separator = load_separator(str(root / "checkpoints" / name), device="cpu")
        estimates.append(separator.separate(track.read_mixture(), track.sample_rate))
    shares = read_shares(root / "checkpoints", ensemble, [tuple(stems) for stems in estimates])
    means = {}
    for stem in INSTRUMENTS:
        parts = [(own[stem], stems[stem]) for own, stems in zip(shares, estimates, strict=True) if stem in own]
        if parts:
            total = sum(share for share, _ in parts)
            means[stem] = np.clip(sum(share * part for share, part in parts) / total, -1, PCM16_MAX)
    return means


def _judge_memory_of_tracks(first: Stems, second: Stems) -> Iterator[Finding]:
    """A finding if a track's stems differ after another track."""
    largest = max(float(np.abs(first[name] - second[name]).max()) for name in INSTRUMENTS)
    if largest > PCM16_STEP:
        yield Finding(
            f"a track's stems depend on the tracks before it: they differ by up to {largest:.4f}",
            "separate_music_file",
            "keep nothing from track to track",
        )


def _notes(results: Sequence[Result]) -> Iterator[str]:
    short, long, _ = results
    if short.sdr:
        listed = ", ".join(f"{name} {value:.2f}" for name, value in short.sdr.items())
        yield f"scores {short.song_sdr:.2f} dB on {short.track!r} ({listed})"
    if long.took_s is not None:
        memory = f" and {long.peak_bytes / 1e6:.0f} MB" if long.peak_bytes else ""
        share = 100 * long.took_s / long.limit_s
        yield f"separates {long.duration_s:.0f} s of real music in {share:.1f} % of the allowed time{memory}"
    if any(result.reduced for result in results):
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
        yield f"some real music was separated at lower quality because time ran short here ({load})"
