"""The README's table of predicted speed-ups over dense, rows where sparse loses included."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from popsparse_planner import BlockPattern, PopsparseError, plan_static
from popsparse_planner.dense_fit import validate_dense

BEGIN = "<!-- predicted speed-ups: written by `python -m popsparse_py.bench readme` -->"
END = "<!-- end of predicted speed-ups -->"


class Row(NamedTuple):
    """A product of a square W (m, m), uniform random blocks, with n columns; density is 1 / one_in."""

    m: int
    block_size: int
    one_in: int
    n: int
    dtype: str


ROWS = (
    Row(4096, 16, 16, 1024, "float16"),
    Row(4096, 16, 4, 1024, "float16"),
    Row(4096, 4, 16, 1024, "float16"),
    Row(1024, 1, 32, 1024, "float16"),
    Row(1024, 1, 8, 1024, "float16"),
    Row(2048, 16, 16, 1024, "float32"),
    Row(1024, 16, 8, 256, "float16"),
    Row(1024, 4, 4, 256, "float16"),
    Row(512, 16, 2, 64, "float16"),
)


class MarkerError(PopsparseError, ValueError):
    """A file has no place for the table."""


def with_table(text: str) -> str:
    """`text` with a fresh table between the lines BEGIN and END; MarkerError if it lacks one of them."""
    return between(text, BEGIN, END, [*table_lines(), "", baseline_line()])


def between(text: str, begin: str, end: str, lines: Sequence[str]) -> str:
    """`text` with these lines between the lines begin and end; MarkerError if it lacks one of them."""
    for marker in (begin, end):
        if text.count(marker) != 1:
            raise MarkerError(f"expected the line {marker} once, found it {text.count(marker)} times")
    before, rest = text.split(begin)
    return before + "\n".join([begin, *lines, end]) + rest.split(end)[1]


def table_lines() -> List[str]:
    """The table in Markdown; the same numbers on every machine, as plans are deterministic."""
    head = "| W | b | density | n | dtype | predicted | TFLOP/s of nonzeros | against dense |"
    return [head, "| ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |", *(_line(row) for row in ROWS)]


def baseline_line() -> str:
    """How well the dense baseline agrees with published measurements, in a sentence."""
    summary = validate_dense().summary["all"]
    return (
        f"The dense baseline differs by {summary.rms:.1%} rms, {summary.worst:.1%} at most, from the {summary.points} "
        "published measurements on a Bow that three of\nits coefficients are fitted to. The sparse side has five "
        "coefficients fitted to 151 published float16 measurements of\nthe published static library: 9.4% rms, 22% at "
        "most (`popsparse validate`). `bow.toml` names the source of each number."
    )


def _line(row: Row) -> str:
    pattern = BlockPattern.random((row.m, row.m), density=1 / row.one_in, block_size=row.block_size)
    plan = plan_static(pattern, row.n, dtype=row.dtype)
    sizes = f"| {row.m} x {row.m} | {row.block_size} | 1/{row.one_in} | {row.n} | {row.dtype} "
    if plan.cost is None or not plan.fits or plan.speedup_vs_dense is None:
        return f"{sizes}| does not fit | | |"
    speedup = plan.speedup_vs_dense
    compared = f"{speedup:.2f}x faster" if speedup >= 1 else f"**{1 / speedup:.2f}x slower**"
    return f"{sizes}| {plan.cost.seconds * 1e6:.1f} us | {plan.tflops:.1f} | {compared} |"
