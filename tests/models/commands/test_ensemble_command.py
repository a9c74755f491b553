"""`models ensemble` finds weights on validation tracks only; `separate` uses the file."""

import shutil

import numpy as np
import pytest
import soundfile
import yaml

from conftest import SAMPLE_RATE, STEMS, TRAIN_TRACK, VALID_TRACK, synthetic_stems
from models.__main__ import main
from models.commands import ensemble as ensemble_command
from models.separation.separator import load_separator
from submissions import write_checkpoint

VALID = synthetic_stems(1)


class Member:
    """Returns the true stems of the validation track with noise, and refuses any other track."""

    sample_rate, channels = SAMPLE_RATE, 2

    def __init__(self, name, noise, stems=STEMS):
        self.name, self.noise, self.stems = name, noise, stems

    def separate(self, mixture, sample_rate=None):
        np.testing.assert_allclose(mixture, sum(VALID.values()), atol=1e-3)
        assert sample_rate == SAMPLE_RATE
        rng = np.random.default_rng(len(self.name))
        return {stem: VALID[stem] + self.noise[stem] * rng.standard_normal(mixture.shape) for stem in self.stems}


@pytest.fixture
def members(monkeypatch):
    """`small` is perfect in vocals and drums, `tiny` in bass and other."""
    found = {
        "small": Member("small@1", {"vocals": 0, "drums": 0, "bass": 0.1, "other": 0.1}),
        "tiny": Member("tiny@2", {"vocals": 0.1, "drums": 0.1, "bass": 0, "other": 0}),
        "hdemucs-small": Member("voice@34", {"vocals": 0.02}, ("vocals",)),
    }
    monkeypatch.setattr(ensemble_command, "load_separator", lambda name, device: found[name])


def find(data, out, *checkpoints):
    named = [part for name in checkpoints for part in ("--checkpoint", name)]
    return main(["ensemble", "--validate", str(data), *named, "--out", str(out), "--device", "cpu"])


def cells(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize("packed", [False, True])
def test_all_weight_goes_to_the_perfect_member_of_each_stem(hq_root, tmp_path, capsys, members, packed):
    data = hq_root
    if packed:
        data = tmp_path / "pack"
        assert main(["prepare", "--data", str(hq_root), "--out", str(data)]) == 0
        capsys.readouterr()
    assert find(data, tmp_path / "deep" / "e.yaml", "small", "tiny") == 0
    assert yaml.safe_load((tmp_path / "deep" / "e.yaml").read_text()) == {
        "checkpoints": ["small", "tiny"],
        "weights": [
            {"stem": "vocals", "shares": [1.0, 0.0]},
            {"stem": "drums", "shares": [1.0, 0.0]},
            {"stem": "bass", "shares": [0.0, 1.0]},
            {"stem": "other", "shares": [0.0, 1.0]},
        ],
    }
    shown = capsys.readouterr().out
    rows = {cells(row)[0]: cells(row)[1:] for row in shown.splitlines() if row.startswith("| ")}
    sdr = {name: np.array(rows[name], float) for name in ("small@1", "tiny@2", "plain mean", "weighted")}
    assert rows[""] == [*STEMS, "mean"]
    assert (sdr["weighted"] > sdr["plain mean"] + 20).all()
    np.testing.assert_array_equal(sdr["weighted"][:4], np.maximum(sdr["small@1"], sdr["tiny@2"])[:4])
    assert sdr["weighted"][4] == pytest.approx(sdr["weighted"][:4].mean(), abs=1e-3)
    assert rows["share of tiny@2"] == ["0.000", "0.000", "1.000", "1.000", ""]


def test_a_member_without_a_stem_has_no_share_in_it(hq_root, tmp_path, capsys, members):
    assert find(hq_root, tmp_path / "e.yaml", "hdemucs-small", "tiny") == 0
    weights = {w["stem"]: w["shares"] for w in yaml.safe_load((tmp_path / "e.yaml").read_text())["weights"]}
    assert weights["drums"] == weights["bass"] == weights["other"] == [0, 1]
    assert 0.9 < weights["vocals"][0] < 1 and sum(weights["vocals"]) == pytest.approx(1)  # powers of 1 to 25
    assert "| voice@34 |" in (shown := capsys.readouterr().out) and " | - | - | - | - |" in shown


def test_stems_that_are_silent_in_the_data_stay_the_mean(hq_root, tmp_path, members):
    track = hq_root / "train" / VALID_TRACK
    for name in ("bass", "other", "mixture"):
        audio, rate = soundfile.read(track / f"{name}.wav")
        silent = sum(VALID.values()).T if name == "mixture" else 0 * audio
        soundfile.write(track / f"{name}.wav", silent, rate, subtype="FLOAT")
    assert find(hq_root, tmp_path / "e.yaml", "small", "tiny") == 0
    assert [w["stem"] for w in yaml.safe_load((tmp_path / "e.yaml").read_text())["weights"]] == ["vocals", "drums"]


def test_long_tracks_are_their_middle(hq_root, monkeypatch):
    monkeypatch.setattr(ensemble_command, "EXCERPT_S", 1.0)
    count, excerpts = ensemble_command.open_excerpts(hq_root, ("drums",))
    (excerpt,) = excerpts
    assert count == 1 and excerpt.sample_rate == SAMPLE_RATE
    np.testing.assert_array_equal(excerpt.stems["drums"], VALID["drums"][:, SAMPLE_RATE : 2 * SAMPLE_RATE])
    np.testing.assert_allclose(excerpt.mixture, sum(VALID.values())[:, SAMPLE_RATE : 2 * SAMPLE_RATE], atol=1e-6)


def test_the_written_ensemble_separates(hq_root, tmp_path, mixture):
    for seed, name in enumerate("ab"):
        write_checkpoint(tmp_path / name, seed=seed)
    assert find(hq_root, tmp_path / "e.yaml", str(tmp_path / "a"), str(tmp_path / "b")) == 0
    shares = {w["stem"]: w["shares"] for w in yaml.safe_load((tmp_path / "e.yaml").read_text())["weights"]}
    soundfile.write(tmp_path / "song.wav", mixture.T, SAMPLE_RATE, subtype="FLOAT")
    command = [
        "separate",
        str(tmp_path / "song.wav"),
        "--format",
        "wavfloat",
        "--device",
        "cpu",
        "--precision",
        "float32",
    ]
    assert main([*command, "--out", str(tmp_path / "w"), "--checkpoint", str(tmp_path / "e.yaml")]) == 0
    both = ["--checkpoint", str(tmp_path / "a"), "--checkpoint", str(tmp_path / "b")]
    assert main([*command, "--out", str(tmp_path / "m"), *both]) == 0
    a, b = (load_separator(str(tmp_path / name), "cpu").separate(mixture) for name in "ab")
    for stem in STEMS:
        weighted, mean = (soundfile.read(tmp_path / out / f"{stem}.wav", dtype="float32")[0].T for out in "wm")
        np.testing.assert_allclose(weighted, shares[stem][0] * a[stem] + shares[stem][1] * b[stem], atol=1e-6)
        np.testing.assert_allclose(mean, (a[stem] + b[stem]) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("checkpoints", "out", "message"),
    [
        (["small"], "e.yaml", "expected two or more checkpoints, got small"),
        (["small", "tiny"], "e.json", "--out: expected the name of a new .yaml or .yml file"),
        (["small", "tiny"], "there.yaml", "--out: expected the name of a new .yaml or .yml file"),
    ],
)
def test_wrong_commands_are_one_line(hq_root, tmp_path, capsys, members, checkpoints, out, message):
    (tmp_path / "there.yaml").write_text("precious")
    assert find(hq_root, tmp_path / out, *checkpoints) == 2
    assert message in (shown := capsys.readouterr().err) and shown.count("\n") == 1
    assert (tmp_path / "there.yaml").read_text() == "precious"


def test_data_that_cannot_validate_is_one_line(hq_root, tmp_path, capsys, members):
    pack = tmp_path / "pack"
    assert main(["prepare", "--data", str(hq_root), "--out", str(pack), "--stems", "vocals,drums"]) == 0
    (hq_root / "train" / VALID_TRACK).rename(hq_root / "train" / "renamed")
    flat = shutil.copytree(hq_root / "train" / TRAIN_TRACK, tmp_path / "flat" / TRAIN_TRACK).parent
    capsys.readouterr()
    for data, message in (
        (pack, "is a pack of vocals, drums, without bass, other"),
        (hq_root, "expected validation tracks, in valid/ or those that musdb names in train/, got none"),
        (flat, "expected validation tracks"),
        (tmp_path / "nowhere", "no tracks in"),
    ):
        assert find(data, tmp_path / "e.yaml", "small", "tiny") == 2
        assert message in (shown := capsys.readouterr().err) and shown.count("\n") == 1
    assert not (tmp_path / "e.yaml").exists()


def test_validation_tracks_of_silence_are_one_line(hq_root, tmp_path, capsys, members):
    track = hq_root / "train" / VALID_TRACK
    for name in STEMS:
        soundfile.write(track / f"{name}.wav", np.zeros((3 * SAMPLE_RATE, 2)), SAMPLE_RATE)
    assert find(hq_root, tmp_path / "e.yaml", "small", "tiny") == 2
    assert "expected a validation track with an audible stem, got 1 silent" in capsys.readouterr().err
