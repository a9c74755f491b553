"""python -m benchmark: a real run of the bounds, and the errors for wrong input."""

import pandas
import pytest

from benchmark import __main__ as command


@pytest.mark.slow
def test_the_bounds_on_a_small_data_set(hq_root, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["run", "--data", str(hq_root), "--systems", "mixture,oracle", "--out", str(out), "--threads", "1"]
    assert command.main(arguments) == 0
    first = capsys.readouterr().out
    assert first.startswith(f"data: {hq_root} (from --data)\n") and (out / "table.md").read_text() in first
    scores = pandas.read_csv(out / "scores.csv").query("metric == 'sdr'").set_index(["system", "stem"]).value
    assert (scores["oracle"] > scores["mixture"]).all() and len(scores) == 10  # accompaniment too
    files = {path: path.stat().st_mtime_ns for path in out.glob("tracks/*/*/*.json")}
    assert len(files) == 2
    assert command.main(arguments) == 0  # resumes
    assert capsys.readouterr().out == first
    assert files == {path: path.stat().st_mtime_ns for path in out.glob("tracks/*/*/*.json")}


@pytest.mark.slow
def test_kept_estimates_are_scored_by_the_command(hq_root, tmp_path, capsys, short_filters):
    out = tmp_path / "out"
    arguments = ["run", "--data", str(hq_root), "--systems", "mixture", "--out", str(out), "--threads", "1"]
    assert command.main([*arguments, "--metrics", "none", "--keep-estimates", "flac"]) == 0
    assert "disk: about" in capsys.readouterr().err and len(list(out.rglob("*.flac"))) == 5  # the mixture only once
    assert command.main(["score", str(out), "--metrics", "l1_freq,silence", "--threads", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"data: {hq_root}") and "**L1-frequency, higher is better**" in printed.out
    summary = pandas.read_csv(out / "summary.csv").set_index(["system", "metric", "stem"])
    assert summary.loc[("oracle", "l1_freq", "mean"), "value"] > summary.loc[("mixture", "l1_freq", "mean"), "value"]
    assert summary.loc[("oracle", "silence", "vocals"), "direction"] == "lower is better"
    assert command.main([*arguments, "--metrics", "l1_freq", "--keep-estimates", "flac"]) == 0
    assert "2 results are already in" in capsys.readouterr().err
    assert command.main(["score", str(out), "--metrics", "pesq"]) == 2
    with pytest.raises(SystemExit, match="2"):
        command.main(["score", str(out), "--frame", "0"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--systems", "demuc"], "benchmark: --systems: expected some of"),
        (["--data", "/nothing/here"], "benchmark: no tracks in /nothing/here (nothing there)"),
        (["--split", "valid"], "benchmark: --split valid: no such tracks in"),
        (["--systems", "demucs:htdemucs"], "benchmark: demucs:htdemucs has no weights on this machine"),
        (["--systems", "mixture", "--device", "nowhere"], "benchmark: --device: this machine has no 'nowhere'"),
        (["--systems", "mixture", "--device", "meta"], "benchmark: --device: this machine has no 'meta'"),
    ],
)
def test_wrong_input_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MUSDB_PATH", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *arguments: None)
    assert command.main(["run", "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message) and error.count("\n") == 1


@pytest.mark.parametrize("option", [["--limit", "0"], ["--threads", "-1"], ["--threads", "two"], ["--split", "dev"]])
def test_wrong_options_are_refused(option, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["run", "--out", "x", *option])
    assert option[0] in capsys.readouterr().err


def test_failures_are_reported_and_give_exit_status_1(hq_root, tmp_path, monkeypatch, capsys):
    from benchmark.runs.store import Failure

    monkeypatch.setattr("benchmark.runs.run.run", lambda *arguments: ([], [Failure("oracle", "song", "it broke")]))
    assert command.main(["run", "--data", str(hq_root), "--systems", "oracle", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "failed: oracle, song: it broke\n"


def test_an_interruption_is_one_line(hq_root, tmp_path, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.runs.run.run", interrupt)
    assert command.main(["run", "--data", str(hq_root), "--systems", "oracle", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err.strip().startswith("interrupted: finished tracks are in")
