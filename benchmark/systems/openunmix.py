"""Open-Unmix through its own package: official weights by name, or a local folder that its trainer wrote."""

import json
import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.weights import EXTRA_DATA_FLAG, Source, download_weights, file_hash, torch_cache
from benchmark.systems.interface import System, count_parameters, separate_at
from models.tracks import STEMS

OFFICIAL_FILES = {
    "umx": (3370486, ("vocals-c8df74a5", "drums-5a48008b", "bass-646024d3", "other-f8e132cc")),
    "umxhq": (3370489, ("vocals-b62c91ce", "drums-9619578f", "bass-8d85a5bd", "other-b52fbbf7")),
    "umxl": (5069601, ("vocals-bccbd9aa", "drums-69e0ebd4", "bass-2ca1ce51", "other-c8c5b3e6")),
}
"""Zenodo record and weight files of Open-Unmix's official models, as in openunmix 1.3.0."""
EXTRA_DATA_NOTES = {"umxl": "trained on about 400 h of other music"}


def resolve_openunmix(name: str, variant: str, download: bool) -> Source | None:
    """Find the weights of an official name, or of a folder with a `separator.json`; None if the variant is neither.

    Args:
        name: the system's name in the run.
        variant: official name or folder.
        download: whether official weights may be downloaded.

    Raises:
        FileNotFoundError: the weights are missing.
    """
    if variant in OFFICIAL_FILES:
        files = _openunmix_official_files(variant)
        missing = [file for file in files if not file.is_file()]
        if missing and not download:
            raise FileNotFoundError(
                f"{name} has no weights on this machine: pass --download to fetch them,"
                " or openunmix:FOLDER for a local copy"
            )
        for file in missing:
            download_weights(name, partial(_download_openunmix, variant, file))
        checkpoint = f"{variant}@{file_hash(files)}"
        note = EXTRA_DATA_NOTES.get(variant, "")
        flag = EXTRA_DATA_FLAG if note else ""
        label = f"Open-Unmix ({variant})"
        return Source(name, label, "openunmix official", variant, checkpoint, checkpoint, note, flag=flag)
    folder = Path(variant).expanduser()
    if not (folder / "separator.json").is_file():
        return None
    files = [file for pair in _openunmix_folder_files(folder).values() for file in pair]
    checkpoint = f"{folder.resolve().name}@{file_hash(files)}"
    digest = file_hash([folder / "separator.json", *files])
    return Source(
        name, f"Open-Unmix ({folder.resolve().name}, local folder)", "openunmix folder", str(folder), checkpoint, digest
    )


def _openunmix_official_files(name: str) -> list[Path]:
    return [torch_cache() / f"{file}.pth" for file in OFFICIAL_FILES[name][1]]


def _download_openunmix(name: str, file: Path) -> None:
    import torch

    file.parent.mkdir(parents=True, exist_ok=True)
    url = f"https://zenodo.org/records/{OFFICIAL_FILES[name][0]}/files/{file.name}"
    torch.hub.download_url_to_file(url, str(file), hash_prefix=file.stem.rpartition("-")[2])


def _openunmix_folder_files(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Description and weights of each stem in a folder, with the file names of Open-Unmix's trainer."""
    pairs: dict[str, tuple[Path, Path]] = {}
    for stem in STEMS:
        weights = sorted([*folder.glob(f"{stem}.pth"), *folder.glob(f"{stem}-*.pth")])
        if not (folder / f"{stem}.json").is_file() and not weights:
            continue
        if not (folder / f"{stem}.json").is_file() or len(weights) != 1:
            raise FileNotFoundError(
                f"{folder}: expected {stem}.json and one {stem}.pth or {stem}-HASH.pth, got {len(weights)} weight files"
            )
        pairs[stem] = (folder / f"{stem}.json", weights[0])
    if not pairs:
        raise FileNotFoundError(
            f"{folder}: expected T.json and T.pth for some T of {', '.join(STEMS)} beside separator.json, got none"
        )
    return pairs


class OpenUnmixSystem:
    """An Open-Unmix separator: one network for each stem, and its Wiener filter (one iteration, its default).

    Attributes:
        stems, sample_rate, parameters: see System.
    """

    def __init__(self, separator: Any, num_channels: int, n_fft: int, device: str) -> None:
        separator.freeze()
        if len(separator.target_models) == 1:
            separator.niter = 0  # the filter needs several stems
        self._separator, self._device = separator.to(device), device
        self._num_channels, self._n_fft = num_channels, n_fft
        self.sample_rate = int(separator.sample_rate)
        self.stems = tuple(separator.target_models)
        self.parameters = count_parameters(separator)

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System."""
        return separate_at(self.sample_rate, self._num_channels, self._separate, mixture, sample_rate)

    def gmacs_per_second(self) -> float:
        """See Counted. A song is separated in one piece, without overlap; the Wiener filter does not count."""
        from models.macs import count_macs

        device = next(self._separator.parameters()).device
        self._separator.cpu()
        seconds = 10
        macs = count_macs(lambda: self._separator, seconds * self.sample_rate, self._num_channels)
        self._separator.to(device).eval()
        return macs / seconds / 1e9

    def _separate(self, mixture: Any) -> dict[str, Any]:
        import torch

        num_samples = mixture.shape[-1]  # its STFT mirrors half a window at the edges
        padded = torch.nn.functional.pad(mixture, (0, max(0, self._n_fft - num_samples)))
        with torch.inference_mode():
            output = self._separator(padded[None].to(self._device))[0, ..., :num_samples].cpu()
        return dict(zip(self.stems, output, strict=True))


def load_openunmix_folder(location: str, device: str) -> System:
    """Load the models of a folder.

    Raises:
        ValueError: its files are damaged or do not fit together, or hold more than weights.
    """
    from openunmix.model import OpenUnmix, Separator

    folder = Path(location)
    try:
        settings = json.loads((folder / "separator.json").read_text(encoding="utf-8"))
        num_channels, n_fft = settings["nb_channels"], settings["nfft"]
        targets = {}
        for stem, (description, weights) in _openunmix_folder_files(folder).items():
            arguments = json.loads(description.read_text(encoding="utf-8"))["args"]
            state = _torch_weights(weights)
            targets[stem] = OpenUnmix(
                nb_bins=arguments["nfft"] // 2 + 1,
                nb_channels=arguments["nb_channels"],
                hidden_size=arguments["hidden_size"],
                max_bin=state["input_mean"].shape[0],
            )
            _load_openunmix_state(targets[stem], state, weights)
        separator = Separator(
            targets,
            niter=1,
            sample_rate=settings["sample_rate"],
            n_fft=n_fft,
            n_hop=settings["nhop"],
            nb_channels=num_channels,
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder}: expected a folder of Open-Unmix models, got another ({error!r})") from error
    return OpenUnmixSystem(separator, num_channels, n_fft, device)


def load_openunmix_official(name: str, device: str) -> System:
    """Load an official model from torch's cache.

    Raises:
        ValueError: a file is damaged.
    """
    import openunmix

    separator = getattr(openunmix, name)(pretrained=False)
    for stem, file in zip(STEMS, _openunmix_official_files(name), strict=True):
        _load_openunmix_state(separator.target_models[stem], _torch_weights(file), file)
    return OpenUnmixSystem(separator, 2, 4096, device)


def _load_openunmix_state(network: Any, state: Mapping[str, Any], file: Path) -> None:
    # Files of older releases also hold STFT buffers, which the network no longer has.
    try:
        missing = [key for key in network.load_state_dict(state, strict=False).missing_keys if "num_batches" not in key]
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{file}: expected weights that fit its description, got others ({reason})") from error
    if missing:
        raise ValueError(f"{file}: expected weights of an Open-Unmix, got none named {missing[0]}")


def _torch_weights(file: Path) -> dict[str, Any]:
    """Load a state dict of tensors; any other content is refused and not run."""
    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0][:120]
        raise ValueError(f"{file}: expected a file of weights only, got another ({reason})") from error
