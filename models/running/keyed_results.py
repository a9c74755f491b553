"""Results kept as json under the key of all that made them: one counts while its key is the same.

A result that is damaged or of another key is as good as none: it is made again.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


def read_keyed(path: Path, key: Mapping[str, Any], read: Callable[[dict[str, Any]], Result]) -> Result | None:
    """Read a result; None if there is none, it is damaged, or it was made under another key.

    Args:
        path: its file, an object with the field "key".
        key: what it must have been made under.
        read: makes the result out of what the file holds; what is damaged makes it raise.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return read(stored) if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
