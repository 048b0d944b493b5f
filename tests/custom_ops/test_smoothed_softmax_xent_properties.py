"""SmoothedSoftmaxXent and its composite on logits, labels and options of all kinds, against the float64 reference."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

import custom_ops
from tests.custom_ops.xent_reference import in_bfloat16, loss_and_gradient, reference

SPECIAL = [np.inf, -np.inf, np.nan]
NO_CLASS = -100
LARGEST, TINY = np.finfo(np.float32).max, np.finfo(np.float32).tiny


class Case(NamedTuple):
    logits: np.ndarray  # numbers of bfloat16, in float32
    labels: np.ndarray
    weights: np.ndarray
    options: dict[str, Any]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any rank, empty batches, ties, huge logits, infinities and NaN, ignored rows; share 0 or all for the label."""
    shape = (*draw(st.lists(st.integers(0, 8), min_size=1, max_size=3)), draw(st.integers(1, 3000)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = random.normal(scale=draw(st.sampled_from([1.0, 30.0, 1e4, 1e30])), size=shape)
    if draw(st.booleans()):
        logits = np.sign(logits) * np.abs(logits).max(initial=0)  # ties only
    if logits.size:
        for value in draw(st.lists(st.sampled_from(SPECIAL), max_size=6)):
            logits.flat[random.integers(logits.size)] = value
    labels = random.integers(0, shape[-1], size=shape[:-1])
    options: dict[str, Any] = {
        "label_smoothing": draw(st.sampled_from([0.0, 1.0]) | st.floats(2**-10, 1, width=32)),
        "z_loss": draw(st.sampled_from([0.0]) | st.floats(2**-20, 2**-6, width=32)),
    }
    if draw(st.booleans()):
        options["ignore_index"] = draw(st.sampled_from([NO_CLASS, 0]))
        labels[random.random(labels.shape) < 0.3] = options["ignore_index"]
    return Case(in_bfloat16(logits), labels, random.uniform(0, 2, labels.shape).astype(np.float32), options)


@np.errstate(all="ignore")
def assert_close(found: np.ndarray, expected: np.ndarray, rounding: float, error_of_terms: np.ndarray) -> None:
    """To `rounding` of the value and what may go wrong with the terms it is the sum of; bit by bit if not finite."""
    expected = np.where(np.abs(expected) < LARGEST, expected, np.sign(expected) * np.inf)
    found, finite = found.astype(np.float64), np.isfinite(expected)
    np.testing.assert_array_equal(np.where(finite, 0, found), np.where(finite, 0, expected))
    error = np.abs(found - expected) / (rounding * np.abs(expected) + error_of_terms + TINY)
    assert (error <= 1)[finite].all(), f"largest: {error[finite].max()} of what is allowed"


@np.errstate(all="ignore")
def check(case: Case, dtype: str, unit: float) -> None:
    """By what custom_ops runs now. `unit`: the error of a sum over all classes, relative to its largest term."""
    logits, labels, weights, options = case
    loss, gradient = loss_and_gradient(tf.cast(logits, dtype), labels, weights=weights, **options)
    expected_loss, expected_gradient = reference(logits, labels, **options)
    largest = np.where(np.isfinite(logits), np.abs(logits.astype(np.float64)), 0).max(axis=-1, initial=1)
    z_term = options["z_loss"] * (largest + np.log(logits.shape[-1]))
    assert_close(loss, weights * expected_loss, 2.0**-23, unit * weights * (largest + z_term * largest + 9))
    # Of the exponential of a difference, at most 88 and rounded: a unit of its last place.
    rounding = 88 * 2.0**-24 + (2.0**-8 if dtype == "bfloat16" else 0)
    weights = weights[..., None]
    assert_close(gradient, weights * expected_gradient, rounding, unit * weights * (1 + 2 * z_term[..., None]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@given(case=cases())
def test_any_case_equals_the_float64_reference(case: Case, dtype: str) -> None:
    check(case, dtype, 2.0**-21)
    with custom_ops.composite():
        check(case, dtype, 2.0**-19)  # TensorFlow adds in float32


@given(
    classes=st.integers(1, 300),
    labels=st.lists(st.integers(-5, 300), min_size=1, max_size=40),
    wrong=st.integers(-(2**63), 2**63 - 1),
    ignored=st.booleans(),
)
def test_any_label_out_of_range_is_refused_or_ignored(
    classes: int, labels: list[int], wrong: int, ignored: bool
) -> None:
    assume(not 0 <= wrong < classes)
    of_rows = np.array([label % classes for label in labels])
    of_rows[len(labels) // 2] = wrong
    logits = np.zeros((len(labels), classes), np.float32)
    if ignored:
        expected = np.where(of_rows == wrong, 0, np.log(classes))
        np.testing.assert_allclose(loss_and_gradient(logits, of_rows, ignore_index=wrong)[0], expected, rtol=1e-6)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"\[{len(labels) // 2}\] = {wrong} is outside"):
            custom_ops.smoothed_softmax_xent(logits, of_rows)
