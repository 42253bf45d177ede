"""What target "cuda" is to reach on a GPU, and what a report of `popsparse_py.bench gpu` says of each goal."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

Report = Dict[str, Any]
Row = Dict[str, Any]
_SIXTEENTH = Fraction(1, 16)
DENSITIES = tuple(Fraction(1, 2**i) for i in range(2, 7))
# Times faster than cuBLAS, W (4096, 4096) in blocks, n = 4096, bfloat16, by density; None: a dense copy is used.
SPEEDUPS: Dict[int, Sequence[Optional[float]]] = {
    1: (None, None, None, 0.95, 1.8),
    4: (None, 0.9, 1.7, 3.3, 6.0),
    8: (0.9, 1.7, 3.3, 5.0, 6.5),
    16: (1.7, 2.6, 3.6, 5.0, 7.0),
    32: (1.8, 2.7, 3.9, 5.6, 7.5),
    64: (2.0, 3.1, 5.0, 7.5, 8.0),
    128: (2.5, 4.7, 7.5, 8.2, 8.5),
}
# Times faster than the fastest of these libraries, at every density.
OVER_PEERS: Dict[int, Tuple[float, Tuple[str, ...]]] = {
    1: (3.0, ("cusparse_csr", "torch_csr")),
    4: (5.0, ("cusparse_bsr",)),
    8: (5.0, ("cusparse_bsr",)),
    16: (2.5, ("torch_bsr_tuned", "blksprs")),
    32: (2.0, ("torch_bsr_tuned", "blksprs")),
    64: (1.6, ("torch_bsr_tuned", "blksprs")),
    128: (1.4, ("torch_bsr_tuned", "blksprs", "stk")),
}


class Goal(NamedTuple):
    """A number that a report should hold: found(report), None where the report does not say."""

    name: str
    limit: float
    at_least: bool
    found: Callable[[Report], Optional[float]]

    def is_met(self, report: Report) -> Optional[bool]:
        """Whether the report keeps the limit, None where it does not say."""
        value = self.found(report)
        if value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit


def speedup(row: Row, over: str = "dense", name: str = "popsparse") -> Optional[float]:
    """Times faster than `over`, None where one of them was not timed."""
    seconds = row.get("seconds", {})
    return seconds[over] / seconds[name] if over in seconds and name in seconds else None


def over_peers(row: Row) -> Optional[float]:
    """Times faster than the fastest of the libraries of OVER_PEERS that were timed."""
    ratios = [speedup(row, peer) for peer in OVER_PEERS[row["block_size"]][1]]
    return min((ratio for ratio in ratios if ratio is not None), default=None)


def rows_of(report: Report, stage: str, **fields: Any) -> List[Row]:
    """The rows of a stage with these fields; b and d stand for block_size and density."""
    names = {"b": "block_size", "d": "density"}
    wanted = {names.get(name, name): str(value) if name == "d" else value for name, value in fields.items()}
    return [row for row in report.get(stage, []) if all(row.get(name) == value for name, value in wanted.items())]


def _least(found: Iterable[Optional[float]]) -> Optional[float]:
    known = list(found)
    return min((one for one in known if one is not None), default=None) if None not in known else None


def _most(found: Iterable[Optional[float]]) -> Optional[float]:
    least = _least(None if one is None else -one for one in found)
    return None if least is None else -least


def _trained(b: int) -> Callable[[Report], Optional[float]]:
    return lambda report: _least(speedup(row) for row in rows_of(report, "training", b=b))


def _decoded(density: Fraction) -> Callable[[Report], Optional[float]]:
    def found(report: Report) -> Optional[float]:
        rows = rows_of(report, "decode", d=density)
        return _least(speedup(row) for row in rows if row["block_size"] >= 16 and row["n"] <= 16)

    return found


def _decode_share(report: Report) -> Optional[float]:
    copied = report.get("ceilings", {}).get("copy_bytes_per_second")
    rows = [row for row in rows_of(report, "decode", d=_SIXTEENTH, n=16) if row["block_size"] >= 16]
    if copied is None or any("seconds" not in row for row in rows):
        return None
    return _least(row["plan"]["memory_bytes"] / row["seconds"]["popsparse"] / copied for row in rows)


def _added(report: Report) -> Optional[float]:
    rows = [row["seconds"] for row in rows_of(report, "dynamic", b=16, d=Fraction(1, 4)) if "seconds" in row]
    return _most((row["popsparse"] - row["static"]) * 1e6 for row in rows)


def _of_static(report: Report) -> Optional[float]:
    rows = [row for row in rows_of(report, "dynamic") if Fraction(row["density"]) <= _SIXTEENTH]
    return _least(speedup(row, "static") for row in rows)


def _skewed(report: Report) -> Optional[float]:
    found = []
    for row in rows_of(report, "skew", kind="power_law"):
        uniform = rows_of(report, "skew", kind="uniform", b=row["block_size"])
        times = [one["seconds"]["popsparse"] for one in (row, *uniform) if "seconds" in one]
        found.append(times[0] / times[1] if len(times) == 2 else None)
    return _most(found)


def _float32(report: Report) -> Optional[float]:
    rows = rows_of(report, "float32", dtype="float32")
    ratios = [(speedup(row), float(Fraction(row["density"]))) for row in rows]
    return _least(None if ratio is None else ratio * density for ratio, density in ratios)


def _hosted(report: Report) -> Optional[float]:
    seconds = report.get("host", {}).get("product_seconds")
    return None if seconds is None else seconds * 1e6


def _chosen(report: Report) -> Optional[float]:
    return _most(speedup(row, "auto", "dense") for row in rows_of(report, "auto"))


def _crossing(stage: str, density: Fraction) -> Callable[[Report], Optional[float]]:
    return lambda report: _least(speedup(row) for row in rows_of(report, stage, b=16, d=density))


GOALS = (
    Goal("forward and backward, b = 16, density 1/16: times faster than dense", 2.8, True, _trained(16)),
    Goal("forward and backward, b = 64, density 1/16: times faster than dense", 4.0, True, _trained(64)),
    Goal(
        "a new pattern, b = 16, density 1/4 (16,384 blocks at 4096): microseconds more than static", 8.0, False, _added
    ),
    Goal("a new pattern at every call, density to 1/16: rate over that of the static product", 0.8, True, _of_static),
    Goal(
        "a new pattern, b = 16, density 0.35: times faster than dense", 1.0, True, _crossing("dynamic", Fraction(7, 20))
    ),
    Goal("few columns, W 16384, n to 16, b from 16, 1/16: times faster than dense", 8.0, True, _decoded(_SIXTEENTH)),
    Goal("the same, density 1/4", 3.0, True, _decoded(Fraction(1, 4))),
    Goal("the same, 1/16, n = 16: share of the rate of a copy", 0.9, True, _decode_share),
    Goal("float32, b from 8: times faster than dense, times the density", 0.75, True, _float32),
    Goal("power law of rows: time over that of a uniform pattern", 1.25, False, _skewed),
    Goal("a product's cost on the host, microseconds", 12.0, False, _hosted),
    Goal("auto: time over that of dense", 1.05, False, _chosen),
    Goal("b = 16, density 1/2: times faster than dense", 1.0, True, _crossing("timing", Fraction(1, 2))),
)
