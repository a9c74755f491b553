"""Validation: the SDR of whole tracks that training never mixes."""

import numpy as np
from torch import nn

from models.chunking import SeparateConfig
from models.metrics import global_sdr
from models.separator import NetworkSeparator
from models.training.packs import Pack
from models.training.world import World

EXCERPT_S = 30.0


def validation_sdr(network: nn.Module, pack: Pack, settings: SeparateConfig, world: World) -> dict[str, float]:
    """Global SDR of each stem, mean over the validation tracks, in dB.

    The mixture is the sum of the stems. Of long tracks the middle 30 s are separated. A stem that is silent in a track
    does not count there; one that is silent in all of them is left out of the result.

    Args:
        network: mixture [B, 2, T] to ``Estimate``; returned in eval mode.
        pack: decoded tracks.
        settings: chunks of the separation.
        world: the processes that share the tracks out among them; all get the result.
    """
    separator = NetworkSeparator(network, settings, world.device)
    excerpt = round(EXCERPT_S * pack.sample_rate)
    scores: dict[str, list[float]] = {stem: [] for stem in separator.stems}
    for track in pack.split("valid")[world.rank :: world.size]:
        stored = track.audio()
        start = max(0, (stored.shape[-1] - excerpt) // 2)
        stems = stored[..., start : start + excerpt] * np.float32(track.scale)
        estimates = separator.separate(stems.sum(axis=0), pack.sample_rate)
        for stem, estimate in estimates.items():
            reference = stems[pack.stems.index(stem)]
            if reference.any():
                scores[stem].append(float(global_sdr(reference, estimate)))
    gathered = world.gather(scores)
    everywhere = {stem: [score for part in gathered for score in part[stem]] for stem in separator.stems}
    return {stem: float(np.mean(values)) for stem, values in everywhere.items() if values}
