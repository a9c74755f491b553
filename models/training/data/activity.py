"""Source activity detection: where in a track a stem plays, so that training does not learn from its silence.

Source: Luo & Yu 2022, section 4.1. Differs: energies are root mean squares over both channels (the paper does not say);
what remains after the last whole segment is left out; a track shorter than a segment is one segment of ten chunks.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from models.running import atomic
from models.training.data.packs import Pack

INDEX = "salient.json"
SEGMENT_S = 6.0
CHUNKS = 10
"""Parts of a segment; segments overlap by half of them."""
SILENT_ENERGY = 1e-5
"""What a chunk without energy counts as."""
QUANTILE = 0.15
FLOOR = 1e-3
KEPT_SHARE = 0.5
"""Share of a segment's chunks that must exceed the threshold, exclusive."""


def segment_length(num_samples: int, sample_rate: int) -> int:
    """Samples in a segment of a track."""
    return CHUNKS * min(round(SEGMENT_S / CHUNKS * sample_rate), num_samples // CHUNKS)


def salient_starts(audio: np.ndarray, sample_rate: int, scale: float = 1.0) -> list[int]:
    """First samples of the segments in which a stem plays.

    A chunk is active if its energy exceeds max(15 % quantile over all chunks of the track, 1e-3); a segment is salient
    if more than half of its chunks are active.

    Args:
        audio: [C, T], the whole track.
        sample_rate: Hz.
        scale: what one unit of ``audio`` is worth.
    """
    chunk = segment_length(audio.shape[-1], sample_rate) // CHUNKS
    if not chunk:
        return []
    starts = range(0, audio.shape[-1] - chunk + 1, chunk)
    squares = [np.mean(np.square(audio[:, start : start + chunk], dtype=np.float64)) for start in starts]
    energies = np.maximum(scale * np.sqrt(squares), SILENT_ENERGY)
    active = energies > max(np.quantile(energies, QUANTILE), FLOOR)
    firsts = range(0, len(active) - CHUNKS + 1, CHUNKS // 2)
    return [first * chunk for first in firsts if active[first : first + CHUNKS].mean() > KEPT_SHARE]


def salient_index(pack: Pack) -> dict[str, list[list[int]]]:
    """The salient segments of a pack's training tracks, found once and then kept in the pack's folder.

    Returns:
        For the name of each track's file, the first samples of the salient segments of each stem.
    """
    path = pack.folder / INDEX
    known = _read(path, pack)
    tracks = pack.split("train")
    new = [track for track in tracks if track.path.name not in known]
    for track in tqdm(new, desc="find active parts", unit="track", file=sys.stderr, disable=None if new else True):
        known[track.path.name] = [salient_starts(stem, pack.sample_rate, track.scale) for stem in track.audio()]
    if new:
        text = json.dumps({"rule": _rule(pack), "tracks": known})
        try:
            atomic.write_text(path, text)
        except OSError as error:
            print(f"{path}: not kept, and to be found again next time ({error})", file=sys.stderr)
    return {track.path.name: known[track.path.name] for track in tracks}


def _rule(pack: Pack) -> dict[str, Any]:
    """What the segments follow from, beside the audio, whose fingerprint is its file's name."""
    rule = {"segment_s": SEGMENT_S, "chunks": CHUNKS, "silent": SILENT_ENERGY, "quantile": QUANTILE, "floor": FLOOR}
    return {**rule, "kept_share": KEPT_SHARE, "stems": list(pack.stems), "sample_rate": pack.sample_rate}


def _read(path: Path, pack: Pack) -> dict[str, list[list[int]]]:
    try:
        stored = json.loads(path.read_text())
        return dict(stored["tracks"]) if stored["rule"] == _rule(pack) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
