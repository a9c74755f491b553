"""The command `average`: the mean of the weights of several training runs, which is often better than each of them.

python -m models average runs/a/last runs/b/last --validate MUSDB18-HQ --out runs/mean
python -m models average runs/a/last runs/b/last --validate MUSDB18-HQ --set separate.shifts=2 --out better
"""

import argparse
import datetime
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from models.checkpoints.checkpoint import CONFIG, Checkpoint, find_checkpoint, load_checkpoint, save_checkpoint
from models.commands.ensemble import Excerpt, open_excerpts
from models.commands.import_weights import output_folder
from models.metrics import global_sdr
from models.presets.settings import override, parse_assignments, to_mapping
from models.separation.separator import NetworkSeparator
from models.training.record.card import model_card

_SUMMED = ("steps", "minutes", "cpu_minutes", "seconds_of_mixture_seen")
_OF_THE_MEAN = ("name", "date", "mean_of", "validation_data", "cpu_minutes_in_all", "parameters", "valid_sdr")


def run(args: argparse.Namespace) -> int:
    """Average the weights, validate the mean, and write it as a checkpoint."""
    folder, changes = output_folder(args.out), parse_assignments(args.set)
    if (folder / CONFIG).exists():
        raise FileExistsError(f"--out: {folder} is a checkpoint already; name a new folder")
    if fixed := [name for name in changes if not name.startswith("separate.")]:
        raise ValueError(f"--set: {fixed[0]} is fixed by the checkpoints; only separate.* can be changed")
    members = [load_checkpoint(find_checkpoint(name)) for name in args.checkpoints]
    check_members(members)
    preset = override(members[0].preset, changes)
    weights = {name: value.half().float() for name, value in mean_weights(members).items()}  # as they are stored
    network = members[0].network
    network.load_state_dict(weights)
    separator = NetworkSeparator(network, preset.separate, args.device or "cpu")
    count, excerpts = open_excerpts(args.validate, separator.stems)
    sdr = validate(separator, tqdm(excerpts, "validate", count, unit="track", file=sys.stderr, disable=None))
    info = {
        "name": folder.resolve().name,
        "date": datetime.date.today().isoformat(),
        **averaged_info([member.info for member in members]),
        "mean_of": f"the weights of {len(members)}: {', '.join(member.identity for member in members)}",
        "validation_data": f"{count} tracks of {args.validate.resolve().name}",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "valid_sdr": sdr,
    }
    save_checkpoint(folder, weights, preset, info, model_card(preset, info))
    print(f"SDR in dB on {info['validation_data']}, mean over tracks; of the members what their runs measured")
    print(_table({**{member.identity: member.info["valid_sdr"] for member in members}, "mean of weights": sdr}))
    print(f"written: {folder}")
    return 0


def check_members(members: Sequence[Checkpoint]) -> None:
    """Check that a mean makes sense: several networks, all built alike, with different weights.

    Raises:
        ValueError: it does not.
    """
    if len(members) < 2:
        raise ValueError(f"expected two or more checkpoints, got {members[0].identity}")
    first, hashes = members[0], [member.identity.rpartition("@")[2] for member in members]
    for member, weights in zip(members, hashes, strict=True):
        if (member.preset.architecture, member.preset.model) != (first.preset.architecture, first.preset.model):
            raise ValueError(f"expected one network, got {_difference(first, member)}")
        if "valid_sdr" not in member.info:
            raise ValueError(
                f"{member.identity}: expected a checkpoint of `models train`, got one without a validation SDR"
            )
        if hashes.count(weights) > 1:
            raise ValueError(f"expected different weights, got those of {member.identity} twice")


def mean_weights(members: Sequence[Checkpoint]) -> dict[str, Tensor]:
    """The mean of the networks' weights; of counters, which have no mean, those of the first.

    Source: Wortsman et al. 2022, "Model soups" (arXiv 2203.05482): it helps runs that began with the same weights.
    """
    states = [member.network.state_dict() for member in members]
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if value.is_floating_point() else value
        for name, value in states[0].items()
    }


def validate(separator: NetworkSeparator, excerpts: "Sequence[Excerpt] | tqdm[Excerpt]") -> dict[str, float]:
    """Mean global SDR of each stem over the excerpts in which it plays, in dB.

    Raises:
        ValueError: no stem plays in any.
    """
    scores: dict[str, list[float]] = {stem: [] for stem in separator.stems}
    for excerpt in excerpts:
        estimates = separator.separate(excerpt.mixture, excerpt.sample_rate)
        for stem, reference in excerpt.stems.items():
            if reference.any():
                scores[stem].append(float(global_sdr(reference, estimates[stem])))
    if not any(scores.values()):
        raise ValueError("--validate: expected a validation track with an audible stem, got only silent ones")
    return {stem: float(np.mean(of_tracks)) for stem, of_tracks in scores.items() if of_tracks}


def averaged_info(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How a mean of weights was trained: sums of steps and times, and every different text.

    The processor minutes in all count those before the runs once for all runs that began with the same weights.
    """
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(name for info in infos for name in info if name not in _OF_THE_MEAN):
        values = [info[name] for info in infos if name in info]
        merged[name] = sum(values) if name in _SUMMED else "; ".join(dict.fromkeys(str(value) for value in values))
    before = {info.get("began_with"): _minutes_before(info) for info in infos}
    return {**merged, "cpu_minutes_in_all": sum(before.values()) + sum(info.get("cpu_minutes", 0.0) for info in infos)}


def _minutes_before(info: Mapping[str, Any]) -> float:
    here = float(info.get("cpu_minutes", 0.0))
    return float(info.get("cpu_minutes_in_all", here)) - here


def _difference(first: Checkpoint, other: Checkpoint) -> str:
    """What differs in the networks of two checkpoints, in words."""
    pairs = [{"architecture": each.preset.architecture, **to_mapping(each.preset)["model"]} for each in (first, other)]
    name = next(name for name in {**pairs[0], **pairs[1]} if pairs[0].get(name) != pairs[1].get(name))
    values = [pair.get(name, "none") for pair in pairs]
    return f"model.{name} {values[0]} in {first.identity} and {values[1]} in {other.identity}"


def _table(rows: Mapping[str, Mapping[str, float]]) -> str:
    stems = list(dict.fromkeys(stem for row in rows.values() for stem in row))
    lines = [f"| | {' | '.join(stems)} | mean |", f"|---|{'---|' * (len(stems) + 1)}"]
    for name, row in rows.items():
        values = [f"{row[stem]:.3f}" if stem in row else "-" for stem in stems]
        lines.append(f"| {name} | {' | '.join(values)} | {np.mean(list(row.values())):.3f} |")
    return "\n".join(lines)
