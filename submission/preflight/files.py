"""Pre-flight checks of a submission's files; its code is not run."""

import ast
import fnmatch
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.checkpoints.checkpoint import CARD, CONFIG, WEIGHTS, load_checkpoint
from models.running import git_lfs
from models.training.data.origin import data_names
from submission.package.user_config import USER_CONFIG, read_checkpoints
from submission.preflight.findings import Finding
from submission.rules.challenge import CHALLENGE_ID, INSTRUMENTS, LFS_BYTES
from submission.rules.data_flags import FLAGS, flags, leaderboard, read_card, read_info
from submission.sandbox.written_elsewhere import all_files

WRAPPER = "my_submission/aicrowd_wrapper.py"
WRAPPER_HASHES = (
    "6e405e6246568ad3ceceb45b10610465c73cba503bab653fa6538a58966c01d0",  # the kit's
    "72bb242351ce35f7b2071ce2e946fd4d65179bcb020aef01e0caf61327632887",  # ours, which does the same
)
"""SHA-256 of the wrappers that the grader's evaluator works with, lines ended by a line feed.

Source: the public kit, as kuielab/sdx23 and adefossez/sdx23 hold it on GitHub, byte by byte the same.
"""
PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".th", ".ckpt", ".joblib", ".dill", ".bin")
PICKLE_MODULES = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve")
PICKLE_CALLS = ("torch.load", "torch.hub.load", "torch.jit.load", "numpy.load", "np.load")


def check_files(root: Path) -> list[Finding]:
    """All findings from the files, except those of requirements and the Dockerfile."""
    return [
        *check_aicrowd_json(root),
        *check_wrapper(root),
        *check_checkpoints(root),
        *check_lfs(root),
        *check_unpickling(root),
        *check_apt(root),
    ]


def check_aicrowd_json(root: Path) -> Iterator[Finding]:
    """The form of `aicrowd.json`, and whether its data flags agree with the model cards of the weights."""
    name = "aicrowd.json"
    try:
        entry = json.loads((root / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        yield Finding("the file is missing", name, "add it: `package` writes one")
        return
    except ValueError as error:
        yield Finding(f"is not JSON ({error})", name, "fix the syntax")
        return
    if not isinstance(entry, dict):
        yield Finding(f"expected an object, got {type(entry).__name__}", name, "write an object with the kit's keys")
        return
    if entry.get("challenge_id") != CHALLENGE_ID:
        yield Finding(
            f"challenge_id: expected {CHALLENGE_ID!r}, got {entry.get('challenge_id')!r}", name, "set that value"
        )
    authors = entry.get("authors")
    if not (isinstance(authors, list) and authors and all(isinstance(author, str) and author for author in authors)):
        yield Finding(f"authors: expected a list of AIcrowd user names, got {authors!r}", name, "add your user name")
    for key in (*FLAGS, "gpu"):
        if not isinstance(entry.get(key), bool):
            yield Finding(f"{key}: expected true or false, got {entry.get(key)!r}", name, f"set {key}, without quotes")
    if not (isinstance(entry.get("description"), str) and entry["description"].strip()):
        yield Finding(f"description: expected a text, got {entry.get('description')!r}", name, "describe the entry")
    if all(isinstance(entry.get(key), bool) for key in FLAGS):
        yield from _check_flags(root, entry)


def _check_flags(root: Path, entry: dict[str, Any]) -> Iterator[Finding]:
    infos = []
    for folder in checkpoint_folders(root):
        try:
            infos.append(read_info(folder))
        except FileNotFoundError:
            return  # check_checkpoints reports it
        except ValueError as error:
            yield Finding(
                str(error).replace(f"{root}/", ""),
                f"{folder.relative_to(root)}/{CONFIG}",
                "the data flags cannot be checked without it: train again, or add info.training_data",
            )
            return
        if (in_card := read_card(folder)) is not None and in_card != infos[-1]["training_data"]:
            yield Finding(
                f"the model card names the training data {in_card!r}, {CONFIG} names {infos[-1]['training_data']!r}",
                f"{folder.relative_to(root)}/{CARD}",
                "correct the wrong one, then set the data flags to match",
            )
            return
    if not infos:
        return
    wanted = flags(infos)
    trained_on = ", ".join(dict.fromkeys(name for info in infos for name in data_names(info)))
    if any(info.get("began_with", "nothing") != "nothing" for info in infos):
        trained_on += ", and the unknown training data of the weights that training began with"
    for key in FLAGS:
        if entry[key] != wanted[key]:
            yield Finding(
                f"{key} is {_json(entry[key])}, but the weights were trained on {trained_on}",
                "aicrowd.json",
                f"set {key} to {_json(wanted[key])} (leaderboard {leaderboard(wanted)})",
            )


def check_wrapper(root: Path) -> Iterator[Finding]:
    """Whether the wrapper is the kit's or ours, unchanged: the grader replaces it, so changes would be lost."""
    try:
        text = (root / WRAPPER).read_bytes().replace(b"\r\n", b"\n")
    except OSError:
        yield Finding("the file is missing", WRAPPER, "copy the kit's file of that name")
        return
    if hashlib.sha256(text).hexdigest() not in WRAPPER_HASHES:
        yield Finding(
            "differs from the kit's: the grader replaces it by its own, so the changes are lost",
            WRAPPER,
            "restore the kit's file and move the changes into your class",
        )


def _json(value: bool) -> str:
    return "true" if value else "false"


def checkpoint_folders(root: Path) -> list[Path]:
    """The checkpoint folders that `user_config.py` names; if it names none, each folder with a checkpoint's config."""
    try:
        ensemble, fallbacks = read_checkpoints((root / USER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # check_checkpoints reports it
        ensemble = fallbacks = ()
    names = dict.fromkeys((*ensemble, *fallbacks))
    if names:
        return [root / "checkpoints" / name for name in names]
    return sorted({path.parent for path in root.glob(f"checkpoints/*/{CONFIG}")})


def check_checkpoints(root: Path) -> Iterator[Finding]:
    """Whether each checkpoint is complete and loads, and whether together they have all instruments."""
    try:
        read_checkpoints((root / USER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield Finding(f"cannot read which checkpoints it loads: {error}", str(USER_CONFIG), "fix the file")
    folders = checkpoint_folders(root)
    stems: set[str] = set()
    is_complete = True
    for folder in folders:
        where = str(folder.relative_to(root))
        for file in (WEIGHTS, CONFIG, CARD):
            if not (folder / file).is_file():
                is_complete &= file == CARD
                yield Finding(
                    "the file is missing", f"{where}/{file}", f"add it, or remove {folder.name} from {USER_CONFIG}"
                )
        if not ((folder / WEIGHTS).is_file() and (folder / CONFIG).is_file()) or git_lfs.is_pointer(folder / WEIGHTS):
            is_complete = False
            continue  # check_lfs reports a pointer
        try:
            checkpoint = load_checkpoint(folder)
        except (ValueError, OSError, ImportError) as error:
            is_complete = False
            yield Finding(f"cannot be loaded: {error}", where, "replace it by a complete checkpoint of `models train`")
            continue
        stems |= set(checkpoint.preset.model.stems)
    if folders and is_complete and (missing := set(INSTRUMENTS) - stems):
        yield Finding(
            f"no checkpoint separates {', '.join(sorted(missing))}", str(USER_CONFIG), "add a checkpoint that does"
        )


def check_lfs(root: Path) -> Iterator[Finding]:
    """LFS pointers instead of files, and large files that would be pushed without LFS."""
    rules = _lfs_rules(root)
    for path in all_files(root):
        size = (root / path).stat().st_size
        if size < 1024 and git_lfs.is_pointer(root / path):
            yield Finding(
                f"a git-LFS pointer of {size} bytes, not the file", str(path), "run `git lfs pull`, then check again"
            )
        elif size > LFS_BYTES and not _goes_through_lfs(path, rules):
            yield Finding(
                f"{size / 1e6:.1f} MB and not in git-LFS: files above {LFS_BYTES / 1e6:.0f} MB are refused",
                str(path),
                f"add a line to .gitattributes: *{path.suffix} filter=lfs diff=lfs merge=lfs -text",
            )


def _lfs_rules(root: Path) -> list[tuple[str, bool]]:
    """Patterns of `.gitattributes`, and whether each turns LFS on or off; the last that matches a file counts."""
    try:
        lines = (root / ".gitattributes").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    rules = []
    for line in lines:
        pattern, *attributes = line.split() or [""]
        if pattern and not pattern.startswith("#"):
            for attribute in attributes:
                if re.fullmatch(r"[-!]?filter(=.*)?", attribute):
                    rules.append((pattern, attribute == "filter=lfs"))
    return rules


def _goes_through_lfs(path: Path, rules: list[tuple[str, bool]]) -> bool:
    answer = False
    for pattern, is_on in rules:
        subject = str(path) if "/" in pattern else path.name
        if fnmatch.fnmatchcase(subject, pattern.lstrip("/").replace("**/", "*")):
            answer = is_on
    return answer


def check_unpickling(root: Path) -> Iterator[Finding]:
    """Pickled files, and code that would unpickle: loading a pickle can run any code."""
    advice = "ship weights as safetensors and load them with safetensors.torch"
    for path in all_files(root):
        if path.suffix in PICKLE_SUFFIXES and not git_lfs.is_pointer(root / path):
            yield Finding(f"{path.suffix} files are usually pickles", str(path), advice)
        if path.suffix == ".py":
            for line, what in _unpickling(root / path):
                yield Finding(f"{what} unpickles", f"{path}:{line}", advice)


def _unpickling(path: Path) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for name in names:
                if name.split(".")[0] in PICKLE_MODULES:
                    yield node.lineno, f"import {name}"
        elif isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in PICKLE_CALLS:
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            safe = (
                options.get("weights_only") == "True"
                or (called.endswith("p.load") or called.startswith("numpy"))
                and options.get("allow_pickle", "False") == "False"
            )
            if not safe:
                yield node.lineno, called


def check_apt(root: Path) -> Iterator[Finding]:
    """Whether each line of `apt.txt` is one package name."""
    path = root / "apt.txt"
    if not path.is_file():
        yield Finding("the file is missing", "apt.txt", "add it, empty if need be: the grader's build reads it")
        return
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.strip() and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+(=\S+)?", line.strip()):
            yield Finding(
                f"expected a Debian package, got {line.strip()!r}", f"apt.txt:{number}", "write one package name a line"
            )
