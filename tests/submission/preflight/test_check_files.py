"""The pre-flight check of files: the right finding on each sabotaged copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sabotage import CLASS, only, remove, set_entry, write
from submission.preflight.files import check_files
from submissions import edit, write_checkpoint, write_light_submission

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 14012345\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return write_light_submission(tmp_path / "copy")


def truncate(root: Path) -> None:
    path = root / "checkpoints/toy/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def large_file(root: Path) -> None:
    (root / "models").mkdir()
    (root / "models/weights.npz").write_bytes(bytes(5_000_001))


def lfs_switched_off(root: Path) -> None:
    write(".gitattributes", "*.npz filter=lfs\nmodels/** -filter\n")(root)
    large_file(root)


def three_stems(root: Path) -> None:
    shutil.rmtree(root / "checkpoints/toy")
    write_checkpoint(root / "checkpoints/toy", stems=("vocals", "drums", "bass"))


def no_history(root: Path) -> None:
    edit(root / "checkpoints/toy/config.json", '"training_data"', '"data"')


def change_wrapper(root: Path) -> None:
    edit(root / "my_submission/aicrowd_wrapper.py", "samples, sample_rate)", "samples / 2, sample_rate)")


def computed_names(root: Path) -> None:
    edit(
        root / CLASS,
        "class MySeparationModel:",
        "class BandsplitPredictor: pass\n\nclass MySeparationModel(BandsplitPredictor):",
    )
    edit(root / CLASS, '("toy",)', "tuple('toy'.split())")


FILES = [
    ("pointer", write("checkpoints/toy/weights.safetensors", POINTER), "git-LFS pointer", "weights.safetensors"),
    ("pointer elsewhere", write("models/other.th", POINTER), "git-LFS pointer", "models/other.th"),
    ("no weights", remove("checkpoints/toy/weights.safetensors"), "missing", "weights.safetensors"),
    ("no card", remove("checkpoints/toy/README.md"), "missing", "checkpoints/toy/README.md"),
    ("cut weights", truncate, "cannot be loaded", "checkpoints/toy"),
    ("three stems", three_stems, "no checkpoint separates other", CLASS),
    ("large file", large_file, "not in git-LFS", "models/weights.npz"),
    ("LFS switched off", lfs_switched_off, "not in git-LFS", "models/weights.npz"),
    ("no aicrowd.json", remove("aicrowd.json"), "the file is missing", "aicrowd.json"),
    ("broken json", write("aicrowd.json", "{'gpu': true}"), "is not JSON", "aicrowd.json"),
    ("json list", write("aicrowd.json", "[]"), "expected an object", "aicrowd.json"),
    ("challenge", set_entry("challenge_id", "mdx-21"), "challenge_id", "aicrowd.json"),
    ("authors", set_entry("authors", "me"), "authors", "aicrowd.json"),
    ("gpu", set_entry("gpu", "true"), "gpu: expected true or false", "aicrowd.json"),
    ("no flag", set_entry("bleeding", None), "bleeding: expected true or false", "aicrowd.json"),
    ("no description", set_entry("description", " "), "description", "aicrowd.json"),
    ("external denied", set_entry("external_dataset_used", False), "external_dataset_used is false", "aicrowd.json"),
    ("label noise claimed", set_entry("labelnoise", True), "labelnoise is true", "aicrowd.json"),
    ("bleeding claimed", set_entry("bleeding", True), "bleeding is true", "aicrowd.json"),
    ("no history", no_history, "training_data", "checkpoints/toy/config.json"),
    (
        "card says more",
        write("checkpoints/toy/README.md", "| training data | 1 track, from A |\n"),
        "names the training data",
        "README.md",
    ),
    ("changed wrapper", change_wrapper, "differs from the kit's", "my_submission/aicrowd_wrapper.py"),
    (
        "no wrapper",
        remove("my_submission/aicrowd_wrapper.py"),
        "the file is missing",
        "my_submission/aicrowd_wrapper.py",
    ),
    ("unreadable names", computed_names, "cannot read which checkpoints it loads", CLASS),
    ("pickle", write("models/net.pth", "x"), "pickles", "models/net.pth"),
    ("torch.load", write("models/load.py", "import torch\nw = torch.load('x')\n"), "torch.load", "models/load.py:2"),
    ("import pickle", write("models/load.py", "from pickle import loads\n"), "pickle unpickles", "models/load.py:1"),
    ("apt", write("apt.txt", "ffmpeg libsndfile1\n"), "expected a Debian package", "apt.txt:1"),
    ("no apt", remove("apt.txt"), "the file is missing", "apt.txt"),
]


@pytest.mark.parametrize(("sabotage", "what", "where"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_sabotaged_files(copy: Path, sabotage: Callable[[Path], None], what: str, where: str):
    sabotage(copy)
    finding = only(check_files(copy))
    assert what in finding.what and finding.where.endswith(where) and finding.advice


def test_the_wrapper_may_have_other_line_ends(copy: Path):
    path = copy / "my_submission/aicrowd_wrapper.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert not check_files(copy)


def test_safe_loading_is_no_finding(copy: Path):
    write("models/load.py", "import numpy as np, torch\nnp.load('x')\ntorch.load('y', weights_only=True)\n")(copy)
    assert not check_files(copy)
    write("models/load.py", "import numpy as np\nnp.load('x', allow_pickle=True)\n")(copy)
    assert "np.load unpickles" in only(check_files(copy)).what
