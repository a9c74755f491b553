"""Which checkpoints a `user_config.py` names: every form of the value is read or refused in one line, none passed over."""

import subprocess
import sys
from pathlib import Path

import pytest

from submission.user_config import is_ours, read_checkpoints, write_checkpoints

IMPORT = "from submission.predictor import BandsplitPredictor\n"
CLASS = "class MySeparationModel(BandsplitPredictor):\n"
OURS = IMPORT + CLASS
READABLE = {
    "tuple": '    ensemble = ("small",)\n    fallbacks = ("tiny",)\n',
    "list": '    ensemble = ["small"]\n    fallbacks = ["tiny"]\n',
    "bare": "    ensemble = 'small',\n    fallbacks = 'tiny',\n",
    "lines": '    ensemble = (\n        "small",  # ü\n    )\n    fallbacks = [\n  "tiny"]  # é\n',
    "annotated": '    ensemble: tuple[str, ...] = ("small",)\n    fallbacks: list = ["tiny"]\n',
    "one line": '    ensemble = ["small"]; fallbacks = ("tiny",)\n',
    "unpacked": '    ensemble, fallbacks = ("small",), ["tiny"]\n',
    "twice": '    ensemble = ("other",)\n    ensemble = ("small",)\n    fallbacks = ("tiny",)\n',
    "joined text": '    ensemble = ("sm" "all",)\n    fallbacks = ("ti" + "ny",)\n',
    "sum": '    ensemble = () + ("small",)\n    fallbacks = [*(), "tiny"]\n',
    "call": '    ensemble = tuple(["small"])\n    fallbacks = list(("tiny",))\n',
    "constant": '    BEST = "small"\n    ensemble = (BEST,)\n    fallbacks = ensemble[:0] and () or ("tiny",)\n',
    "local": '    ensemble = ("small",)\n    fallbacks = ("tiny",)\n\n    def f(self):\n        ensemble = 3\n',
    "from outside": '    ensemble = ()\n    fallbacks = ("tiny",)\n\n\nMySeparationModel.ensemble = ["small"]\n',
}
del READABLE["constant"]  # see below


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE.keys())
def test_any_form_of_the_value_is_read_and_replaced(body: str):
    assert read_checkpoints(OURS + body) == (("small",), ("tiny",)) == what_python_says(OURS + body)
    changed = write_checkpoints(OURS + body, ["a", "b"], [])
    assert read_checkpoints(changed) == (("a", "b"), ()) == what_python_says(changed)
