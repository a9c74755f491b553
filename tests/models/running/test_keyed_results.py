"""models.running.keyed_results: a result counts under its own key, whole, and otherwise there is none."""

import json

import pytest

from models.running.keyed_results import read_keyed

KEY = {"track": "Mötley", "code": "1f", "packages": {"torch": "2.0"}}


def read_sdr(stored) -> float:
    return float(stored["result"]["sdr"])


def test_a_result_is_read_under_its_key_alone(tmp_path):
    path = tmp_path / "result.json"
    assert read_keyed(path, KEY, read_sdr) is None
    path.write_text(json.dumps({"key": KEY, "result": {"sdr": 4.5}}), encoding="utf-8")
    assert read_keyed(path, KEY, read_sdr) == 4.5
    for part in KEY:
        assert read_keyed(path, {**KEY, part: "2f"}, read_sdr) is None
        assert read_keyed(path, {name: value for name, value in KEY.items() if name != part}, read_sdr) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"key": {}, "resu',
        b"\xff",
        b"[]",
        b"null",
        b'{"result": {"sdr": 1}}',
        b'{"key": {}}',
        b'{"key": {}, "result": []}',
        b'{"key": {}, "result": {"sdr": "loud"}}',
        b'{"key": {}, "result": {"sdr": null}}',
    ],
)
def test_a_damaged_result_is_none(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    assert read_keyed(tmp_path / "result.json", {}, read_sdr) is None


def test_a_fault_in_the_reading_is_not_hidden(tmp_path):
    (tmp_path / "result.json").write_text('{"key": {}}')
    with pytest.raises(ZeroDivisionError):
        read_keyed(tmp_path / "result.json", {}, lambda stored: 1 / 0)
