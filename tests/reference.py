"""The one reference of all products: dense, in float64, with a bound on the error that follows from the roundings made.

A target sums in float32 in any order, rounds partials once where they are stored in half, and rounds the result once.
With M = |W| |X| elementwise, u = half the spacing of a data type at 1, and k terms in a sum:

    |y - Y| <= C * (u(y) + r * u(partials) + k * u(float32)) * M + S * tiny(y)

r = 1, and one more for each propagation step of a dynamic plan, which adds to partials that are stored already.
C = 1.01 covers products of roundings; tiny is the smallest positive number, the absolute error of results and partials
that are not normal (S = 64 of them at most meet in one result). No share of misses is allowed.
"""

from typing import Tuple

import numpy as np

C, SUMMED_PARTIALS = 1.01, 64


def half_spacing(dtype: str) -> float:
    """u: the largest relative error of rounding to `dtype`."""
    return float(np.finfo(dtype).eps) / 2


def dense_product(w: np.ndarray, x: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """(W X, |W| |X|) in float64, each (m, n), for w (m, k) and x (k, n)."""
    w, x = w.astype(np.float64), x.astype(np.float64)
    return w @ x, np.abs(w) @ np.abs(x)


def error_bound(magnitude: np.ndarray, k: int, dtype: str, partials_dtype: str, roundings: int = 1) -> np.ndarray:
    """Largest |y - Y| allowed, (m, n); magnitude: |W| |X|; roundings: of partials, r."""
    partials = half_spacing(partials_dtype) if partials_dtype != "float32" else 0.0
    relative = half_spacing(dtype) + roundings * partials + k * half_spacing("float32")
    zero, one = np.zeros(1, dtype), np.ones(1, dtype)
    return C * relative * magnitude + SUMMED_PARTIALS * float(np.nextafter(zero, one)[0])


def assert_close(
    y: np.ndarray, w: np.ndarray, x: np.ndarray, partials_dtype: str = "float32", roundings: int = 1
) -> None:
    """Fails, naming the worst element, unless every element of y is within the bound of W X."""
    exact, magnitude = dense_product(w, x)
    assert y.shape == exact.shape, f"y has shape {y.shape}, expected {exact.shape}"
    bound = error_bound(magnitude, w.shape[1], y.dtype.name, partials_dtype, roundings)
    share = np.abs(y.astype(np.float64) - exact) / bound
    worst = np.unravel_index(int(np.argmax(np.where(np.isfinite(share), share, np.inf))), share.shape)
    assert share[worst] <= 1.0, f"y{worst} = {y[worst]}, expected {exact[worst]}: {share[worst]:.3g} times the bound"
