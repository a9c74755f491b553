"""The note and the flag of a row about the training data of its weights."""

import re

from benchmark.provenance.weights import EXTRA_DATA_FLAG, TEST_SET_FLAG, TEST_SET_NOTE, UNKNOWN_DATA_FLAG

UNKNOWN = "unknown"


def training_note(text: str) -> tuple[str, str]:
    """Note and flag of weights.

    Args:
        text: the training data: "NAME, NAME", or "97 tracks, from NAME, NAME", or "unknown". Data not named MUSDB18
            are extra data; the word test means the test set.
    """
    note = f"trained on {text}"
    if re.search(r"\btest\b", text):
        return f"{TEST_SET_NOTE}; {note}", TEST_SET_FLAG
    names = re.split(r", | and | \+ ", text.rpartition(" from ")[2])
    if names == [UNKNOWN]:
        return note, UNKNOWN_DATA_FLAG
    return note, "" if all(name.lower().startswith("musdb18") for name in names) else EXTRA_DATA_FLAG
