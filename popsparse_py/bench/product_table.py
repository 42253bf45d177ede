"""The README's table of products measured on a processor, from what `popsparse bench --json` printed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Dict, List, Sequence

_SHOWN_DENSITIES = (Fraction(1, 4), Fraction(1, 16), Fraction(1, 64))
_SHOWN_N = 64
_SIZES = ("m", "k", "n", "block_size", "density", "product", "dtype")


def merged(files: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """What several calls of `popsparse bench --json` on one machine printed, as one; seconds without what follows."""
    kept = ("min_seconds", "median_seconds", "rounds")
    rows = []
    for row in (row for file in files for row in file["comparisons"]):
        candidates = {name: {key: one[key] for key in kept} for name, one in row["candidates"].items()}
        rows.append({**{key: row[key] for key in _SIZES}, "candidates": candidates})
    loads = [file["load_averages"] for file in files]
    return {"machine": files[0]["machine"], "threads": 1, "load_averages": loads, "comparisons": rows}


def lines(found: Dict[str, Any]) -> List[str]:
    """Markdown: the machine, the table, how the rows were chosen."""
    rows = found["comparisons"]
    lost = [row for row in rows if _is_lost(row)]
    shown = [row for row in rows if _is_lost(row) or _is_typical(row)]
    head = "| product | W | b | density | n | GFLOP/s of nonzeros | against dense | best sparse library | against it |"
    return [
        _machine_line(found["machine"]),
        "",
        head,
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- | --- |",
        *(_line(row) for row in shown),
        "",
        f"{len(rows)} products were timed, beside {_names(rows)}. Slower than dense or than a sparse",
        f"library are {len(lost)}, all of which are in the table. One thread, CPU time, medians of calls in turns in",
        "one process; dense is `torch.mm` of the same type. The forward product of float32 has most libraries.",
    ]


def _machine_line(machine: Dict[str, Any]) -> str:
    versions = machine["versions"]
    libraries = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "scipy", "mkl", "sparselab") if name in versions
    )
    return f"Measured on {machine['processor']}, {machine['tiers'][0]} instructions, other load beside it; {libraries}."


def _is_typical(row: Dict[str, Any]) -> bool:
    if row["n"] != _SHOWN_N or Fraction(row["density"]) not in _SHOWN_DENSITIES:
        return False
    is_plain = (row["product"], row["dtype"]) == ("forward", "float32")
    return is_plain or (row["block_size"] in (4, 16) and row["density"] == "1/16")


def _is_lost(row: Dict[str, Any]) -> bool:
    return any(_ratio(row, name) < 1 for name in _rivals(row))


def _rivals(row: Dict[str, Any]) -> List[str]:
    return [name for name in row["candidates"] if not name.startswith("popsparse")]


def _ratio(row: Dict[str, Any], name: str) -> float:
    """How many times faster ours is than `name`, by medians."""
    candidates = row["candidates"]
    return float(candidates[name]["median_seconds"] / candidates["popsparse"]["median_seconds"])


def _names(rows: Sequence[Dict[str, Any]]) -> str:
    found = {name.split("+")[0] for row in rows for name in _rivals(row)}
    return ", ".join(sorted(found))


def _line(row: Dict[str, Any]) -> str:
    m, k, b, density, n = (row[name] for name in ("m", "k", "block_size", "density", "n"))
    flops = 2 * float(Fraction(density)) * m * k * n
    peers = [name for name in _rivals(row) if name != "dense"]
    best = min(peers, key=lambda name: _ratio(row, name), default="")
    cells = [f"{row['product']} {row['dtype']}", f"{m} x {k}", str(b), density, str(n)]
    cells.append(f"{flops / row['candidates']['popsparse']['median_seconds'] / 1e9:.0f}")
    cells += [_compared(row, "dense"), best, _compared(row, best)]
    return f"| {' | '.join(cells)} |"


def _compared(row: Dict[str, Any], name: str) -> str:
    if name not in row["candidates"]:
        return ""
    ratio = _ratio(row, name)
    return f"{ratio:.2f}x faster" if ratio >= 1 else f"**{1 / ratio:.2f}x slower**"
