"""A computed product against the same product in float64, with a bound on what rounding may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Tuple

import numpy as np

_UNIT_ROUNDOFF = {"float16": 2.0**-11, "float32": 2.0**-24}  # of one rounding to nearest
_HALF_SUBNORMAL = {"float16": 2.0**-25, "float32": 2.0**-150}  # largest error of a rounding among the subnormals


@dataclass(frozen=True)
class Accuracy:
    """The largest error |y - (W X)|, where it is, the bound there, and the largest error / bound of all elements.

    statement: the bound as a formula of |W||X|, elementwise. ok: no element exceeds its own bound.
    """

    max_error: float
    at: Tuple[int, int]
    bound_there: float
    worst_ratio: float
    statement: str

    @property
    def ok(self) -> bool:
        """Whether every element keeps its bound; NaN and infinity do not."""
        return self.worst_ratio <= 1.0

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields; an error that is no number is None."""
        numbers = (self.max_error, self.bound_there, self.worst_ratio)
        error, bound, ratio = (number if np.isfinite(number) else None for number in numbers)
        fields = {"max_error": error, "at": list(self.at), "bound_there": bound, "worst_ratio": ratio}
        return {**fields, "bound": self.statement, "ok": self.ok}


def measure_accuracy(
    w: np.ndarray,  # (m, k), dropped blocks 0
    x: np.ndarray,  # (k, n)
    y: np.ndarray,  # (m, n), computed
    *,
    dtype: str,
    partials_dtype: str,
    num_partials: int,
) -> Accuracy:
    """The error of y against W X in float64.

    Products are summed in float32: a row of c nonzeros errs by at most c u32 |W||X| in any order. Each sum is rounded
    once to the data type, and each of its num_partials parts once to partials_dtype (Higham, Accuracy and Stability of
    Numerical Algorithms, 2nd ed., sec. 3.1 and 4.2). The factor 1.01 covers the terms of higher order.
    """
    w, x = w.astype(np.float64), x.astype(np.float64)
    row = int(np.count_nonzero(w, axis=1).max(initial=0))
    roundings = _UNIT_ROUNDOFF[dtype] + (_UNIT_ROUNDOFF["float16"] if partials_dtype == "float16" else 0.0)
    factor = 1.01 * (row * _UNIT_ROUNDOFF["float32"] + roundings)
    least = _HALF_SUBNORMAL[dtype] + num_partials * _HALF_SUBNORMAL[partials_dtype]
    bound = factor * (np.abs(w) @ np.abs(x)) + least
    error = np.abs(y.astype(np.float64) - w @ x)
    error[np.isnan(error)] = np.inf
    at = np.unravel_index(int(error.argmax()), error.shape)
    return Accuracy(
        max_error=float(error[at]),
        at=(int(at[0]), int(at[1])),
        bound_there=float(bound[at]),
        worst_ratio=float((error / bound).max()),
        statement=f"{factor:.3g} |W||X| + {least:.3g}",
    )
