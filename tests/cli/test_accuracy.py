"""The bound that `popsparse run` holds results to: kept by correct rounding, broken by anything more."""

import numpy as np
import pytest

from popsparse_py.cli.accuracy import Accuracy, measure_accuracy


def product(dtype: str, partials_dtype: str, num_partials: int) -> tuple:
    """(w, x, y): y summed in float32, each part rounded to partials_dtype, rounded once more at the end."""
    rng = np.random.default_rng(1)
    w, x = rng.standard_normal((40, 96)).astype(dtype), rng.standard_normal((96, 24)).astype(dtype)
    total = np.zeros((40, 24), dtype=np.float32)
    for part in np.array_split(np.arange(96), num_partials):
        total += (w[:, part].astype(np.float32) @ x[part].astype(np.float32)).astype(partials_dtype).astype(np.float32)
    return w, x, total.astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "partials", "parts"), [("float16", "float32", 3), ("float16", "float16", 8), ("float32", "float32", 1)]
)
def test_correct_rounding_keeps_the_bound(dtype: str, partials: str, parts: int) -> None:
    w, x, y = product(dtype, partials, parts)
    found = measure_accuracy(w, x, y, dtype=dtype, partials_dtype=partials, num_partials=parts)
    assert found.ok
    assert 0.0 < found.worst_ratio <= 1.0
    error = np.abs(y.astype(np.float64) - w.astype(np.float64) @ x.astype(np.float64))
    assert (found.max_error, error[found.at]) == (error.max(), error.max())


def test_one_missing_product_breaks_the_bound() -> None:
    w, x, y = product("float16", "float32", 1)
    y[7, 3] -= w[7, 50] * x[50, 3]
    found = measure_accuracy(w, x, y, dtype="float16", partials_dtype="float32", num_partials=1)
    assert not found.ok
    assert found.at == (7, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_breaks_the_bound(value: float) -> None:
    w, x, y = product("float32", "float32", 1)
    y[0, 1] = value
    found = measure_accuracy(w, x, y, dtype="float32", partials_dtype="float32", num_partials=1)
    assert (found.ok, found.at) == (False, (0, 1))
    assert found.to_dict()["max_error"] is None


def test_empty_matrix_is_exact() -> None:
    w, x = np.zeros((4, 4), np.float16), np.ones((4, 2), np.float16)
    found = measure_accuracy(w, x, w[:, :2], dtype="float16", partials_dtype="float32", num_partials=0)
    assert isinstance(found, Accuracy)
    assert (found.ok, found.max_error) == (True, 0.0)
