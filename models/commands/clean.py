"""The command ``clean``: what a trained model finds wrong with the stems of a data set is relabelled, cut or dropped.

python -m models clean --data dirty --checkpoint runs/first/best --out cleaned
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from models.checkpoints.checkpoint import CONFIG, find_checkpoint, read_config
from models.cleaning.clean import clean_track, stored_scores
from models.cleaning.decisions import Decision, decide
from models.cleaning.evaluation import evaluate, relabelled_right
from models.cleaning.report import plot_report, write_report
from models.cleaning.scores import StemScore
from models.corruption.data_set import data_set_folder, describe_tracks, link_track, make_track, source_tracks
from models.corruption.truth import TRUTH, StemTruth, read_truth
from models.separation.separator import load_separator
from models.tracks import Track
from models.training.data.origin import data_names, read_origin, write_origin

SETTINGS, REPORT, PLOT = "cleaning.json", "report.csv", "report.png"


def run(args: argparse.Namespace) -> int:
    """Score what has no score yet, decide, and write what is not there yet."""
    if not 0.5 <= args.stretch_s <= 600:
        raise ValueError(f"--stretch-s: expected 0.5 to 600 seconds, got {args.stretch_s}")
    if not 0 <= args.worst < 1:
        raise ValueError(f"--worst: expected a share in [0, 1), got {args.worst}")
    folder = find_checkpoint(args.checkpoint)
    separator = load_separator(args.checkpoint, args.device)
    splits = source_tracks(args.data)
    for track in splits["train"]:
        track.check(separator.stems)
    truth = _read_truths(args.truth, args.data)
    settings = {
        "data": [str(root.resolve()) for root in args.data],
        "tracks": describe_tracks(splits),
        "checkpoint": separator.name,
        "stretch_s": args.stretch_s,
        "worst": args.worst,
    }
    with data_set_folder(args.out, SETTINGS, settings):
        write_origin(args.out, [*map(read_origin, args.data), *_heard_by(folder)])
        scores: list[StemScore] = []
        for track in tqdm(splits["train"], "listen", unit="track", file=sys.stderr, disable=None):
            scores += stored_scores(separator, track, args.stretch_s, args.out)
        decisions = decide(scores, args.worst)
        _write_tracks(splits, decisions, args.stretch_s, args.out)
        write_report(decisions, args.stretch_s, args.out / REPORT)
        plot_report(decisions, args.out / PLOT)
    print(summary(args.out, decisions, truth))
    return 0


def _write_tracks(
    splits: Mapping[str, Sequence[Track]], decisions: Sequence[Decision], stretch_s: float, out: Path
) -> None:
    for split in ("valid", "test"):
        for track in splits[split]:
            link_track(track, out, split)
    of_track: dict[str, list[Decision]] = {}
    for decision in decisions:
        of_track.setdefault(decision.score.track, []).append(decision)
    for track in splits["train"]:
        make_track(track, out, partial(clean_track, track, of_track[track.name], stretch_s))


def _heard_by(checkpoint: Path) -> list[str]:
    """What the judge was trained on: data that it chose carry that knowledge."""
    info = read_config(checkpoint / CONFIG)[1]
    try:
        names = data_names(info)
    except (KeyError, IndexError):
        return [f"unknown data of {checkpoint.name}"]
    began_with = info.get("began_with", "nothing")
    return names if began_with == "nothing" else [*names, f"weights of {began_with}"]


def _read_truths(file: Path | None, roots: Sequence[Path]) -> dict[tuple[str, str], StemTruth]:
    """The truth that was named, or what lies beside the data."""
    files = [file] if file else [root / TRUTH for root in roots if (root / TRUTH).is_file()]
    return {key: row for path in files for key, row in read_truth(path).items()}


def summary(out: Path, decisions: Sequence[Decision], truth: Mapping[tuple[str, str], StemTruth]) -> str:
    """What was decided, and how much of the truth was found where it is known."""
    counts = Counter(decision.action for decision in decisions)
    listed = ", ".join(f"{count} {action}" for action, count in sorted(counts.items()))
    lines = [f"{out}: {len(decisions)} stems: {listed}; {REPORT} has the reasons"]
    if truth:
        lines += ["| dirty stems | how many | AUC | precision | recall |", "|---|--:|--:|--:|--:|"]
        for row in evaluate(decisions, truth):
            numbers = " | ".join("-" if one != one else f"{one:.3f}" for one in (row.auc, row.precision, row.recall))
            lines.append(f"| {row.kind} | {row.dirty} | {numbers} |")
        right, moved = relabelled_right(decisions, truth)
        lines.append(f"relabelled: {moved}, {right} of them rightly")
    return "\n".join(lines)
