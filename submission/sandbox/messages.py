"""Reads and checks the messages of a sandboxed process: a submission's code can write anything to the pipe.

A message is one line of json, [name, content]. The name must be the expected one, or "failed". Known fields of the
content must have the right type; unknown fields are dropped. Anything else raises a MessageError of one line.
"""

import json
import math
import os
import selectors
from collections.abc import Callable
from typing import Any

LONGEST_LINE = 1 << 20
"""Bytes."""
LONGEST_TEXT = 1000
LARGEST_COLLECTION = 100_000
FAILED = "failed"
"""The name of a message whose content is the reason of a failure."""


class MessageError(ValueError):
    """A line that is not a valid message; says what was expected."""


class LineReader:
    """Reads lines from a pipe, with limits on the waiting time and on their length.

    Args:
        descriptor: the pipe's end to read from.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(descriptor, selectors.EVENT_READ)

    def read(self, timeout_s: float) -> bytes | None:
        """The next line, without its line feed; None if none came in time; empty at the end of the stream.

        Raises:
            MessageError: the line is empty or too long.
        """
        if b"\n" not in self._buffer:
            if not self._selector.select(timeout_s):
                return None
            data = os.read(self._descriptor, LONGEST_LINE)
            if not data:
                return b""
            self._buffer += data
        line, end, rest = self._buffer.partition(b"\n")
        if len(line) > LONGEST_LINE:
            raise MessageError(f"expected a line of at most {LONGEST_LINE} bytes, got a longer one")
        if not end:
            return None
        self._buffer = rest
        if not line:
            raise MessageError("expected a message, got an empty line")
        return line

    def close(self) -> None:
        """Close the pipe."""
        self._selector.close()
        os.close(self._descriptor)


def parse(line: bytes, expected: str) -> tuple[str, Any]:
    """The name and content of a message.

    Args:
        line: one line, as it was received.
        expected: the expected name.

    Returns:
        The expected name and its known fields; or "failed" and the reason.

    Raises:
        MessageError: the line is neither.
    """
    try:
        return _parse(line, expected)
    except ValueError as error:
        raise MessageError(str(error)) from None


def _parse(line: bytes, expected: str) -> tuple[str, Any]:
    try:
        message = json.loads(line, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("expected json, got too many brackets") from None
    except ValueError as error:
        raise ValueError(f"expected json, got {_text(repr(line[:60]))} ({type(error).__name__})") from None
    if not (isinstance(message, list) and len(message) == 2 and isinstance(message[0], str)):
        raise ValueError(f"expected [name, content], got {_text(repr(message)[:60])}")
    name, content = message
    if name == FAILED:
        return name, _text(content)
    if name != expected:
        raise ValueError(f"expected {expected!r}, got {_text(repr(name[:60]))}")
    required = REQUIRED.get(name.partition(" ")[0], REQUIRED["answer"])
    if isinstance(content, dict) and content.get("error") == "":
        required += ("stems", "rates")
    return name, _fields(content, FIELDS, required)


def _fields(content: Any, fields: dict[str, Callable[[Any], Any]], required: tuple[str, ...]) -> dict[str, Any]:
    """The known fields of an object, each checked."""
    if not isinstance(content, dict):
        raise ValueError(f"expected an object, got {type(content).__name__}")
    if missing := [name for name in required if name not in content]:
        raise ValueError(f"expected the field {missing[0]!r}, got none")
    checked = {}
    for name, check in fields.items():
        if name in content:
            try:
                checked[name] = check(content[name])
            except ValueError as error:
                raise ValueError(f"field {name!r}: {error}") from None
    return checked


def _refuse_constant(name: str) -> None:
    raise ValueError(f"expected a finite number, got {name}")


def _text(value: Any) -> str:
    """A text of limited length, without control characters (they could change the terminal)."""
    if not isinstance(value, str):
        raise ValueError(f"expected a text, got {type(value).__name__}")
    return printable(value[:LONGEST_TEXT])


def printable(text: str) -> str:
    """A text with a question mark for each unprintable character, except line feeds and tabs."""
    return "".join(character if character.isprintable() or character in "\n\t" else "?" for character in text)


def _number(value: Any) -> float:
    if isinstance(value, float) and math.isfinite(value) and value >= 0:
        return value
    return _whole(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise ValueError(f"expected a number of at least 0, got {_text(repr(value)[:60])}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {_text(repr(value)[:60])}")
    return value


def _list(of: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > LARGEST_COLLECTION:
            raise ValueError(f"expected a list, got {type(value).__name__}")
        return [of(part) for part in value]

    return check


def _mapping(of: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > LARGEST_COLLECTION:
            raise ValueError(f"expected an object, got {type(value).__name__}")
        return {_text(name): of(part) for name, part in value.items()}

    return check


def _text_or_texts(value: Any) -> str | list[str]:
    return _text(value) if isinstance(value, str) else _list(_text)(value)


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number(value)


def _kind_and_value(value: Any) -> list[str]:
    pair = _list(_text)(value)
    if len(pair) != 2:
        raise ValueError(f"expected a type and a value, got {len(pair)} texts")
    return pair


def _stem(value: Any) -> dict[str, Any]:
    is_array = isinstance(value, dict) and value.get("type") == "ndarray"
    return _fields(value, STEM_FIELDS, tuple(STEM_FIELDS) if is_array else ("type",))


STEM_FIELDS: dict[str, Callable[[Any], Any]] = {
    "type": _text,
    "dtype": _text,
    "shape": _list(_whole),
    "num_not_finite": _whole,
    "loudest": _number,
    "clipped_share": _number,
}
FIELDS: dict[str, Callable[[Any], Any]] = {
    "attempts": _list(_text),
    "unpickled": _list(_text),
    "written": _list(_text),
    "processor_s": _number,
    "reduced": _mapping(_number),
    "instruments": _text_or_texts,
    "raised": _text,
    "is_callable": _flag,
    "modules": _mapping(_text),
    "took_s": _number,
    "limit_s": _number,
    "shape": _list(_whole),
    "rate": _whole,
    "error": _text,
    "warnings": _list(_text),
    "faults": _list(_text),
    "changed_input": _flag,
    "stems": _mapping(_stem),
    "rates": _mapping(_kind_and_value),
    "difference": _number_or_none,
}
"""Every field that a message may have, with its check."""
REQUIRED: dict[str, tuple[str, ...]] = {
    "ready": ("attempts",),
    "done": ("processor_s", "attempts", "reduced"),
    "built": ("instruments", "raised", "is_callable", "attempts", "unpickled"),
    "modules": ("modules", "attempts", "unpickled"),
    "answer": ("took_s", "limit_s", "shape", "rate", "error", "warnings", "reduced", "faults", "changed_input"),
}
"""Fields that a message must have, by the first word of its name. All other names use those of "answer"."""
