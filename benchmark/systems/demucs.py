"""Demucs through its own package: official weights by name, or a local folder of weights."""

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.weights import (
    EXTRA_DATA_FLAG,
    TEST_SET_FLAG,
    TEST_SET_NOTE,
    Source,
    download_weights,
    file_hash,
    torch_cache,
)
from benchmark.systems.interface import System, count_parameters, four_stems, separate_at
from models.running.hashes import sha256
from models.tracks import STEMS

OVERLAP = 0.25
"""Share of a segment that overlaps with the next one; Demucs's default."""
EXTRA_DATA_NOTES = {
    "htdemucs": "trained on 800 more songs",
    "htdemucs_ft": "trained on 800 more songs",
    "htdemucs_6s": "trained on 800 more songs; guitar and piano counted as other",
    "hdemucs_mmi": "trained on 800 more songs",
}


def resolve_demucs(name: str, variant: str, download: bool) -> Source | None:
    """Find the weights of an official name, or of a folder of `.th` files; None if the variant is neither.

    Args:
        name: the system's name in the run.
        variant: official name, folder, or folder/model.
        download: whether official weights may be downloaded.

    Raises:
        FileNotFoundError: the weights are missing.
        ValueError: the folder holds several models.
    """
    bags = official_bags()
    if variant in bags:
        files = _cached_demucs_files(variant, bags[variant])
        if not files and not download:
            raise FileNotFoundError(
                f"{name} has no weights on this machine: pass --download to fetch them,"
                " or demucs:FOLDER for a local copy"
            )
        if not files:
            from demucs.pretrained import get_model

            download_weights(name, lambda: get_model(variant))
            files = _cached_demucs_files(variant, bags[variant])
            if not files:
                raise FileNotFoundError(f"{name}: expected the downloaded files in the cache, got none; download again")
        checkpoint = f"{variant}@{file_hash(files)}"
        note, flag = _demucs_note(variant, bags[variant])
        return Source(name, f"Demucs ({variant})", "demucs official", variant, checkpoint, checkpoint, note, flag=flag)

    folder, wanted = Path(variant).expanduser(), ""
    if not folder.is_dir() and folder.parent.is_dir():
        folder, wanted = folder.parent, folder.name
    if not folder.is_dir() or not any(folder.glob("*.th")):
        return None
    models = _demucs_folder_models(folder)
    if not wanted and len(models) > 1:
        raise ValueError(
            f"{name}: expected one model, got {', '.join(models)} in {folder}; choose one as demucs:{folder}/NAME"
        )
    wanted = wanted or next(iter(models))
    if wanted not in models:
        raise FileNotFoundError(f"{name}: expected one of {', '.join(models)} in {folder}, got {wanted!r}")
    files = models[wanted]
    checkpoint = f"{wanted}@{file_hash(files)}"
    note, flag = _demucs_note(wanted, [file.name.split("-")[0].removesuffix(".th") for file in files])
    return Source(
        name,
        f"Demucs ({wanted}, local folder)",
        "demucs folder",
        f"{folder}/{wanted}",
        checkpoint,
        checkpoint,
        note,
        f"{folder}: .th files are unpickled, which can run code in them; use only files that you trust",
        flag,
    )


def _demucs_remote() -> Path:
    spec = importlib.util.find_spec("demucs")  # importing it would take seconds
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the demucs package is not installed: pip install demucs")
    return Path(spec.origin).parent / "remote"


def official_bags() -> dict[str, list[str]]:
    """Signatures of the models of each official name, from the list in the installed package."""
    import yaml

    return {
        file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))["models"]
        for file in sorted(_demucs_remote().glob("*.yaml"))
    }


def _demucs_note(name: str, signatures: list[str]) -> tuple[str, str]:
    """Note and flag of a model, by its name or by the signatures of its parts."""
    bags = official_bags()
    seen = {signature for bag in ("mdx_extra", "mdx_extra_q") for signature in bags.get(bag, ())}
    if name.startswith("mdx_extra") or seen & set(signatures):
        return TEST_SET_NOTE, TEST_SET_FLAG
    note = EXTRA_DATA_NOTES.get(name, "")
    return note, EXTRA_DATA_FLAG if note else ""


def _cached_demucs_files(name: str, signatures: list[str]) -> list[Path]:
    """The weights of an official name in the Hugging Face cache, or else in torch's; empty if one is missing."""
    from demucs.hf import DEFAULT_NAMESPACE, hf_repo_name
    from huggingface_hub import try_to_load_from_cache

    repository = f"{DEFAULT_NAMESPACE}/{hf_repo_name(name)}"
    names = [f"{name}.yaml", *(f"{signature}.safetensors" for signature in signatures)]
    cached = [try_to_load_from_cache(repository, file) for file in names]
    if all(isinstance(file, str) for file in cached):
        return [Path(str(file)) for file in cached]
    lines = (_demucs_remote() / "files.txt").read_text(encoding="utf-8").split()
    listed = {line.split("-")[0]: line for line in lines if line.endswith(".th")}
    files = [torch_cache() / listed.get(signature, "unknown") for signature in signatures]
    return files if all(file.is_file() for file in files) else []


def _demucs_folder_models(folder: Path) -> dict[str, list[Path]]:
    """The models in a folder and their files: its bags, or if there are none, its single models."""
    import yaml

    single = {file.stem.rsplit("-", 1)[0]: file for file in sorted(folder.glob("*.th"))}
    bags: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.yaml")):
        bag = yaml.safe_load(file.read_text(encoding="utf-8"))
        signatures = bag.get("models", []) if isinstance(bag, dict) else []
        if not signatures:
            continue
        missing = [signature for signature in signatures if signature not in single]
        if missing:
            raise FileNotFoundError(
                f"{file}: expected {missing[0]}.th in the same folder, got none; the file names {', '.join(missing)}"
            )
        bags[file.stem] = [file, *(single[signature] for signature in signatures)]
    return bags or {signature: [file] for signature, file in single.items()}


class DemucsSystem:
    """A Demucs of any version, through its own `apply_model`.

    The mixture is normalised first, as in `demucs.api`. The random time shift is left out, so that runs are
    reproducible.

    Attributes:
        stems, sample_rate, parameters: see System.
    """

    def __init__(self, model: Any, device: str) -> None:
        self._model, self._device = model.eval(), device
        self.sample_rate = int(model.samplerate)
        self.stems = tuple(stem for stem in STEMS if stem in model.sources)
        self.parameters = count_parameters(model)

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System."""
        return separate_at(self.sample_rate, self._model.audio_channels, self._separate, mixture, sample_rate)

    def gmacs_per_second(self) -> float:
        """See Counted; the sum over the models of a bag."""
        from models.macs import count_macs

        total = 0.0
        for model in getattr(self._model, "models", [self._model]):
            length = int(float(model.segment) * model.samplerate)
            macs = count_macs(lambda model=model: model.cpu(), length, model.audio_channels)  # type: ignore[misc]
            total += macs / ((1 - OVERLAP) * length) * model.samplerate / 1e9
        self._model.eval()
        return total

    def _separate(self, mixture: Any) -> dict[str, Any]:
        import torch
        from demucs.apply import apply_model

        num_samples = mixture.shape[-1]
        mono = mixture.mean(0)
        mean, scale = mono.mean(), mono.std(correction=0) + 1e-8
        audio = (mixture - mean) / scale
        # Its norm layers fail if the deepest layer has a single frame, so the input is at least a second long.
        audio = torch.nn.functional.pad(audio, (0, max(0, self.sample_rate - num_samples)))
        with torch.inference_mode():
            output = apply_model(self._model, audio[None], shifts=0, overlap=OVERLAP, device=self._device)
        output = output[0, ..., :num_samples]
        return four_stems(dict(zip(self._model.sources, output * scale + mean, strict=True)))


def load_demucs_folder(location: str, device: str) -> System:
    """Load the model folder/model. It unpickles, so the folder must be one that the user named.

    Raises:
        ValueError: it is not a Demucs model, or its file is damaged.
    """
    from demucs.pretrained import get_model
    from demucs.repo import ModelLoadingError

    folder, _, name = location.rpartition("/")
    try:
        model = get_model(name, repo=Path(folder))
    except ModelLoadingError as error:
        raise ValueError(f"{location}: {error}") from error
    except (KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{location}: expected a Demucs model, got another ({str(error).splitlines()[0]})") from error
    return DemucsSystem(model, device)


def load_demucs_official(name: str, device: str) -> System:
    """Load an official model from the caches; a file is unpickled only if its hash is the one that Demucs lists.

    Raises:
        FileNotFoundError: it is no longer in the cache.
        ValueError: a file is damaged.
    """
    import yaml
    from demucs.apply import BagOfModels
    from demucs.hf import load_safetensors_model
    from demucs.states import load_model

    signatures = official_bags()[name]
    files = _cached_demucs_files(name, signatures)
    if not files:
        raise FileNotFoundError(f"demucs:{name}: its weights are no longer in the cache; pass --download again")
    description = files.pop(0) if files[0].suffix == ".yaml" else _demucs_remote() / f"{name}.yaml"
    bag = yaml.safe_load(description.read_text(encoding="utf-8"))
    for file in files:
        expected = file.stem.partition("-")[2] if file.suffix == ".th" else ""
        if expected and not sha256(file).startswith(expected):
            raise ValueError(f"{file}: damaged download, its hash is not {expected}; delete it and pass --download")
    models = [load_safetensors_model(file) if file.suffix == ".safetensors" else load_model(file) for file in files]
    return DemucsSystem(BagOfModels(models, bag.get("weights"), bag.get("segment")), device)
