"""The README's table of dynamic plans: against dense and the published dynamic scheme."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Dict, List, NamedTuple

from popsparse_planner import PlanOptions, plan_dynamic

from .readme import MarkerError

BEGIN = "<!-- dynamic plans: written by `python -m popsparse_py.bench readme` -->"
END = "<!-- end of dynamic plans -->"


class Row(NamedTuple):
    """Square W (m, m) of float16 with up to m * m / one_in nonzeros in blocks, n columns."""

    m: int
    block_size: int
    one_in: int
    n: int


ROWS = (
    Row(4096, 16, 16, 1024),
    Row(4096, 1, 64, 1024),
    Row(4096, 4, 16, 64),
    Row(1024, 16, 16, 256),
    Row(1024, 1, 16, 256),
)


def with_dynamic_table(text: str) -> str:
    """`text` with a fresh table between its markers, where it has them; MarkerError for one without the other."""
    counts = (text.count(BEGIN), text.count(END))
    if counts == (0, 0):
        return text
    if counts != (1, 1):
        raise MarkerError(f"expected the lines {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    return before + "\n".join([BEGIN, *table_lines(), END]) + rest.split(END)[1]


def table_lines() -> List[str]:
    """The table in Markdown; the same numbers on every machine."""
    head = "| W | b | density | n | predicted | against dense | against the published scheme | propagation |"
    return [head, "| ---: | ---: | ---: | ---: | ---: | --- | --- | ---: |", *map(_line, ROWS)]


def _line(row: Row) -> str:
    shape = (row.m, row.m)
    sizes: Dict[str, Any] = {"block_size": row.block_size, "density": Fraction(1, row.one_in)}
    measured = PlanOptions(grad_input=True)  # as the published scheme was measured
    ours = plan_dynamic(*shape, row.n, **sizes)
    published = plan_dynamic(*shape, row.n, **sizes, strategy="popsparse", options=measured)
    cells = [f"{row.m} x {row.m}", str(row.block_size), f"1/{row.one_in}", str(row.n)]
    if ours.cost is None or not ours.fits:
        return f"| {' | '.join(cells)} | does not fit | | | |"
    cells.append(f"{ours.cost.seconds * 1e6:.1f} us")
    for other in (ours.dense_cost, published.cost if published.fits else None):
        cells.append("does not fit" if other is None else compared(other.total_cycles / ours.cost.total_cycles))
    return f"| {' | '.join(cells)} | {ours.propagation_probability:.2%} |"


def compared(speedup: float) -> str:
    """How much faster, or slower in bold."""
    return f"{speedup:.2f}x faster" if speedup >= 1 else f"**{1 / speedup:.2f}x slower**"
