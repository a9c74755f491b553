"""Messages between the benchmark and a worker in another environment: a line of json, then the samples it announces.

The worker imports this file too: it needs nothing but numpy, of any version.
"""

import json
from typing import IO, Any

import numpy as np

PROTOCOL = 1
"""Increased when the messages change, so that old workers and new callers refuse each other."""
MAX_LINE_BYTES = 1 << 16


def write_message(stream: IO[bytes], kind: str, samples: np.ndarray | None = None, **fields: Any) -> None:
    """Write one message.

    Args:
        stream: where to write.
        kind: the kind of message.
        samples: float32 samples of any shape, or none.
        fields: further fields, of json's types.
    """
    shape = None if samples is None else list(samples.shape)
    line = json.dumps({**fields, "kind": kind, "shape": shape}).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"expected a message of at most {MAX_LINE_BYTES} bytes, got {len(line)}")
    stream.write(line)
    if samples is not None:
        stream.write(np.ascontiguousarray(samples, dtype=np.float32).tobytes())
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], np.ndarray | None]:
    """Read one message; returns it and its samples.

    Raises:
        EOFError: the other side has closed the stream.
        ValueError: the line is not a message.
    """
    line = stream.readline(MAX_LINE_BYTES)
    if not line:
        raise EOFError
    try:
        message = json.loads(line)
        shape = message["shape"]
        if not isinstance(message["kind"], str):
            raise TypeError
        num_samples = 0 if shape is None else int(np.prod(shape, dtype=np.int64))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"expected a message, got {line[:80]!r}") from error
    if shape is None:
        return message, None
    content = stream.read(4 * num_samples)
    if len(content) < 4 * num_samples:
        raise EOFError
    return message, np.frombuffer(content, dtype=np.float32).reshape(shape)
