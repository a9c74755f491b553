"""Messages of a sandboxed process: an expected name and fields of the right type; all else is an error of one line."""

import json
import os

import pytest

from submission.sandbox.messages import LONGEST_LINE, LineReader, MessageError, parse

READY = {"attempts": ["socket.connect x"]}
ANSWER = {
    "took_s": 0.5,
    "limit_s": 1.57,
    "shape": [10, 2],
    "rate": 44100,
    "error": "",
    "warnings": [],
    "reduced": {},
    "faults": [],
    "changed_input": False,
    "stems": {"bass": {"type": "list"}},
    "rates": {"bass": ["int", "44100"]},
}


def line(name: str, content: object) -> bytes:
    return json.dumps([name, content]).encode()


def test_a_valid_message_is_returned_without_unknown_fields():
    assert parse(line("ready", {**READY, "secret": 1}), "ready") == ("ready", READY)
    assert parse(line("music", ANSWER), "music") == ("music", ANSWER)
    done = {"processor_s": 1.5, "attempts": [], "reduced": {"mixture scaled": 2}}
    assert parse(line("done track-1", done), "done track-1") == ("done track-1", done)
    assert parse(line("failed", "ValueError: \x1b[31m no"), "ready") == ("failed", "ValueError: ?[31m no")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("ready", {}, "expected the field 'attempts', got none"),
        ("ready", {"attempts": "all"}, "field 'attempts': expected a list, got str"),
        ("ready", {"attempts": [1]}, "field 'attempts': expected a text, got int"),
        ("done", {"processor_s": "1", "attempts": [], "reduced": {}}, "field 'processor_s': expected a number of at"),
        ("done", {"processor_s": -1, "attempts": [], "reduced": {}}, "field 'processor_s'"),
        ("done", {"processor_s": 10**400, "attempts": [], "reduced": {}}, "field 'processor_s'"),
        ("done", {"processor_s": True, "attempts": [], "reduced": {}}, "field 'processor_s'"),
        ("done", {"processor_s": float("nan"), "attempts": [], "reduced": {}}, "expected json"),
        ("done", {"processor_s": 1, "attempts": [], "reduced": {"a": "b"}}, "field 'reduced'"),
        ("done", {"processor_s": 1, "attempts": [], "reduced": []}, "field 'reduced': expected an object, got list"),
        ("music", {**ANSWER, "changed_input": 1}, "field 'changed_input': expected true or false"),
        ("music", {**ANSWER, "rates": {"bass": ["int"]}}, "field 'rates': expected a type and a value"),
        ("music", {**ANSWER, "stems": {"bass": {"type": "ndarray"}}}, "field 'stems': expected the field 'dtype'"),
        ("music", {name: value for name, value in ANSWER.items() if name != "stems"}, "expected the field 'stems'"),
        ("other", {}, "expected 'music', got 'other'"),
    ],
)
def test_content_of_the_wrong_kind_is_refused_in_one_line(name: str, content: object, reason: str):
    expected = "music" if name == "other" else name
    with pytest.raises(MessageError) as refused:
        parse(line(name, content), expected)
    assert str(refused.value).startswith(reason) and "\n" not in str(refused.value)


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_are_a_message_or_a_message_error(seed: int):
    import random

    random_ = random.Random(seed)
    valid = bytearray(line("music", ANSWER))
    for _ in range(50):
        changed = bytearray(valid)
        for _ in range(random_.randrange(1, 8)):
            changed[random_.randrange(len(changed))] = random_.randrange(256)
        try:
            name, content = parse(bytes(changed), "music")
        except MessageError as error:
            assert "\n" not in str(error) and len(str(error)) < 200
        else:
            assert name == "music" and content["shape"] and isinstance(content["rate"], int)


def test_lines_come_whole_however_they_were_cut():
    receiver, sender = os.pipe()
    reader = LineReader(receiver)
    os.write(sender, b"one\ntw")
    assert reader.read(1.0) == b"one"
    assert reader.read(0.0) is None
    os.write(sender, b"o\n")
    assert reader.read(1.0) == b"two"
    os.close(sender)
    assert reader.read(1.0) == b""
    reader.close()


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory():
    receiver, sender = os.pipe()
    reader = LineReader(receiver)
    os.set_blocking(sender, False)
    sent = 0
    with pytest.raises(MessageError, match="got a longer one"):
        while sent < 4 * LONGEST_LINE:
            sent += os.write(sender, b"x" * 4096)
            reader.read(0.0)
    assert sent <= LONGEST_LINE + 8192
    os.close(sender)
    reader.close()
