"""Builds the repository to push: the kit's layout with our class, its weights, and what the grader installs."""

import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.checkpoints.checkpoint import CARD, CHECKPOINT_FOLDER, CONFIG, WEIGHTS, find_checkpoint
from models.ensembles.config import member_shares, read_ensemble, write_ensemble
from models.presets.preset import preset_from_mapping
from submission.package.contents import reached_code
from submission.package.user_config import USER_CONFIG, read_checkpoints, write_checkpoints
from submission.predictor.ensemble_weights import ENSEMBLE_FILE
from submission.rules.challenge import INSTRUMENTS
from submission.rules.data_flags import flags, read_info

PEERS = ("openunmix", "hdemucs")
"""Architectures that other packages build."""
KIT = Path("submission/package/kit")
REQUIREMENTS = Path("submission/requirements.txt")
PLAIN_FILES = {
    "aicrowd.json": "aicrowd.json",
    "apt.txt": "apt.txt",
    str(REQUIREMENTS): "requirements.txt",
    "LICENSE": "submission/LICENSE",
    str(KIT / "SUBMIT.md"): "SUBMIT.md",
    str(KIT / "gitattributes"): ".gitattributes",
    str(KIT / "dockerignore"): ".dockerignore",
    str(KIT / "my_submission/__init__.py"): "my_submission/__init__.py",
    str(KIT / "my_submission/aicrowd_wrapper.py"): "my_submission/aicrowd_wrapper.py",
}
"""Files that are copied as they are: where they lie here, and in the package."""


def is_source(folder: Path) -> bool:
    """Whether a folder is a Bandsplit repository, out of which a package can be built, rather than a package."""
    return (folder / KIT / USER_CONFIG).is_file()


def build(source: Path, out: Path) -> list[str]:
    """Write the package of a repository with the checkpoints that its `user_config.py` names, whatever state it is in.

    Args:
        source: a Bandsplit repository.
        out: an empty folder.

    Returns:
        The files that should be there and are not, relative to `source`.

    Raises:
        ValueError: `user_config.py` does not say which checkpoints in a way that can be read.
    """
    wanted = {Path(here): Path(there) for here, there in PLAIN_FILES.items()}
    wanted |= {path: path for path in reached_code(source)}
    user_config = source / KIT / USER_CONFIG
    ensemble, fallbacks = read_checkpoints(user_config.read_text(encoding="utf-8"))
    for name in (*ensemble, *fallbacks):
        wanted |= {path: path for path in (Path("checkpoints", name, file) for file in (WEIGHTS, CONFIG, CARD))}
    if (source / ENSEMBLE_FILE).is_file():
        wanted[ENSEMBLE_FILE] = ENSEMBLE_FILE
    wanted[KIT / USER_CONFIG] = USER_CONFIG
    missing = []
    for here, there in wanted.items():
        if not (source / here).is_file():
            missing.append(str(here))
            continue
        (out / there).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / here, out / there)
    if (source / "Dockerfile").is_file():
        text = (source / "Dockerfile").read_text(encoding="utf-8").replace(str(REQUIREMENTS), "requirements.txt")
        (out / "Dockerfile").write_text(text, encoding="utf-8")
    else:
        missing.append("Dockerfile")
    return sorted(missing)


def replace_checkpoints(package: Path, checkpoints: Sequence[str]) -> None:
    """Put other weights into a package: the ensemble is these, and `aicrowd.json` says what they have heard.

    The fallbacks stay if the flags allow it: weights that have heard more than the ensemble would move the submission
    to another leaderboard.

    Args:
        package: what `build` made.
        checkpoints: names of checkpoints that ship, or folders; or one ensemble's YAML, whose weights go with them.

    Raises:
        FileNotFoundError: no such checkpoint.
        ValueError: a checkpoint is not ours, together they do not have all instruments, or the YAML does not fit.
    """
    user_config = (package / USER_CONFIG).read_text(encoding="utf-8")
    shipped, fallbacks = read_checkpoints(user_config)
    ensemble = read_ensemble(checkpoints)
    folders = [find_checkpoint(name).resolve() for name in ensemble.checkpoints]
    infos = [read_info(folder) for folder in folders]
    member_shares(ensemble, _checked_stems(folders))
    wanted = flags(infos)
    names: list[str] = []
    for folder in folders:
        names.append(_name(folder, [*names, *fallbacks]))
    # A fallback that is the whole ensemble is none.
    spares = [name for name in fallbacks if [name] != names]
    kept = [name for name in spares if flags([*infos, read_info(package / "checkpoints" / name)]) == wanted]
    for name in {*shipped, *fallbacks} - set(kept):
        shutil.rmtree(package / "checkpoints" / name)
    for name, folder in zip(names, folders, strict=True):
        (package / "checkpoints" / name).mkdir(parents=True, exist_ok=True)
        for file in (WEIGHTS, CONFIG, CARD):
            shutil.copyfile(folder / file, package / "checkpoints" / name / file)
    (package / ENSEMBLE_FILE).unlink(missing_ok=True)
    if ensemble.weights:
        weighted = replace(ensemble, checkpoints=tuple(names))
        write_ensemble(package / ENSEMBLE_FILE, weighted, "weights of the ensemble of user_config.py")
    (package / USER_CONFIG).write_text(write_checkpoints(user_config, names, kept), encoding="utf-8")
    entry = json.loads((package / "aicrowd.json").read_text(encoding="utf-8"))
    data = "; ".join(dict.fromkeys(info["training_data"] for info in infos))
    entry |= wanted | {"description": f"Bandsplit ({', '.join(names)}), trained on {data}"}
    (package / "aicrowd.json").write_text(json.dumps(entry, indent=2) + "\n", encoding="utf-8")


def package(source: Path, out: Path, checkpoints: Sequence[str] = ()) -> None:
    """Write a complete submission; `out` appears whole or not at all.

    Args:
        source: a Bandsplit repository.
        out: where to; an older package of ours there is replaced.
        checkpoints: see `replace_checkpoints`; those of `user_config.py` when empty.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: `out` holds something else, or see `build` and `replace_checkpoints`.
    """
    _check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        staging = Path(folder) / "new"
        staging.mkdir()
        if missing := build(source, staging):
            raise FileNotFoundError(f"{source}: not packaged, these files are missing: {', '.join(missing)}")
        if checkpoints:
            replace_checkpoints(staging, checkpoints)
        if out.exists():
            os.replace(out, Path(folder) / "old")
        os.replace(staging, out)


def _check_out(out: Path) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or out.is_symlink():
        raise ValueError(f"--out {out}: expected a folder to make, got something else of that name")
    if (out / ".git").exists():
        raise ValueError(f"--out {out} is a git repository; package elsewhere, then copy over it: cp -r NEW/. {out}/")
    if any(out.iterdir()) and not (out / "SUBMIT.md").is_file():
        raise ValueError(f"--out {out} holds other files; name a folder that does not exist yet")


def _checked_stems(folders: Sequence[Path]) -> list[tuple[str, ...]]:
    """The stems of each checkpoint. No peers: they need packages that the grader does not install."""
    stems = []
    for folder in folders:
        for file in (WEIGHTS, CONFIG, CARD):
            if not (folder / file).is_file():
                raise FileNotFoundError(
                    f"{folder}: expected a checkpoint with {WEIGHTS}, {CONFIG} and {CARD}, no {file}"
                )
        preset = preset_from_mapping(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["preset"])
        if preset.architecture in PEERS:
            raise ValueError(f"{folder}: expected a bsrnn network, got {preset.architecture}: not for submissions")
        stems.append(preset.model.stems)
    if missing := set(INSTRUMENTS).difference(*stems):
        raise ValueError(
            f"--checkpoint {' '.join(folder.name for folder in folders)}: no {', '.join(sorted(missing))}; name more "
            "checkpoints, so that together they have all four instruments"
        )
    return stems


def _name(folder: Path, taken: Sequence[str]) -> str:
    """A folder name for a checkpoint: its own; for a run's `best` or `last`, with the run's before it."""
    if folder.parent == CHECKPOINT_FOLDER.resolve():
        return folder.name
    name = f"{folder.parent.name}-{folder.name}" if folder.name in ("best", "last") else folder.name
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "checkpoint"
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
