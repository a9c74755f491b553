"""Weights of each stem: from the YAML into the package, and from there into the mean of the networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fake_networks import FakeClock, scaling_separator
from models.presets.settings import read_yaml
from submission.package.build import package
from submission.package.user_config import read_checkpoints
from submission.predictor import predictor
from submission.predictor.predictor import BandsplitPredictor
from submission.predictor.separator import DeadlineSeparator
from submission.preflight.files import check_files
from submission.preflight.real_music import HeldTrack, ensemble_stems
from submission.rules.challenge import INSTRUMENTS
from submissions import INFO, write_checkpoint, write_source

ONES, TWOS = dict.fromkeys(INSTRUMENTS, 0.1), dict.fromkeys(INSTRUMENTS, 0.2)
SHARES = [{"vocals": 0.25, "drums": 1.0, "other": 1.0}, {"vocals": 0.75, "bass": 1.0, "other": 1.0}]
GAINS = {"bass": 0.2, "drums": 0.1, "other": 0.15, "vocals": 0.175}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "repository")


def write_ensemble(folder: Path, shares: str = "[0.25, 0.75]") -> str:
    write_checkpoint(folder / "runs/x/best", stems=("vocals", "drums"), info=INFO, seed=2)
    write_checkpoint(folder / "runs/y/best", stems=("vocals", "bass", "other"), info=INFO, seed=3)
    file = folder / "e.yaml"
    names = f"{folder / 'runs/x/best'}, {folder / 'runs/y/best'}"
    file.write_text(f"checkpoints: [{names}]\nweights: [{{stem: vocals, shares: {shares}}}]\n")
    return str(file)


def test_the_mean_is_weighted():
    clock = FakeClock()
    networks = [scaling_separator(clock, name=name, gains=gains) for name, gains in (("a", ONES), ("b", TWOS))]
    mixture = 0.1 * torch.randn(2, 70_000, generator=torch.Generator().manual_seed(0))
    separator = DeadlineSeparator(INSTRUMENTS, networks, clock=clock, shares=SHARES)
    stems, account = separator.separate(mixture, 44100, clock(), 10.0)
    for name, stem in zip(INSTRUMENTS, stems, strict=True):
        torch.testing.assert_close(stem, GAINS[name] * mixture)
    assert not account.reduced


def test_a_cheaper_mode_keeps_the_level():
    """If there is only time for the first network, its estimate counts fully, whatever its share."""
    clock = FakeClock()
    networks = [
        scaling_separator(clock, 0.5, name="a", gains=ONES),
        scaling_separator(clock, 50.0, name="b", gains=TWOS),
    ]
    shares = [dict.fromkeys(INSTRUMENTS, 0.25), dict.fromkeys(INSTRUMENTS, 0.75)]
    separator = DeadlineSeparator(INSTRUMENTS, networks, clock=clock, shares=shares)
    mixture = 0.1 * torch.randn(2, 10 * 44100, generator=torch.Generator().manual_seed(0))
    stems, account = separator.separate(mixture, 44100, clock(), 15.7)
    assert account.reduced and all(mode.startswith("a,") for mode in account.audio_s)
    torch.testing.assert_close(stems, 0.1 * mixture.expand(4, -1, -1))


def test_the_predictor_reads_the_weights_beside_its_checkpoints(tmp_path, monkeypatch):
    clock = FakeClock()
    found = {"a": scaling_separator(clock, name="a", gains=ONES), "b": scaling_separator(clock, name="b", gains=TWOS)}
    monkeypatch.setattr(predictor, "load_separator", lambda name: found[name])
    monkeypatch.setattr(predictor, "CHECKPOINT_FOLDER", tmp_path)

    class Both(BandsplitPredictor):
        ensemble, fallbacks = ("a", "b"), ()

    rows = "".join(f"\n- {{stem: {stem}, shares: [0.3, 0.7]}}" for stem in INSTRUMENTS)
    (tmp_path / "ensemble.yaml").write_text(f"checkpoints: [a, b]\nweights:{rows}\n")
    mixture = 0.1 * np.random.default_rng(0).standard_normal((50_000, 2))
    stems, _ = Both(clock=clock).separate_music_file(mixture, 44100)
    for stem in stems.values():
        np.testing.assert_allclose(stem, (0.3 * 0.1 + 0.7 * 0.2) * mixture, atol=1e-6)
    (tmp_path / "ensemble.yaml").unlink()
    stems, _ = Both(clock=clock).separate_music_file(mixture, 44100)
    np.testing.assert_allclose(stems["bass"], 0.15 * mixture, atol=1e-6)
    (tmp_path / "ensemble.yaml").write_text("checkpoints: [b, a]\n")
    with pytest.raises(
        ValueError, match=r"expected weights of the ensemble a, b, got b, a; delete the file to use equal"
    ):
        Both(clock=clock)


def test_the_package_has_the_weights_under_its_own_names(source: Path, tmp_path: Path):
    file = write_ensemble(tmp_path)
    package(source, tmp_path / "pkg", [file])
    ensemble, _ = read_checkpoints((tmp_path / "pkg/my_submission/user_config.py").read_text())
    assert ensemble == ("x-best", "y-best")
    assert read_yaml(tmp_path / "pkg/checkpoints/ensemble.yaml") == {
        "checkpoints": ["x-best", "y-best"],
        "weights": [{"stem": "vocals", "shares": [0.25, 0.75]}],
    }
    assert "x-best, y-best" in json.loads((tmp_path / "pkg/aicrowd.json").read_text())["description"]
    assert not check_files(tmp_path / "pkg")
    assert (tmp_path / "pkg/models/ensembles/config.py").is_file()
    package(source, tmp_path / "pkg", [str(tmp_path / "runs/x/best"), str(tmp_path / "runs/y/best")])
    assert not (tmp_path / "pkg/checkpoints/ensemble.yaml").exists()


def test_a_repositorys_weights_are_packaged_only_with_its_own_checkpoints(source: Path, tmp_path: Path):
    file = source / "checkpoints/ensemble.yaml"
    file.write_text("checkpoints: [toy]\n")
    try:
        package(source, tmp_path / "own")
        package(source, tmp_path / "other", ["small"])
    finally:
        file.unlink()
    assert (tmp_path / "own/checkpoints/ensemble.yaml").read_text() == "checkpoints: [toy]\n"
    assert not (tmp_path / "other/checkpoints/ensemble.yaml").exists()


def test_weights_that_do_not_fit_make_no_package(source: Path, tmp_path: Path):
    file = write_ensemble(tmp_path)
    text = Path(file).read_text()
    for stem, message in (("drums", "cannot have a share of 0.75 in drums"), ("piano", "cannot have a share of 0.25")):
        Path(file).write_text(text.replace("vocals", stem))
        with pytest.raises(ValueError, match=message):
            package(source, tmp_path / "pkg", [file])
    assert not (tmp_path / "pkg").exists()


def test_the_check_on_real_music_expects_the_weights(tmp_path: Path):
    for seed, name in enumerate("ab"):
        write_checkpoint(tmp_path / "checkpoints" / name, seed=seed)
    mixture = 0.1 * np.random.default_rng(0).standard_normal((2, 30_000)).astype(np.float32)
    track = HeldTrack("noise", "test", tmp_path, {"mixture": mixture}, 44100)
    a, b = (ensemble_stems(tmp_path, [name], track) for name in "ab")
    both = ensemble_stems(tmp_path, ["a", "b"], track)
    rows = "".join(f"\n- {{stem: {stem}, shares: [0.9, 0.1]}}" for stem in INSTRUMENTS)
    (tmp_path / "checkpoints/ensemble.yaml").write_text(f"checkpoints: [a, b]\nweights:{rows}\n")
    weighted = ensemble_stems(tmp_path, ["a", "b"], track)
    for stem in INSTRUMENTS:
        np.testing.assert_allclose(both[stem], (a[stem] + b[stem]) / 2, atol=1e-6)
        np.testing.assert_allclose(weighted[stem], 0.9 * a[stem] + 0.1 * b[stem], atol=1e-6)
