"""The commands ``train`` and ``prepare``."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from models.checkpoints.checkpoint import find_checkpoint, load_checkpoint
from models.presets.preset import Preset, load_preset, preset_names, with_stems
from models.presets.settings import override, parse_assignments
from models.pseudo.lessons import Lessons
from models.pseudo.settings import POOL, SHARE, RunSettings, forget_pool, has_pool, read_settings
from models.running.arguments import check_at_least
from models.running.folder_lock import sole_writer
from models.tracks import check_stems, default_data_root
from models.training.data.packs import open_data, prepare_pack
from models.training.loop import train
from models.training.record.run_folder import SETTINGS, STATE
from models.training.world import World, join_world


def run_train(args: argparse.Namespace) -> int:
    """Train, or resume training; under ``torchrun``, together with the other processes."""
    if args.max_minutes is not None and not args.max_minutes > 0:
        raise ValueError(f"--max-minutes: expected minutes above 0, got {args.max_minutes}")
    check_at_least("workers", args.workers, 0)
    initial = find_checkpoint(args.init) if args.init else None
    preset = override(_first_preset(args, initial), parse_assignments(args.set))
    if args.stems:
        preset = with_stems(preset, _names(args.stems))
    _check_device(args.device)
    if args.threads is not None:
        _set_threads(args.threads)
    with join_world(args.device) as world, _sole_run(args.out, world):
        data = (_roots(args.data), args.out / "pack", preset.data.sources, preset.model.sample_rate)
        songs = _songs_without_stems(args, preset, world)
        if world.rank == 0:
            open_data(*data)  # decodes
        world.gather(None)
        pack = open_data(*data)
        result = train(
            preset,
            pack,
            args.out,
            max_minutes=args.max_minutes,
            resume=args.resume,
            initial=None if args.resume else initial,
            workers=args.workers,
            world=world,
            music=Lessons(preset, pack, args.out / POOL, songs, world) if songs else None,
        )
    if world.rank == 0:
        ending = "finished" if result.finished else "stopped; go on with --resume"
        print(
            f"{args.out}: {result.steps} steps, {result.minutes:.1f} minutes, "
            f"best validation SDR {result.best_sdr:.2f} dB; {ending}"
        )
    return 130 if result.interrupted else 0


def run_prepare(args: argparse.Namespace) -> int:
    """Decode data folders into a pack."""
    stems = tuple(stem.strip() for stem in args.stems.split(","))
    check_stems(stems, "--stems")
    if args.sample_rate < 1:
        raise ValueError(f"--sample-rate: expected at least 1 Hz, got {args.sample_rate}")
    pack = prepare_pack(_roots(args.data), args.out, stems, args.sample_rate)
    rendered = sum(track.rendered for track in pack.tracks)
    recorded, valid = len(pack.split("train")) - rendered, len(pack.split("valid"))
    also = f", {rendered} rendered tracks" if rendered else ""
    print(f"{args.out}: {recorded} training and {valid} validation tracks{also}")
    return 0


def _songs_without_stems(args: argparse.Namespace, preset: Preset, world: World) -> RunSettings | None:
    """What ``--unlabelled`` and its options say, kept in the run's folder."""
    if not args.unlabelled:
        if args.teacher or args.unlabelled_share is not None:
            raise ValueError("--teacher and --unlabelled-share: expected --unlabelled with them, got none")
        if args.resume and has_pool(args.out):
            raise ValueError(f"--resume: the run in {args.out} learns from songs without stems; add its --unlabelled")
        if not args.resume and world.rank == 0:
            forget_pool(args.out)
        return None
    if not (args.init or args.resume):
        raise ValueError("--unlabelled: expected --init, the weights that the student begins with, got none")
    share = SHARE if args.unlabelled_share is None else args.unlabelled_share
    teachers = args.teacher or ([args.init] if args.init else [])
    settings = read_settings(args.unlabelled, teachers, share, preset, args.out)
    if world.rank == 0:
        settings.keep(args.out, args.resume)
    return settings


@contextlib.contextmanager
def _sole_run(folder: Path, world: World) -> Iterator[None]:
    """Lock a run's folder for the processes that train together; the process of rank 0 holds the lock.

    Raises:
        ValueError: another run writes there; every process raises, so that none waits for the others.
    """
    with contextlib.ExitStack() as held:
        refusal = ""
        if world.rank == 0:
            try:
                held.enter_context(sole_writer(folder))
            except (ValueError, OSError) as error:
                refusal = str(error)
        if refusal := world.gather(refusal)[0]:
            raise ValueError(refusal)
        yield


def _first_preset(args: argparse.Namespace, initial: Path | None) -> Preset:
    """The settings that ``--set`` changes: those of ``--preset``, else of ``--init``, else of the run to resume."""
    if args.preset:
        return load_preset(args.preset)
    if initial:
        return load_checkpoint(initial).preset
    if args.resume:
        if not (args.out / STATE).is_file():
            raise FileNotFoundError(f"{args.out}: no run to resume; leave out --resume to start one")
        return load_preset(str(args.out / SETTINGS))
    raise ValueError(f"--preset: expected one of {', '.join(preset_names())} or a .yaml file (or --init), got none")


def _names(text: str) -> tuple[str, ...]:
    return tuple(stem.strip() for stem in text.split(","))


def _roots(data: list[str] | None) -> list[Path]:
    if data:
        return [Path(folder) for folder in data]
    root, message = default_data_root(None)
    print(message, file=sys.stderr)
    return [root]


def _check_device(device: str) -> None:
    import torch

    if device not in ("cpu", "cuda"):
        raise ValueError(f"--device: expected cpu or cuda, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device: expected cpu, as this machine has no usable GPU, got cuda")


def _set_threads(threads: int) -> None:
    import torch

    check_at_least("threads", threads, 1)
    torch.set_num_threads(threads)
