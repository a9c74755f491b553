"""The `ensemble` command: finds the weights of several checkpoints for each stem on validation tracks.

python -m models ensemble --validate MUSDB18-HQ --checkpoint small --checkpoint tiny --out ensemble.yaml
python -m models separate song.mp3 --out stems/ --checkpoint ensemble.yaml
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from models.checkpoints.checkpoint import CHECKPOINT_FOLDER, find_checkpoint
from models.ensembles.config import SUFFIXES, EnsembleConfig, StemShares, read_ensemble, write_ensemble
from models.ensembles.ensemble import EnsembleSeparator, all_stems
from models.ensembles.weights import Products, best_weights, mean_sdr, products
from models.separation.separator import NetworkSeparator, load_separator
from models.tracks import Track, open_tracks
from models.training.data.packs import INDEX, PackedTrack, open_pack
from models.training.validation import EXCERPT_S

DECIMALS = 3
"""Decimals of the shares in the file."""


class Excerpt(NamedTuple):
    """A part of a validation track.

    Attributes:
        mixture: [C, T].
        stems: {stem: [C, T]}.
        sample_rate: Hz.
    """

    mixture: np.ndarray
    stems: Mapping[str, np.ndarray]
    sample_rate: int


def run(args: argparse.Namespace) -> int:
    """Find the weights, write them, and print the SDR of the members, of their mean and of the weighted mean."""
    if args.out.suffix not in SUFFIXES or args.out.exists():
        raise ValueError(f"--out: expected the name of a new {' or '.join(SUFFIXES)} file, got {args.out}")
    names = read_ensemble(args.checkpoint).checkpoints
    if len(names) < 2:
        raise ValueError(f"--checkpoint: expected two or more checkpoints, got {names[0]}")
    members = [load_separator(name, args.device) for name in names]
    ensemble = EnsembleSeparator(members)
    count, excerpts = open_excerpts(args.validate, ensemble.stems)
    found = measure(members, tqdm(excerpts, "separate", count, unit="track", file=sys.stderr, disable=None))
    if not found:
        raise ValueError(f"{args.validate}: expected a validation track with an audible stem, got {count} silent ones")
    weights = {stem: rounded(best_weights(tracks)) for stem, (tracks, _) in found.items()}
    print(f"SDR in dB on the validation tracks of {args.validate}, mean over tracks")
    print(table(members, found, weights))
    shares = [StemShares(stem, tuple(spread(weights[stem], have, len(members)))) for stem, (_, have) in found.items()]
    config = EnsembleConfig(tuple(_name_or_full_path(name) for name in names), tuple(shares))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_ensemble(args.out, config, f"for {ensemble.name}, by {count} validation tracks of {args.validate.name}")
    print(f"written: {args.out}")
    return 0


def open_excerpts(root: Path, stems: Sequence[str]) -> tuple[int, Iterator[Excerpt]]:
    """The validation tracks of a data set or pack: their number, and the middle 30 s of each, as in training.

    Raises:
        FileNotFoundError: there is no data set.
        ValueError: there are no validation tracks, or the data does not have a stem.
    """
    if (root / INDEX).is_file():
        pack = open_pack(root)
        packed = pack.split("valid")
        if missing := sorted(set(stems) - set(pack.stems)):
            raise ValueError(f"{root} is a pack of {', '.join(pack.stems)}, without {', '.join(missing)}")
        count, excerpts = len(packed), (_of_pack(track, pack.stems, pack.sample_rate, stems) for track in packed)
    else:
        tracks = open_tracks(root, "valid", stems)
        count, excerpts = len(tracks), (_of_folder(track, stems) for track in tracks)
    if not count:
        raise ValueError(f"{root}: expected validation tracks, in valid/ or those that musdb names in train/, got none")
    return count, excerpts


def measure(
    members: Sequence[NetworkSeparator], excerpts: Iterator[Excerpt]
) -> dict[str, tuple[list[Products], list[int]]]:
    """Separate every excerpt with every member.

    Returns:
        For each stem that is not silent in all excerpts: its products in the excerpts in which it is not silent, and
        the indices of the members that have the stem, in the order of the products.
    """
    stems = all_stems(member.stems for member in members)
    having = {stem: [place for place, member in enumerate(members) if stem in member.stems] for stem in stems}
    found: dict[str, list[Products]] = {stem: [] for stem in stems}
    for excerpt in excerpts:
        estimates = [member.separate(excerpt.mixture, excerpt.sample_rate) for member in members]
        for stem, reference in excerpt.stems.items():
            if reference.any():
                found[stem].append(products(reference, [estimates[place][stem] for place in having[stem]]))
    return {stem: (tracks, having[stem]) for stem, tracks in found.items() if tracks}


def rounded(weights: np.ndarray) -> np.ndarray:
    """Round weights to ``DECIMALS``; the largest one is changed so that the sum stays 1."""
    short = np.round(weights, DECIMALS)
    short[np.argmax(short)] += 1 - short.sum()
    return np.round(short, DECIMALS)


def spread(weights: np.ndarray, places: Sequence[int], num_members: int) -> list[float]:
    """A share for every member: 0 for members that do not have the stem."""
    shares = [0.0] * num_members
    for place, weight in zip(places, weights, strict=True):
        shares[place] = float(weight)
    return shares


def table(
    members: Sequence[NetworkSeparator],
    found: Mapping[str, tuple[list[Products], list[int]]],
    weights: Mapping[str, np.ndarray],
) -> str:
    """A Markdown table: the SDR of each member, of the plain mean and of the weighted mean, and the shares."""
    rows: dict[str, list[float | None]] = {}
    for index, member in enumerate(members):
        rows[member.name] = [
            mean_sdr(tracks, np.eye(len(places))[places.index(index)]) if index in places else None
            for tracks, places in found.values()
        ]
    equal = [mean_sdr(tracks, np.full(len(places), 1 / len(places))) for tracks, places in found.values()]
    rows["plain mean"] = [*equal]
    rows["weighted"] = [mean_sdr(tracks, weights[stem]) for stem, (tracks, _) in found.items()]
    lines = [f"| | {' | '.join(found)} | mean |", f"|---|{'---|' * (len(found) + 1)}"]
    for name, values in rows.items():
        mean = None if None in values else float(np.mean([value for value in values if value is not None]))
        lines.append(
            f"| {name} | {' | '.join('-' if value is None else f'{value:.3f}' for value in [*values, mean])} |"
        )
    for index, member in enumerate(members):
        shares = [spread(weights[stem], places, len(members))[index] for stem, (_, places) in found.items()]
        lines.append(f"| share of {member.name} | {' | '.join(f'{share:.{DECIMALS}f}' for share in shares)} | |")
    return "\n".join(lines)


def _middle(num_samples: int, sample_rate: int) -> tuple[int, int]:
    """First sample and number of samples of the middle 30 s."""
    length = min(num_samples, round(EXCERPT_S * sample_rate))
    return (num_samples - length) // 2, length


def _of_pack(track: PackedTrack, stored: Sequence[str], sample_rate: int, stems: Sequence[str]) -> Excerpt:
    start, length = _middle(track.num_samples, sample_rate)
    audio = [track.read(place, (0, 1), start, length) for place in range(len(stored))]
    mixture = np.sum(audio, axis=0)
    return Excerpt(mixture, {stem: audio[stored.index(stem)] for stem in stems}, sample_rate)


def _of_folder(track: Track, stems: Sequence[str]) -> Excerpt:
    span = _middle(track.num_frames, track.sample_rate)
    audio = {stem: track.read_stem(stem, *span) for stem in ("mixture", *stems)}
    return Excerpt(audio.pop("mixture"), audio, track.sample_rate)


def _name_or_full_path(name: str) -> str:
    """A shipped checkpoint's name, else the absolute path of its folder, so that the file can be moved."""
    folder = find_checkpoint(name).resolve()
    return folder.name if folder.parent == CHECKPOINT_FOLDER.resolve() else str(folder)
