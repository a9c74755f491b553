"""Validation: the SDR of whole tracks that training never mixes."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from models.metrics import global_sdr
from models.separation.separator import NetworkSeparator
from models.signal.chunking import SeparateConfig
from models.training.data.packs import Pack, PackedTrack
from models.training.record.track_scores import TrackScores
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


def track_sdr(
    network: nn.Module, pack: Pack, settings: SeparateConfig, world: World, only: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """Global SDR of each stem of each validation track, in dB.

    The mixture is the sum of the stems. Of long tracks the middle 30 s are separated. A stem that is silent in a track
    has no score there.

    Args:
        network: mixture [B, 2, T] to ``Estimate``; returned in eval mode.
        pack: decoded tracks.
        settings: chunks of the separation.
        world: the processes that share the tracks out among them; all get the result.
        only: stems that are measured, all of the network's by default.

    Returns:
        The stems of each track, in the pack's order. The second track of a name is called ``NAME (2)``.
    """
    separator = NetworkSeparator(network, settings, world.device, only)
    tracks = pack.split("valid")
    names = [track.name for track in tracks]
    scores: dict[int, dict[str, float]] = {}
    for place in range(world.rank, len(tracks), world.size):
        stems = _excerpt(tracks[place], pack.sample_rate) * np.float32(tracks[place].scale)
        estimates = separator.separate(stems.sum(axis=0), pack.sample_rate)
        references = {stem: stems[pack.stems.index(stem)] for stem in estimates}
        sounding = (stem for stem in estimates if references[stem].any())
        scores[place] = {stem: float(global_sdr(references[stem], estimates[stem])) for stem in sounding}
    everywhere = {place: each for part in world.gather(scores) for place, each in part.items()}
    earlier = [names[:place].count(name) for place, name in enumerate(names)]
    return {
        f"{name} ({count + 1})" if count else name: everywhere[place]
        for place, (name, count) in enumerate(zip(names, earlier, strict=True))
    }


def mean_over_tracks(scores: TrackScores) -> dict[str, float]:
    """SDR of each stem, mean over the tracks that it plays in, dB; a stem that plays in none is left out."""
    stems = dict.fromkeys(stem for track in scores.values() for stem in track)
    return {stem: float(np.mean([track[stem] for track in scores.values() if stem in track])) for stem in stems}


def validation_sdr(
    network: nn.Module, pack: Pack, settings: SeparateConfig, world: World, only: Sequence[str] | None = None
) -> dict[str, float]:
    """Global SDR of each stem, mean over the validation tracks, in dB; see ``track_sdr``."""
    return mean_over_tracks(track_sdr(network, pack, settings, world, only))
