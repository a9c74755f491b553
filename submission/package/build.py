"""Builds the repository to push: the kit's layout with our class, its weights and its requirements."""

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
from submission.rules.data_flags import check_board, flags, read_info

PEERS = ("openunmix", "hdemucs", "scnet", "moises_light")
"""Architectures of other packages, which the grader does not install: those of ``models.peers``."""
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
"""Files that are copied unchanged: path in this repository, and in the package."""


def is_source(folder: Path) -> bool:
    """Whether a folder is a Bandsplit repository, from which a package can be built."""
    return (folder / KIT / USER_CONFIG).is_file()


def build(source: Path, out: Path) -> list[str]:
    """Write the package of a repository with the checkpoints that its `user_config.py` names; skip missing files.

    Args:
        source: a Bandsplit repository.
        out: an empty folder.

    Returns:
        The missing files, relative to `source`.

    Raises:
        ValueError: the checkpoints cannot be read from `user_config.py`.
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
    """Replace the ensemble of a package by other checkpoints, and set the data flags of `aicrowd.json`.

    A fallback stays only if it does not change these flags: training data beyond those of the ensemble would move the
    submission to another leaderboard.

    Args:
        package: a package that `build` wrote.
        checkpoints: names of shipped checkpoints, or folders; or one ensemble's YAML, whose weights are packaged too.

    Raises:
        FileNotFoundError: no such checkpoint.
        ValueError: a checkpoint is of another package, instruments are missing, or the YAML does not fit.
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
    # A fallback that equals the whole ensemble is of no use.
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


def package(source: Path, out: Path, checkpoints: Sequence[str] = (), board: str | None = None) -> None:
    """Write a complete submission; if it fails, `out` does not change.

    Args:
        source: a Bandsplit repository.
        out: the folder to make; an older package of ours is replaced.
        checkpoints: see `replace_checkpoints`; empty for those of `user_config.py`.
        board: A, B or C, the leaderboard that it is for; None for the one that follows from the weights.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the board does not take the weights, or `out` holds other files; see also `build` and
            `replace_checkpoints`.
    """
    _check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        staging = Path(folder) / "new"
        staging.mkdir()
        if missing := build(source, staging):
            raise FileNotFoundError(
                f"{source}: expected a complete repository, got one without {', '.join(missing)}; restore the files"
            )
        if checkpoints:
            replace_checkpoints(staging, checkpoints)
        if board:
            _set_board(staging, board)
        if out.exists():
            os.replace(out, Path(folder) / "old")
        os.replace(staging, out)


def _set_board(package: Path, board: str) -> None:
    """Check that a board takes the weights of a package, the fallbacks too, and set the flags of `aicrowd.json`."""
    ensemble, fallbacks = read_checkpoints((package / USER_CONFIG).read_text(encoding="utf-8"))
    infos = {name: read_info(package / "checkpoints" / name) for name in (*ensemble, *fallbacks)}
    check_board(board, infos)
    entry = json.loads((package / "aicrowd.json").read_text(encoding="utf-8"))
    text = json.dumps(entry | flags(infos.values()), indent=2) + "\n"
    (package / "aicrowd.json").write_text(text, encoding="utf-8")


def _check_out(out: Path) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or out.is_symlink():
        raise ValueError(f"--out {out}: expected a folder to make, got a file or link of that name; name another")
    if (out / ".git").exists():
        raise ValueError(
            f"--out {out}: expected a new folder, got a git repository; package elsewhere, then cp -r NEW/. {out}/"
        )
    if any(out.iterdir()) and not (out / "SUBMIT.md").is_file():
        raise ValueError(f"--out {out}: expected a new folder, got one with other files; name another")


def _checked_stems(folders: Sequence[Path]) -> list[tuple[str, ...]]:
    """The stems of each checkpoint.

    Raises:
        FileNotFoundError: a checkpoint is not complete.
        ValueError: it needs a package that the grader does not install, or together they lack instruments.
    """
    stems = []
    for folder in folders:
        for file in (WEIGHTS, CONFIG, CARD):
            if not (folder / file).is_file():
                raise FileNotFoundError(
                    f"{folder}: expected a checkpoint with {WEIGHTS}, {CONFIG} and {CARD}, got none with {file}"
                )
        preset = preset_from_mapping(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["preset"])
        if preset.architecture in PEERS:
            raise ValueError(
                f"{folder}: expected a bsrnn network, got {preset.architecture}, which the grader cannot build"
            )
        stems.append(preset.model.stems)
    if missing := set(INSTRUMENTS).difference(*stems):
        raise ValueError(
            f"--checkpoint {' '.join(folder.name for folder in folders)}: expected all four instruments, got no "
            f"{', '.join(sorted(missing))}; name more checkpoints"
        )
    return stems


def _name(folder: Path, taken: Sequence[str]) -> str:
    """A folder name for a checkpoint: its own, or RUN-best or RUN-last for those of a run; numbered if taken."""
    if folder.parent == CHECKPOINT_FOLDER.resolve():
        return folder.name
    name = f"{folder.parent.name}-{folder.name}" if folder.name in ("best", "last") else folder.name
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "checkpoint"
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
