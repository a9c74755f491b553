"""The checkpoints that a `user_config.py` names: each form of the value is read, or refused in one line."""

import pytest

from submission.package.user_config import is_ours, read_checkpoints, write_checkpoints

IMPORT = "from submission.predictor.predictor import BandsplitPredictor\n"
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
    "constants": '    BEST = "small"\n    ensemble = (BEST,)\n    REST = ["tiny"]\n    fallbacks = REST\n',
    "local": '    ensemble = ("small",)\n    fallbacks = ("tiny",)\n\n    def f(self):\n        ensemble = 3\n',
    "from outside": '    ensemble = ()\n    fallbacks = ("tiny",)\n\n\nMySeparationModel.ensemble = ["small"]\n',
}

UNREADABLE = {
    "string": ('    ensemble = ("small")\n    fallbacks = ()\n', "user_config.py:3: ensemble is 'small'"),
    "no names": ("    ensemble = (1,)\n    fallbacks = ()\n", "user_config.py:3: cannot read `1`"),
    "empty name": ('    ensemble = ("",)\n    fallbacks = ()\n', "user_config.py:3: ensemble is \\(''"),
    "computed": ("    ensemble = tuple(x for x in 'ab')\n    fallbacks = ()\n", "user_config.py:3: cannot read `"),
    "unknown": ("    ensemble = BEST\n    fallbacks = ()\n", "user_config.py:3: cannot read `BEST`"),
    "circle": ("    ensemble = ensemble\n    fallbacks = ()\n", "user_config.py:3: cannot read `ensemble`"),
    "condition": (
        "    if True:\n        ensemble = ()\n    fallbacks = ()\n",
        "user_config.py:4: cannot read the value of ensemble",
    ),
    "added": (
        "    ensemble = ()\n    ensemble += ('x',)\n    fallbacks = ()\n",
        "user_config.py:4: cannot read the value of ensemble",
    ),
    "property": (
        "    def ensemble(self):\n        pass\n    fallbacks = ()\n",
        "user_config.py:3: cannot read the value of ensemble",
    ),
    "in a method": (
        "    ensemble = fallbacks = ()\n\n    def __init__(self):\n        self.fallbacks = ['x']\n",
        "user_config.py:6: cannot read the value of fallbacks",
    ),
    "starred": ("    ensemble, *fallbacks = ('a',), 'b'\n", "user_config.py:3: cannot read the value of ensemble"),
    "none": ("    ensemble = ('small',)\n", "user_config.py: MySeparationModel sets no fallbacks; write it as names"),
    "syntax": ("    ensemble = (\n", "user_config.py: expected valid Python"),
}


def python_names(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    scope = {"BandsplitPredictor": object}
    exec(text.replace(IMPORT, ""), scope)
    found = scope["MySeparationModel"]
    return tuple(found.ensemble), tuple(found.fallbacks)  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE.keys())
def test_any_form_of_the_value_is_read_and_replaced(body: str):
    assert read_checkpoints(OURS + body) == (("small",), ("tiny",)) == python_names(OURS + body)
    changed = write_checkpoints(OURS + body, ["a", "b"], [])
    assert read_checkpoints(changed) == (("a", "b"), ()) == python_names(changed)


@pytest.mark.parametrize(("body", "message"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_value_that_needs_running_the_file_is_refused_in_one_line(body: str, message: str):
    with pytest.raises(ValueError, match=message) as error:
        read_checkpoints(OURS + body)
    assert "\n" not in str(error.value)


def test_classes_that_are_derived_or_renamed():
    body = '    ensemble = ["a"]\n    fallbacks = ["b"]\n'
    renamed = f"{IMPORT}class X(BandsplitPredictor):\n{body}MySeparationModel = X\n"
    derived = f"{IMPORT}class Base(BandsplitPredictor):\n{body}{CLASS.replace('Bandsplit', 'B')}"
    derived = derived.replace("(BPredictor)", "(Base)") + '    ensemble = ["c"]\n'
    assert read_checkpoints(renamed) == (("a",), ("b",)) and is_ours(renamed)
    assert read_checkpoints(derived) == (("c",), ("b",)) and is_ours(derived)


def test_the_settings_of_a_class_that_is_not_ours_are_not_read():
    text = "class MySeparationModel:\n    ensemble = [f() for f in nets]\n"
    assert read_checkpoints(text) == ((), ()) and not is_ours(text)
    assert read_checkpoints("from x import MySeparationModel\n") == ((), ())
    assert not is_ours("class MySeparationModel(")


def test_settings_in_one_value_cannot_be_replaced():
    with pytest.raises(ValueError, match="expected a tuple of names for each setting"):
        write_checkpoints(OURS + '    ensemble = fallbacks = ("small",)\n', ["a"], ["b"])
