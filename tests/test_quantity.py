"""Quantities are read with their units, and refused with a sentence."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.quantity import quantity, quantity_range


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("5 mg", "mg", 5.0),
        ("0.5 g", "mg", 500.0),
        ("3 days", "h", 72.0),
        ("1 week", "h", 168.0),
        ("95 %", "1", 0.95),
        ("2.5", "1", 2.5),
        ("1e3 ng/mL", "mg/L", 1.0),
        ("50 years", "year", 50.0),
        ("70 beats/minute", "1/min", 70.0),
        ("25 kg/m^2", "kg/m**2", 25.0),
        (" 7mg ", "mg", 7.0),
    ],
)
def test_a_quantity_is_taken_to_the_unit_asked_for(text, unit, value):
    assert quantity(text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit", "sentence"),
    [
        ("5", "mg", "has no unit"),
        ("5 h", "mg", "does not measure"),
        ("5 mgs_of_gold", "mg", "is no unit"),
        ("five mg", "mg", "is no quantity"),
        ("", "mg", "is no quantity"),
        ("1e999 mg", "mg", "is not finite"),
        ("nan mg", "mg", "is no quantity"),
        ("37 degC", "kelvin", "another zero"),
        ("9" * 80 + " mg", "mg", "is no quantity"),
        ("5 mg**9**9**9", "mg", "is no unit"),
        ("5 mg^999999", "mg", "is no unit"),
    ],
)
def test_what_is_no_quantity_is_refused_with_its_reason(text, unit, sentence):
    with pytest.raises(ValueError, match=sentence):
        quantity(text, unit)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.text(max_size=30), st.sampled_from(["mg", "h", "1", "year", "mg/L"]))
def test_any_text_is_a_finite_number_or_a_sentence(text, unit):
    try:
        value = quantity(text, unit)
    except ValueError as error:
        assert ";" in str(error) or "is no" in str(error)
    else:
        assert math.isfinite(value)


def test_a_range_takes_its_unit_from_its_end():
    assert quantity_range("5 to 10 mg", "mg") == (5.0, 10.0)
    assert quantity_range("2.0 to 3.0", "1") == (2.0, 3.0)
    assert quantity_range("0.5 g to 2000 mg", "mg") == (500.0, 2000.0)


@pytest.mark.parametrize("text", ["3.0 to 2.0", "2.0", "2 to 3 to 4", "2-3"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError, match=r"range|first"):
        quantity_range(text, "1")
