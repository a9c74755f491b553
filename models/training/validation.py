"""Validation: the SDR of whole tracks that training never mixes."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from models.metrics import global_sdr
from models.separation.separator import NetworkSeparator
from models.signal.chunking import SeparateConfig
from models.training.data.packs import Pack, PackedTrack
from models.training.world import World

EXCERPT_S = 30.0


def sounding_stems(pack: Pack, stems: Sequence[str]) -> tuple[str, ...]:
    """Those of the stems that play in the validated part of any validation track; no other stem gets a score."""
    excerpts = [_excerpt(track, pack.sample_rate) for track in pack.split("valid")]
    known = [(stem, pack.stems.index(stem)) for stem in stems if stem in pack.stems]
    return tuple(stem for stem, place in known if any(excerpt[place].any() for excerpt in excerpts))


def check_validation(pack: Pack, stems: Sequence[str], metric: str) -> None:
    """Raise ValueError if the validation tracks cannot give the score that weights are chosen by.

    Args:
        pack: decoded tracks.
        stems: of the network.
        metric: ``mean`` of the stems, or one of them.
    """
    if not (sounding := sounding_stems(pack, stems)):
        raise ValueError(
            f"expected a validation track in which {' or '.join(stems)} plays, got {len(pack.split('valid'))} that are "
            "silent; name a folder with other validation tracks"
        )
    if metric not in ("mean", *sounding):
        raise ValueError(f"--metric: no validation track has {metric}; expected mean or {' or '.join(sounding)}")


def _excerpt(track: PackedTrack, sample_rate: int) -> np.ndarray:
    """The middle 30 s, stored integers [S, 2, T], a memory map."""
    stored, length = track.audio(), round(EXCERPT_S * sample_rate)
    start = max(0, (stored.shape[-1] - length) // 2)
    return stored[..., start : start + length]


def validation_sdr(
    network: nn.Module, pack: Pack, settings: SeparateConfig, world: World, only: Sequence[str] | None = None
) -> dict[str, float]:
    """Global SDR of each stem, mean over the validation tracks, in dB.

    The mixture is the sum of the stems. Of long tracks the middle 30 s are separated. A stem that is silent in a track
    does not count there; one that is silent in all of them is left out of the result.

    Args:
        network: mixture [B, 2, T] to ``Estimate``; returned in eval mode.
        pack: decoded tracks.
        settings: chunks of the separation.
        world: the processes that share the tracks out among them; all get the result.
        only: stems that are measured, all of the network's by default.
    """
    separator = NetworkSeparator(network, settings, world.device, only)
    scores: dict[str, list[float]] = {stem: [] for stem in separator.stems}
    for track in pack.split("valid")[world.rank :: world.size]:
        stems = _excerpt(track, pack.sample_rate) * np.float32(track.scale)
        estimates = separator.separate(stems.sum(axis=0), pack.sample_rate)
        for stem, estimate in estimates.items():
            reference = stems[pack.stems.index(stem)]
            if reference.any():
                scores[stem].append(float(global_sdr(reference, estimate)))
    gathered = world.gather(scores)
    everywhere = {stem: [score for part in gathered for score in part[stem]] for stem in separator.stems}
    return {stem: float(np.mean(values)) for stem, values in everywhere.items() if values}
