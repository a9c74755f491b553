"""The commands `import` and `catalog`: public weights into a checkpoint, and the list of public weights.

python -m models import weights/simo/separator.ckpt --out oBSRNN-SIMO
python -m models import vocals.pt --format amanteur --out out/amanteur-vocals
python -m models catalog
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from models.checkpoints.checkpoint import CARD, CHECKPOINT_FOLDER, CONFIG, WEIGHTS, save_checkpoint
from models.importing import amanteur, crlandsc, magronp
from models.importing.card import facts, import_card
from models.importing.catalog import describe, find_entry
from models.importing.download import read_record
from models.importing.files import NetworkFiles, find_files
from models.importing.untrusted import UntrustedFile
from models.importing.weights import Weights
from models.macs import gmacs_per_second
from models.presets.preset import ARCHITECTURES, Preset
from models.presets.training import DataConfig, TrainConfig
from models.public.several import SeveralConfig
from models.running.hashes import sha256
from models.signal.chunking import SeparateConfig
from models.tracks import check_stems


class Layout(Protocol):
    """How one codebase stores weights; each layout is a module of ``models.importing``."""

    NAME: str
    OVERLAP: float

    def fits(self, weights: Weights) -> bool:
        """Whether the weights have this layout's names."""
        ...

    def read(self, weights: Weights, stems: tuple[str, ...] | None) -> tuple[Any, dict[str, Tensor]]:
        """A network's configuration and its weights under our names."""
        ...

    def combine(self, networks: list[Any]) -> Any:
        """The configuration of a checkpoint of several networks."""
        ...


LAYOUTS: Mapping[str, Layout] = {layout.NAME: layout for layout in (magronp, crlandsc, amanteur)}


def run_catalog(args: argparse.Namespace) -> int:
    """Print the catalog of public weights."""
    print(describe())
    return 0


def run_import(args: argparse.Namespace) -> int:
    """Import weights, and print what the checkpoint is and what it costs."""
    stems = tuple(stem.strip() for stem in args.stems.split(",")) if args.stems else None
    folder = output_folder(args.out)
    info, preset = import_checkpoint(args.paths, folder, args.format, stems)
    print(
        f"{folder}: {', '.join(preset.model.stems)} by {info['code']}, "
        f"{info['parameters'] / 1e6:.1f} M weights, {info['gmacs_per_second']:g} GMAC for a second of audio; "
        f"licence: {info['licence']}; training data: {info['training_data']}"
    )
    return 0


def output_folder(name_or_folder: str) -> Path:
    """The folder of `--out`: a path if it has a slash or is an existing folder, else a name in `checkpoints/`."""
    path = Path(name_or_folder)
    return path if os.sep in name_or_folder or path.is_dir() or path.is_absolute() else CHECKPOINT_FOLDER / path


def import_checkpoint(
    paths: Sequence[Path], folder: Path, layout_name: str = "auto", stems: tuple[str, ...] | None = None
) -> tuple[dict[str, Any], Preset]:
    """Read public weights and write a checkpoint of ours.

    Args:
        paths: files, or folders of them.
        folder: made if absent; an older checkpoint in it is replaced.
        layout_name: a key of `LAYOUTS`, or "auto" to find it by the names of the weights.
        stems: in the order of the networks; by default those in the files or their names.

    Returns:
        The information about the checkpoint, and its settings.

    Raises:
        FileNotFoundError: a file is absent.
        ValueError: a file is not of this layout, damaged or malicious; or the folder holds other files.
    """
    _check_folder(folder)
    files = find_files(paths)
    networks: list[Any] = []
    weights: dict[str, Tensor] = {}
    layout: Layout | None = None
    left = list(stems) if stems else None
    for index, each in enumerate(files):
        with contextlib.ExitStack() as stack:
            found = Weights([stack.enter_context(UntrustedFile(path)) for path in each.paths])
            layout = _layout(layout_name, found) if layout is None else layout
            if not layout.fits(found):
                raise ValueError(f"{found.path}: expected weights of the layout {layout.NAME}, got {found.sample()}")
            config, values = layout.read(found, _stem_names(each, left, len(files) - index))
            left = left[len(config.stems) :] if left else None
            weights |= {f"networks.{index}.{name}": value.contiguous() for name, value in values.items()}
            networks.append(config)
    assert layout is not None  # find_files returns at least one
    preset = _preset(layout, networks)
    _check_names(preset, weights)
    entry = find_entry(folder.name)
    entry = entry if entry and entry.layout == layout.NAME and set(entry.stems) == set(preset.model.stems) else None
    digests = {path.name if len(files) == 1 else str(path): sha256(path) for each in files for path in each.paths}
    digests = {os.path.join(*Path(name).parts[-2:]): digest for name, digest in digests.items()}
    info = facts(folder.name, preset, digests, entry, gmacs_per_second(preset, overlapped=True))
    if fetched := _addresses(files, set(digests.values())):
        info["source"] = ", ".join(fetched)
    save_checkpoint(folder, weights, preset, info, import_card(preset, info), torch.float32)
    return info, preset


def _layout(name: str, weights: Weights) -> Layout:
    if name != "auto":
        return LAYOUTS[name]
    fitting = [layout for layout in LAYOUTS.values() if layout.fits(weights)]
    if not fitting:
        raise ValueError(
            f"{weights.path}: expected weights of {', '.join(LAYOUTS)}, got names such as {weights.sample()}"
        )
    if len(fitting) > 1:
        names = " and ".join(layout.NAME for layout in fitting)
        raise ValueError(
            f"{weights.path}: weights of {names} have the same names and shapes, but order the mask differently; "
            f"choose the code that trained them: {' or '.join(f'--format {layout.NAME}' for layout in fitting)}"
        )
    return fitting[0]


def _stem_names(files: NetworkFiles, left: list[str] | None, networks_left: int) -> tuple[str, ...] | None:
    """The stems of a network: the next given name, or all remaining ones for the last network; else the file's stem."""
    if left:
        return tuple(left if networks_left == 1 else left[:1])
    return (files.stem,) if files.stem else None


def _addresses(files: Sequence[NetworkFiles], digests: set[str]) -> list[str]:
    """Where `python -m models download` got these files from."""
    records = [read_record(path.parent).get(path.name) for each in files for path in each.paths]
    return [record["url"] for record in records if record and record["sha256"] in digests]


def _preset(layout: Layout, networks: list[Any]) -> Preset:
    model: SeveralConfig = layout.combine(networks)
    check_stems(model.stems, "stems of these weights")  # they become file names
    segment_s = getattr(layout, "SEGMENT_S", None) or networks[0].num_samples / networks[0].sample_rate
    data = DataConfig(sources=_sources(model.stems), crop_s=min(3.0, segment_s), crops="random", channels=2)
    train = TrainConfig(batch=2, lr=1e-4, validate_every=500)
    separate = SeparateConfig(segment_s=segment_s, overlap=layout.OVERLAP, batch=1)
    return Preset(layout.NAME, model, data, train, separate)  # type: ignore[arg-type]


def _sources(stems: tuple[str, ...]) -> tuple[str, ...]:
    """Sources of a mixture for fine-tuning: the four usual stems, or the network's own if it has others."""
    usual = DataConfig.sources
    return usual if set(stems) <= set(usual) else stems


def _check_names(preset: Preset, weights: Mapping[str, Tensor]) -> None:
    """Check that weights and network have the same names and shapes; a difference is a bug in the layout's reader."""
    with torch.device("meta"):
        network = ARCHITECTURES[preset.architecture][1](preset.model)
    wanted = {name: value.shape for name, value in network.state_dict().items()}
    got = {name: value.shape for name, value in weights.items()}
    assert wanted == got, sorted(set(wanted.items()) ^ set(got.items()))[:4]


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {WEIGHTS, CONFIG, CARD}):
        raise ValueError(f"--out {folder}: expected a new folder or an older checkpoint, got other files")
    if folder.is_dir() and any(folder.iterdir()):
        print(f"{folder}: replacing the checkpoint there", file=sys.stderr)
