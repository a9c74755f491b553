"""benchmark.run: systems from Python, any object with `separate`."""

import numpy as np
import pytest

import benchmark
from separator_fakes import Halves, Nameless

pytestmark = pytest.mark.usefixtures("short_filters", "short_warm_up")


class Here(Halves):
    """Counts its calls."""

    calls = 0

    def separate(self, mixture, sample_rate=None):
        Here.calls += 1
        return super().separate(mixture, sample_rate)


def test_an_object_is_scored_beside_the_bounds_and_its_results_are_reused(hq_root, tmp_path):
    options = {"tracks": hq_root, "out": tmp_path / "r", "metrics": "l1_freq", "keep_estimates": "none", "threads": 1}
    mine = Here()
    run = benchmark.run(systems={"mine": mine}, **options)
    assert run.failures == () and "mine (Python)" in run.table and (run.out / "table.md").read_text() == run.table
    assert list(dict.fromkeys(run.summary.system)) == ["mixture", "mine", "oracle"]
    scores = run.scores.query("system == 'mine'")
    assert set(scores.stem) == {"vocals", "drums", "all"} and {"sdr", "si_sar", "l1_freq"} <= set(scores.metric)
    assert "fullness" not in set(scores.metric) and np.isfinite(scores[scores.metric == "sdr"].value).all()
    calls = Here.calls
    assert benchmark.run(systems={"mine": mine}, **options).table == run.table and Here.calls == calls


@pytest.mark.slow
def test_stems_are_those_that_it_returns(hq_root, tmp_path):
    run = benchmark.run({"n": Nameless()}, hq_root, tmp_path, limit=1, metrics="none", keep_estimates="none")
    assert set(run.scores.query("system == 'n'").stem) == {"vocals", "accompaniment", "all"}


class Broken(Halves):
    """Cannot separate."""

    def separate(self, mixture, sample_rate=None):
        raise ValueError("out of order")


@pytest.mark.slow
def test_a_broken_object_is_a_failure_and_the_others_are_scored(hq_root, tmp_path):
    run = benchmark.run({"b": Broken()}, hq_root, tmp_path, metrics="none", keep_estimates="none", threads=1)
    assert [(failure.system, failure.reason) for failure in run.failures] == [("b", "out of order")]
    assert set(run.summary.system) == {"mixture", "oracle"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"systems": {"x": object()}}, r"x: expected a separator, got object without separate\(mixture, sample_rate\)"),
        ({"systems": {"mixture": Halves()}}, "expected another name than 'mixture'"),
        ({"systems": {"x": "no-such-kind"}}, "no-such-kind"),
        ({"tracks": "/nothing/here"}, "no tracks in /nothing/here"),
        ({"metrics": "pesq"}, "--metrics: expected all, none, or some of"),
        ({"keep_estimates": "wav"}, "--keep-estimates: expected excerpts, flac, none, got 'wav'"),
    ],
)
def test_wrong_input_is_named(changes, message, hq_root, tmp_path):
    options = {"systems": {"mine": Halves()}, "tracks": hq_root, "out": tmp_path / "r"} | changes
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        benchmark.run(**options)
