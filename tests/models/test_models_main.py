"""The command line of `models`: train, resume, separate with what was trained; user errors are one line, exit 2."""

import dataclasses
import os

import numpy as np
import pytest
import soundfile

from conftest import SAMPLE_RATE, STEMS
from models.__main__ import main
from models.checkpoints.checkpoint import load_checkpoint
from models.commands import train as commands
from models.presets.preset import load_preset
from models.running.folder_lock import sole_writer
from models.separation.separator import load_separator
from models.training.world import World

TINY = [
    "--set=model.features=8",
    "--set=model.hidden=8",
    "--set=model.layers=1",
    "--set=data.crop_s=0.25",
    "--set=train.batch=1",
    "--set=train.steps=4",
    "--set=train.validate_every=2",
    "--threads=1",
]


def train(data, out, *more):
    return main(["train", "--preset", "small", "--data", str(data), "--out", str(out), *TINY, *more])


def test_train_resume_and_separate(hq_root, tmp_path, capsys, mixture):
    assert train(hq_root, tmp_path / "run") == 0
    assert "4 steps" in capsys.readouterr().out
    assert train(hq_root, tmp_path / "run", "--resume") == 0
    soundfile.write(tmp_path / "song.wav", mixture.T, SAMPLE_RATE, subtype="FLOAT")
    best = str(tmp_path / "run" / "best")
    arguments = [str(tmp_path / "song.wav"), "--out", str(tmp_path / "stems"), "--checkpoint", best]
    assert main(["separate", *arguments, "--format", "wavfloat", "--precision", "float32"]) == 0
    from_python = load_separator(best).separate(mixture, SAMPLE_RATE)
    for stem in STEMS:
        audio, rate = soundfile.read(tmp_path / "stems" / f"{stem}.wav", dtype="float32")
        assert rate == SAMPLE_RATE and audio.shape == mixture.T.shape
        assert np.abs(audio.T - from_python[stem]).max() < 1e-5


def test_fine_tuning_resumes_with_its_own_command_or_none(hq_root, tmp_path, capsys):
    assert train(hq_root, tmp_path / "first") == 0
    tuned = str(tmp_path / "tuned")
    command = ["train", "--init", str(tmp_path / "first" / "best"), "--data", str(hq_root), "--out", tuned]
    assert main([*command, "--set=train.lr=0.0003"]) == 0
    capsys.readouterr()
    assert main([*command, "--set=train.lr=0.0003", "--set=train.steps=5", "--resume"]) == 0
    assert "5 steps" in capsys.readouterr().out
    assert main(["train", "--data", str(hq_root), "--out", tuned, "--set=train.steps=6", "--resume"]) == 0
    assert "6 steps" in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "tuned" / "best").info["began_with"].startswith("best@")
    assert load_preset(str(tmp_path / "tuned" / "config.yaml")).train.lr == 0.0003
    assert main([*command, "--resume"]) == 2
    assert "train.lr was 0.0003 in" in capsys.readouterr().err
    assert main(["train", "--data", str(hq_root), "--out", str(tmp_path / "absent"), "--resume"]) == 2
    assert "no run to resume; leave out --resume to start one" in capsys.readouterr().err


def test_prepare_then_train_from_the_pack(hq_root, tmp_path, capsys):
    assert main(["prepare", "--data", str(hq_root), "--out", str(tmp_path / "pack")]) == 0
    assert "1 training and 1 validation tracks" in capsys.readouterr().out
    assert train(tmp_path / "pack", tmp_path / "run") == 0
    assert not (tmp_path / "run" / "pack").exists()


@pytest.mark.slow
def test_peers_train_with_the_same_command(hq_root, tmp_path):
    for preset, sizes in (
        ("openunmix-small", ["--set=model.hidden=8", "--set=model.layers=1"]),
        ("hdemucs-small", ["--set=model.features=4"]),
        ("scnet-small", ["--set=model.features=4", "--set=model.layers=2"]),
        ("moises-light-small", ["--set=model.features=4", "--set=model.layers=1"]),
    ):
        out = tmp_path / preset
        steps = ["--set=data.crop_s=0.25", "--set=train.batch=1", "--set=train.steps=1", "--set=train.validate_every=1"]
        command = ["train", "--preset", preset, "--data", str(hq_root), "--out", str(out), *sizes, *steps]
        assert main(command) == 0
        stems = load_separator(str(out / "best")).separate(np.full((2, 4410), 0.1, np.float32), SAMPLE_RATE)
        assert set(stems) == set(STEMS)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "model.hiden=3"], "unknown setting 'model.hiden'; did you mean 'model.hidden'?"),
        (["--set", "model.hidden=-3"], "model.hidden: expected 1 to 4096, got -3"),
        (["--set", "model.bands=v77"], "no scheme 'v77'; did you mean 'v7'?"),
        (["--set", "train.lr"], "expected NAME=VALUE"),
        (["--max-minutes", "0"], "--max-minutes: expected minutes above 0"),
        (["--threads", "0"], "--threads: expected at least 1"),
        (["--device", "tpu"], "--device: expected cpu or cuda, got 'tpu'"),
        (["--resume"], "nothing to resume"),
    ],
)
def test_user_errors_are_one_line(hq_root, tmp_path, capsys, more, message):
    command = ["train", "--preset", "small", "--data", str(hq_root), "--out", str(tmp_path / "run")]
    assert main([*command, *more]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_missing_data_and_presets(tmp_path, capsys):
    assert main(["train", "--preset", "smal", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "did you mean 'small'?" in capsys.readouterr().err
    assert train(tmp_path / "absent", tmp_path / "run") == 2
    assert "absent" in capsys.readouterr().err
    assert main(["prepare", "--data", str(tmp_path), "--out", str(tmp_path / "pack")]) == 2
    assert capsys.readouterr().err.startswith("error: no tracks in")


def test_ctrl_c_is_one_line(monkeypatch, tmp_path, capsys):
    def interrupt(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("models.commands.train.open_data", interrupt)
    assert train(tmp_path, tmp_path / "run") == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_two_runs_do_not_write_into_one_folder(hq_root, tmp_path, capsys):
    out = tmp_path / "run"
    with sole_writer(out):
        assert train(hq_root, out) == 2
        error = capsys.readouterr().err
        assert f"error: {out}: process {os.getpid()} is writing there" in error and error.count("\n") == 1
        assert [path.name for path in out.iterdir()] == ["lock"]  # its music was not decoded either
    assert train(hq_root, out) == 0
    with sole_writer(out):
        assert train(hq_root, out, "--resume") == 2


def test_processes_that_train_together_are_one_writer(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Two(World):
        refusal: str = ""

        def gather(self, value):
            return [value or self.refusal, ""]

    first, second = Two(rank=0, size=2), Two(rank=1, size=2)
    with commands._sole_run(tmp_path, first), commands._sole_run(tmp_path, second):
        pass
    with (
        sole_writer(tmp_path),
        pytest.raises(ValueError, match="is writing there"),
        commands._sole_run(tmp_path, first),
    ):
        pass
    told = dataclasses.replace(second, refusal="the first was refused")
    with pytest.raises(ValueError, match="the first was refused"), commands._sole_run(tmp_path, told):
        pass
