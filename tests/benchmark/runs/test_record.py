"""benchmark.runs.record: a record is read back as it was written; a damaged one is a clear error."""

import json

import pytest

from benchmark.runs.record import RECORD_FILE, read_record, write_record
from benchmark.runs.result_key import result_key
from benchmark.runs.store import Failure
from benchmark_fakes import SETTINGS, Fake, fake_source, run_here
from models.tracks import open_tracks

pytestmark = pytest.mark.usefixtures("short_filters", "short_warm_up")


def test_the_results_of_the_record_and_no_others(hq_root, tmp_path, monkeypatch):
    tracks = open_tracks(hq_root, "all")
    for source in (fake_source(), fake_source("left over")):
        run_here(monkeypatch, Fake(), source, tracks, tmp_path)
    keys = [result_key(fake_source(), track, SETTINGS) for track in tracks[1:]]
    missing = result_key(fake_source("b"), tracks[1], SETTINGS)
    failures = [Failure("b", tracks[1].name, "it broke")]
    write_record(tmp_path, "music", [*keys, missing], failures)
    record = read_record(tmp_path)
    assert (record.data, record.failures) == ("music", tuple(failures))
    assert record.systems == ["fake", "b"] and list(record.tracks.values()) == [track.name for track in tracks[1:]]
    assert [result["key"] for result in record.results(tmp_path)] == keys
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_without_a_run_says_what_was_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the --out folder .* holds no run"):
        read_record(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"data": 1, "machine": 1, "keys": [{}], "failures": []}', "\x00"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(ValueError, match=f"{RECORD_FILE}: damaged"):
        read_record(tmp_path)


def test_a_run_of_another_version_is_one_clear_line(tmp_path):
    key = {"format": 3, "system": "mixture", "track": "song", "split": "test", "threads": 2}
    record = {"data": "music", "machine": "Abacus", "keys": [key], "failures": []}
    (tmp_path / RECORD_FILE).write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"holds a run of another version .*format 3, this one reads 5.* run` again"):
        read_record(tmp_path)


def test_a_record_is_strict_json(tmp_path):
    write_record(tmp_path, "Ünï </script>", [])
    assert json.loads((tmp_path / RECORD_FILE).read_text(), parse_constant=pytest.fail)["data"] == "Ünï </script>"
