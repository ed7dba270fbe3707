"""One rule for numbers, flags and sequences; every width that NumPy has is taken."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.common.checks import (
    MOST,
    flag,
    indices,
    number,
    several,
    share,
    shown,
    whole,
)

WHOLE = [getattr(np, f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]
REAL = [np.float16, np.float32, np.float64, np.longdouble]


@pytest.mark.parametrize("width", WHOLE)
def test_whole_numbers_of_any_width(width: Any) -> None:
    assert whole("k", width(3)) == 3
    assert type(whole("k", width(3))) is int
    assert type(number("alpha", width(3))) is float
    assert qa.ExactlyK(width(3)) == qa.ExactlyK(3)
    assert str(qa.Sparsify(slots=width(12))) == str(qa.Sparsify(slots=12))


@pytest.mark.parametrize("width", REAL)
def test_real_numbers_of_any_width(width: Any) -> None:
    assert number("alpha", width(1.5)) == 1.5
    assert type(share("budget", width(0.5))) is float
    assert qa.Redundancy(strength=width(1.5)) == qa.Redundancy(strength=1.5)
    with pytest.raises(qa.InputError, match="k must be a whole number of at least 1"):
        qa.ExactlyK(width(3))


def test_arrays_without_axes_and_fractions_are_numbers() -> None:
    assert whole("k", np.array(3)) == 3
    assert number("alpha", np.array(1.5)) == 1.5
    assert number("alpha", Fraction(1, 4)) == 0.25


@pytest.mark.parametrize("value", [True, False, np.True_, np.array(True)])
def test_truth_is_no_number(value: Any) -> None:
    for check in (whole, number, share):
        with pytest.raises(qa.InputError):
            check("x", value)


@pytest.mark.parametrize("value", [0, 1, "no", None, np.array([True])])
def test_numbers_and_words_are_no_truth(value: Any) -> None:
    with pytest.raises(qa.InputError, match="queries must be True or False, not"):
        flag("queries", value)


def test_limits_are_named() -> None:
    for value in (MOST + 1, 2**62, 10**400):
        with pytest.raises(qa.InputError, match="k must be a whole number from 0 to 2147483647"):
            whole("k", value)
    with pytest.raises(qa.InputError, match="alpha must be a finite number, not 1000"):
        number("alpha", 10**400)
    with pytest.raises(qa.InputError, match=r"a finite number of a size up to 1e\+100"):
        number("strength", 1e200, most=1e100)


def test_texts_and_mappings_are_no_sequences() -> None:
    assert several("sizes", np.arange(3)) == (0, 1, 2)
    for value in ("abc", {"a": 1}, 3, np.array(3), None):
        with pytest.raises(qa.InputError, match="sizes must be a sequence"):
            several("sizes", value)


def test_indices_are_whole_numbers() -> None:
    assert indices("variables", [2.0, 0.0]).tolist() == [2, 0]
    for value in ([0.5], [float("nan")], [[1]], 3):
        with pytest.raises(qa.InputError, match="variables must be whole numbers in a row"):
            indices("variables", value)


def test_values_in_messages_are_short() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise RuntimeError

    assert shown(10**5000) == "a int too large to print"
    assert shown(Unprintable()) == "a Unprintable too large to print"
    assert shown("x" * 500) == f"'{'x' * 76}..."
    assert shown(np.zeros((2, 3))) == "an array of shape (2, 3)"
    assert "\n" not in shown("a\nb" * 3)
