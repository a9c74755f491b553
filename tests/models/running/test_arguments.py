"""models.running.arguments: numbers out of range are refused with the option's name and what was given."""

import argparse

import pytest

from models.running.arguments import check_at_least, positive


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("007", 7), ("12345678901", 12345678901)])
def test_a_whole_number_of_at_least_one(text, expected):
    assert positive(text) == expected


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "one", "²", "1e3"])
def test_anything_else_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^expected a whole number of at least 1, got {text!r}$"):
        positive(text)


def test_the_least_is_allowed_and_less_is_refused():
    check_at_least("seed", 0, 0)
    with pytest.raises(ValueError, match=r"^--jobs: expected at least 1, got 0$"):
        check_at_least("jobs", 0, 1)
