"""The package: complete, in the kit's layout, whole or absent, and it unpickles nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.running.repository import ROOT
from submission.package.build import build, package
from submission.package.contents import reached_code
from submission.package.user_config import read_checkpoints
from submission.preflight.check import check, render
from submission.preflight.files import check_files
from submission.preflight.requirements import check_requirements
from submission.rules.challenge import INSTRUMENTS
from submissions import edit, write_checkpoint, write_source

# What the kit's own evaluator does around the wrapper: every folder of the data, then the same folders' scores.
EVALUATE_LOCALLY = """
import os
import numpy as np
import soundfile
from my_submission.aicrowd_wrapper import AIcrowdWrapper

DATA, OUTPUTS = "./public_dataset/MUSDB18-7-WAV/test/", "./evaluator_outputs"
os.makedirs(OUTPUTS, exist_ok=True)
model = AIcrowdWrapper(predictions_dir=OUTPUTS, dataset_dir=DATA)
names = os.listdir(DATA)
assert all(model.separate_music_file(name) for name in names)
for name in names:
    for instrument in ["bass", "drums", "other", "vocals"]:
        truth, rate = soundfile.read(os.path.join(DATA, name, instrument + ".wav"))
        estimate, _ = soundfile.read(os.path.join(OUTPUTS, name, instrument + ".wav"))
        assert truth.shape == estimate.shape
        print(instrument, 10 * np.log10((np.sum(truth**2) + 1e-7) / (np.sum((truth - estimate) ** 2) + 1e-7)))

import sys
print(*{m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in ("models", "submission")}, sep="\\n")
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "repository")


@pytest.fixture(scope="module")
def packaged(source: Path) -> Path:
    out = source.parent / "deep" / "pkg"
    package(source, out)
    return out


def names_in(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_it_holds_the_kits_layout_and_no_more_code_than_it_needs(packaged: Path):
    names = names_in(packaged)
    assert names >= {
        "aicrowd.json",
        "apt.txt",
        "requirements.txt",
        "Dockerfile",
        ".gitattributes",
        "SUBMIT.md",
        "my_submission/user_config.py",
        "my_submission/aicrowd_wrapper.py",
        "checkpoints/toy/weights.safetensors",
        "checkpoints/toy/README.md",
        "checkpoints/toy-2/config.json",
        "models/bsrnn/network.py",
    }
    assert not any(name.startswith(("benchmark", "tuning", "tests", "models/training/loop")) for name in names)
    assert not names & {
        "submission/preflight/check.py",
        "submission/grader/evaluate.py",
        "models/__main__.py",
        "README.md",
    }
    assert "COPY --chown=1001:1001 requirements.txt" in (packaged / "Dockerfile").read_text()


def test_nothing_is_found_in_its_files(packaged: Path):
    assert not check_files(packaged)
    assert check_requirements(packaged) == ([], [])


def test_it_runs_in_the_kit_without_network_and_without_our_repository(packaged: Path, tmp_path: Path):
    kit = tmp_path / "kit"
    (kit / "models").mkdir(parents=True)
    (kit / "models/weights.th").write_text("of the kit")
    (kit / "evaluate_locally.py").write_text(EVALUATE_LOCALLY)
    shutil.copytree(packaged, kit, dirs_exist_ok=True)
    rng = np.random.default_rng(0)
    for name in ('A - It\'s "quoted", ünïcode', "B"):
        folder = kit / "public_dataset/MUSDB18-7-WAV/test" / name
        folder.mkdir(parents=True)
        for file in ("mixture", *INSTRUMENTS):
            soundfile.write(folder / f"{file}.wav", rng.uniform(-0.3, 0.3, (22050, 2)), 44100)
    program = (
        "import runpy, sys; sys.path[0] = '.'; "
        f"sys.path[:] = [entry for entry in sys.path if entry != {str(ROOT)!r}]; "
        "sys.addaudithook(lambda event, _: sys.exit('network') if event in ('socket.connect', 'socket.getaddrinfo')"
        " else None); runpy.run_path('evaluate_locally.py')"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=kit, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    scores, files = run.stdout.splitlines()[:8], run.stdout.splitlines()[8:]
    assert all(float(score.split()[1]) < 20 for score in scores)
    assert (kit / "evaluator_outputs/B/vocals.wav").is_file()
    assert len(files) > 25 and all(Path(kit, file).resolve().is_relative_to(kit) for file in files)


def test_the_wrapper_honours_the_kits_variables_and_keeps_tracks_inside(packaged: Path, tmp_path: Path, monkeypatch):
    from importlib.util import module_from_spec, spec_from_file_location
    from types import ModuleType

    config = ModuleType("my_submission.user_config")
    config.MySeparationModel = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_submission", ModuleType("my_submission"))
    monkeypatch.setitem(sys.modules, "my_submission.user_config", config)
    spec = spec_from_file_location("wrapper", packaged / "my_submission/aicrowd_wrapper.py")
    assert spec is not None and spec.loader is not None
    wrapper_module = module_from_spec(spec)
    spec.loader.exec_module(wrapper_module)
    (tmp_path / "shared/predictions").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    with pytest.raises(FileNotFoundError, match="expected an existing folder, got none"):
        wrapper_module.AIcrowdWrapper(str(tmp_path / "data"), str(tmp_path / "absent"))
    monkeypatch.setenv("AICROWD_DATASET_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AICROWD_PUBLIC_SHARED_DIR", str(tmp_path / "shared"))
    wrapper = wrapper_module.AIcrowdWrapper("/nowhere", "/nowhere")
    assert wrapper.predictions_dir == str(tmp_path / "shared/predictions")
    (tmp_path / "shared/predictions/link").symlink_to(tmp_path)
    for name in ("..", ".", "", "../x", "/tmp/x", "a/b", "link", "a/../../x"):
        with pytest.raises(ValueError, match="expected the name of a folder directly in"):
            wrapper.separate_music_file(name)
    with pytest.raises(NameError, match="why"):
        wrapper.raise_aicrowd_error("why")


def test_other_checkpoints_can_be_packaged(source: Path, tmp_path: Path):
    labelnoise = {"training_data": "9 tracks, 1.0 minutes, from SDXDB23_labelnoise", "began_with": "nothing"}
    write_checkpoint(tmp_path / "runs/x/best", stems=("vocals", "drums"), info=labelnoise, seed=2)
    write_checkpoint(tmp_path / "runs/y/best", stems=("vocals", "bass", "other"), info=labelnoise, seed=3)
    package(source, tmp_path / "pkg", [str(tmp_path / "runs/x/best"), str(tmp_path / "runs/y/best")])
    config = (tmp_path / "pkg/my_submission/user_config.py").read_text()
    assert read_checkpoints(config) == (("x-best", "y-best"), ())
    assert {path.name for path in (tmp_path / "pkg/checkpoints").iterdir()} == {"x-best", "y-best"}
    entry = json.loads((tmp_path / "pkg/aicrowd.json").read_text())
    assert (entry["labelnoise"], entry["bleeding"], entry["external_dataset_used"]) == (True, False, False)
    assert "x-best, y-best" in entry["description"]
    assert not check_files(tmp_path / "pkg")


def test_the_fallback_stays_where_it_changes_no_flag(source: Path, tmp_path: Path):
    write_checkpoint(tmp_path / "best of all", seed=4)
    package(source, tmp_path / "pkg", [str(tmp_path / "best of all")])
    config = (tmp_path / "pkg/my_submission/user_config.py").read_text()
    assert read_checkpoints(config) == (("best-of-all",), ("toy-2",))
    assert not check_files(tmp_path / "pkg")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["small", "tiny"], (("small", "tiny"), ("tiny",))),
        (["tiny", "small"], (("tiny", "small"), ("tiny",))),
        (["tiny"], (("tiny",), ())),
        (["small"], (("small",), ("tiny",))),
    ],
)
def test_checkpoints_that_ship_keep_their_names(tmp_path: Path, names: list[str], expected):
    package(ROOT, tmp_path / "pkg", names)
    assert read_checkpoints((tmp_path / "pkg/my_submission/user_config.py").read_text()) == expected
    assert {path.name for path in (tmp_path / "pkg/checkpoints").iterdir()} == set(expected[0] + expected[1])


def test_checkpoints_that_cannot_be_submitted_are_refused_and_nothing_is_left(source: Path, tmp_path: Path):
    write_checkpoint(tmp_path / "half", stems=("vocals", "drums"))
    cases = [
        (["nowhere"], FileNotFoundError, "no checkpoint 'nowhere'"),
        ([str(tmp_path / "half")], ValueError, "got no bass, other; name more"),
        (["openunmix-small"], ValueError, "expected a bsrnn network, got openunmix"),
        (["small", "small"], ValueError, "expected different checkpoints, got small small"),
    ]
    for names, error, message in cases:
        with pytest.raises(error, match=message):
            package(source, tmp_path / "out" / "pkg", names)
    assert not list((tmp_path / "out").iterdir())


def test_only_an_older_package_is_replaced(source: Path, tmp_path: Path):
    out = tmp_path / "pkg"
    out.mkdir()
    package(source, out)
    (out / "stale.txt").write_text("x")
    package(source, out)
    assert not (out / "stale.txt").exists() and (out / "SUBMIT.md").exists()
    (out / ".git").mkdir()
    with pytest.raises(ValueError, match="got a git repository; package elsewhere"):
        package(source, out)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/work.txt").write_text("precious")
    with pytest.raises(ValueError, match="got one with other files"):
        package(source, tmp_path / "other")
    with pytest.raises(ValueError, match="expected a folder to make"):
        package(source, tmp_path / "other/work.txt")
    assert (tmp_path / "other/work.txt").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "pkg"]


def test_a_repository_that_lacks_files_makes_no_package(source: Path, tmp_path: Path):
    copy = Path(shutil.copytree(source, tmp_path / "copy"))
    (copy / "apt.txt").unlink()
    (copy / "checkpoints/toy/weights.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"without apt.txt, checkpoints/toy/weights.safetensors"):
        package(copy, tmp_path / "pkg")
    assert not (tmp_path / "pkg").exists()


@pytest.mark.slow
def test_faults_of_a_sabotaged_repository_are_found(source: Path, tmp_path: Path):
    copy = Path(shutil.copytree(source, tmp_path / "copy"))
    edit(
        copy / "submission/predictor/predictor.py", "return stems, dict.fromkeys(INSTRUMENTS, rate)", "return stems, {}"
    )
    edit(copy / "submission/predictor/predictor.py", "import torch\n", "import torch\nimport ray\n")
    edit(copy / "aicrowd.json", '"external_dataset_used": true', '"external_dataset_used": false')
    edit(copy / "submission/requirements.txt", "soundfile", "# soundfile")
    edit(copy / "Dockerfile", "COPY apt.txt", "COPY apt-get.txt")
    (copy / "checkpoints/toy/README.md").unlink()
    (copy / "apt.txt").unlink()
    findings, notes = check(copy, music_s=3.0)
    report = render(findings, notes)
    for what in (
        "wrong keys of the sample rates",
        "loads ray, which the requirements do not install",
        "external_dataset_used is false",
        "soundfile is missing",
        "COPY of apt-get.txt, which does not exist",
        "checkpoints/toy/README.md: the file is missing",
        "apt.txt: the file is missing",
    ):
        assert report.count(what) == 1, report


def test_packaged_code_follows_imports(tmp_path: Path):
    for name, text in {
        "a/__init__.py": "",
        "a/one.py": "from a import two\nimport numpy\n",
        "a/two.py": "def f():\n    from b.three import x\n",
        "a/unused.py": "",
        "b/__init__.py": "import b.four\n",
        "b/three.py": "syntax error here\n",
        "b/four.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [str(path) for path in reached_code(tmp_path, "a.one")]
    assert found == ["a/__init__.py", "a/one.py", "a/two.py", "b/__init__.py", "b/four.py", "b/three.py"]


@pytest.mark.parametrize("ensemble", ['["toy"]', '(\n        "toy",  # the best\n    )', '"toy",'])
def test_weights_ship_however_they_are_named(source: Path, tmp_path: Path, ensemble: str):
    copy = Path(shutil.copytree(source, tmp_path / "copy"))
    edit(copy / "submission/package/kit/my_submission/user_config.py", '("toy",)', ensemble)
    package(copy, tmp_path / "pkg")
    assert {path.name for path in (tmp_path / "pkg/checkpoints").iterdir()} == {"toy", "toy-2"}
    package(copy, tmp_path / "pkg", ["small"])
    assert {path.name for path in (tmp_path / "pkg/checkpoints").iterdir()} == {"small", "toy-2"}


def test_weights_whose_names_cannot_be_read_make_no_package(source: Path, tmp_path: Path):
    copy = Path(shutil.copytree(source, tmp_path / "copy"))
    edit(copy / "submission/package/kit/my_submission/user_config.py", '("toy",)', "(open('names').read(),)")
    with pytest.raises(
        ValueError, match=r"user_config.py:9: cannot read `open\('names'\).read\(\)` without running it"
    ):
        package(copy, tmp_path / "pkg")
    assert not (tmp_path / "pkg").exists()


def test_build_skips_missing_files(source: Path, tmp_path: Path):
    copy = Path(shutil.copytree(source, tmp_path / "copy"))
    (copy / "Dockerfile").unlink()
    (tmp_path / "out").mkdir()
    assert build(copy, tmp_path / "out") == ["Dockerfile"]
    assert os.path.isfile(tmp_path / "out/my_submission/user_config.py")
