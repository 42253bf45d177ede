"""What more threads bring: the same product on one thread and on several, in pairs, by wall clock.

Other load on the machine lengthens one call or the other by chance, so the pairs that took least time in all, which are
those that were disturbed least, are told beside the median of all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import Any, Dict, List, Sequence, Tuple

from rich.table import Table

from ..cli.output import new_table
from .operands import Shape, operands
from .peers import Call, ours

GOAL, GOAL_WORK = 1.6, 2**24  # on two threads, where nonzeros * n is at least GOAL_WORK
_FEWEST, _MOST = 8, 400  # pairs
_QUIET_SHARE = 4  # one in so many pairs counts as quiet


@dataclass(frozen=True)
class Scaling:
    """Wall-clock seconds of pairs: (one thread, several)."""

    shape: Shape
    threads: int
    pairs: Sequence[Tuple[float, float]]

    @property
    def median(self) -> float:
        """Times faster on several threads, of all pairs."""
        return median(one / several for one, several in self.pairs)

    @property
    def quiet(self) -> float:
        """The same of the quarter of the pairs that took least time in all."""
        quietest = sorted(self.pairs, key=sum)[: max(1, len(self.pairs) // _QUIET_SHARE)]
        return median(one / several for one, several in quietest)

    @property
    def of_minima(self) -> float:
        """Fastest call on one thread over the fastest on several."""
        return min(one for one, _ in self.pairs) / min(several for _, several in self.pairs)

    @property
    def work(self) -> int:
        """Nonzeros * n."""
        return self.shape.flops // 2

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        shape = self.shape
        return {
            **{name: getattr(shape, name) for name in ("m", "k", "n", "block_size", "product", "dtype")},
            "density": str(shape.density),
            "threads": self.threads,
            "work": self.work,
            "pairs": len(self.pairs),
            "median": self.median,
            "quiet_quarter": self.quiet,
            "of_minima": self.of_minima,
        }


def measure_scaling(shape: Shape, threads: int, budget_seconds: float) -> Scaling:
    """Pairs of calls in alternating order for about budget_seconds, each the second of two."""
    data = operands(shape)
    calls = (ours(data, 1), ours(data, threads))
    pairs: List[Tuple[float, float]] = []
    end = time.perf_counter() + budget_seconds
    while len(pairs) < _FEWEST or (time.perf_counter() < end and len(pairs) < _MOST):
        if len(pairs) % 2:
            several, one = _seconds(calls[1]), _seconds(calls[0])
        else:
            one, several = _seconds(calls[0]), _seconds(calls[1])
        pairs.append((one, several))
    return Scaling(shape, threads, pairs)


def _seconds(call: Call) -> float:
    call()
    start = time.perf_counter()
    call()
    return max(time.perf_counter() - start, 1e-9)


def verdict(found: Sequence[Scaling]) -> str:
    """In a line, for the products that are large enough."""
    large = [one for one in found if one.work >= GOAL_WORK]
    if not large:
        return f"no product has nonzeros * n of at least {GOAL_WORK:,}"
    kept = [one for one in large if max(one.quiet, one.of_minima) >= GOAL]
    return (
        f"{large[0].threads} threads are at least {GOAL} times as fast as one where least disturbed on {len(kept)} of "
        f"{len(large)} products with nonzeros * n of at least {GOAL_WORK:,}"
    )


def table(found: Sequence[Scaling]) -> Table:
    """One row a product."""
    view = new_table("times faster than one thread, by wall clock, in pairs")
    for name in ("product", "m", "k", "n", "b", "d", "threads", "nonzeros * n", "median", "quiet quarter", "of minima"):
        view.add_column(name, justify="right")
    for one in found:
        s = one.shape
        numbers = (one.median, one.quiet, one.of_minima)
        row = (f"{s.product} {s.dtype}", s.m, s.k, s.n, s.block_size, s.density, one.threads, f"{one.work:,}")
        view.add_row(*map(str, row), *(f"{number:.2f}" for number in numbers))
    return view
