"""The command ``corrupt``: copies of data sets with mislabelled stems, or with stems that bleed.

python -m models corrupt --data MUSDB18-HQ --kind label-noise --out dirty --seed 0
"""

import argparse
import sys
from collections import Counter
from functools import partial

from tqdm import tqdm

from models.corruption.corrupt import DEFAULT_SHARE, corrupt_track
from models.corruption.data_set import data_set_folder, describe_tracks, link_track, make_track, source_tracks
from models.corruption.truth import TRUTH, read_track_truth, write_truth
from models.training.data.origin import read_origin, write_origin

SETTINGS = "corruption.json"


def run(args: argparse.Namespace) -> int:
    """Corrupt what is not there yet."""
    share = DEFAULT_SHARE[args.kind] if args.share is None else args.share
    if not 0 <= share <= 1:
        raise ValueError(f"--share: expected a probability in [0, 1], got {share}")
    if args.seed < 0:
        raise ValueError(f"--seed: expected at least 0, got {args.seed}")
    if not -60 <= args.level_db <= 20:
        raise ValueError(f"--level-db: expected -60 to 20 dB, got {args.level_db}")
    splits = source_tracks(args.data)
    settings = {
        "data": [str(root.resolve()) for root in args.data],
        "tracks": describe_tracks(splits),
        "kind": args.kind,
        "seed": args.seed,
        "share": share,
        "level_db": args.level_db if args.kind == "bleeding" else None,
    }
    with data_set_folder(args.out, SETTINGS, settings):
        write_origin(args.out, [f"{args.kind} of {' + '.join(read_origin(root) for root in args.data)}"])
        for split in ("valid", "test"):
            for track in splits[split]:
                link_track(track, args.out, split)
        made = 0
        for track in tqdm(splits["train"], "corrupt", unit="track", file=sys.stderr, disable=None):
            made += make_track(
                track, args.out, partial(corrupt_track, track, args.kind, args.seed, share, args.level_db)
            )
        truth = [stem for track in splits["train"] for stem in read_track_truth(args.out / "train" / track.name)]
        write_truth(args.out / TRUTH, truth)
    counts = Counter(stem.action for stem in truth)
    print(
        f"{args.out}: {len(splits['train'])} training tracks, {made} written now; "
        f"{sum(stem.is_dirty for stem in truth)} of {len(truth)} stems are dirty "
        f"({', '.join(f'{count} {action}' for action, count in sorted(counts.items()))}); "
        f"{len(splits['valid'])} validation and {len(splits['test'])} test tracks are links to the originals"
    )
    return 0
