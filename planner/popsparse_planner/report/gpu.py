"""The report of a plan for target "cuda": the same questions as of a chip's plan, answered in bytes and seconds."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..cuda_plan import CudaPlan, plan_cuda
from ..cuda_profile import load_gpu_profile
from ..pattern import BlockPattern
from .crossover import DENSITIES, break_even
from .facts import fraction_words

GPU_SCHEMA = "popsparse.gpu-report/1"
MEANING = {
    "memory": "bytes through HBM, each operand once",
    "l2": "bytes from the L2 cache to the multiprocessors",
    "shared": "bytes read from and written to shared memory",
    "operations": "products on tensor cores, or multiply-adds",
}
_BLOCK_SIZES = (4, 8, 16, 64)
_MOST_BLOCKS = 1 << 19  # of a pattern that is planned for comparison only


def gpu_fields(plan: CudaPlan) -> Dict[str, Any]:
    """The JSON object of a plan's report; seconds and bytes, all predicted. Crossover: of uniform random patterns."""
    cells = [_cell(plan, b, density) for b in _sizes(plan) for density in DENSITIES]
    found = [cell for cell in cells if cell]
    cross = {
        "densities": list(DENSITIES),
        "block_sizes": list(_sizes(plan)),
        "cells": found,
        "break_even": {str(b): break_even([c for c in found if c["block_size"] == b]) for b in _sizes(plan)},
    }
    m, k = plan.shape
    return {
        "schema": GPU_SCHEMA,
        "verdict": _verdict(plan, found),
        "target": {"name": plan.gpu, "machine": plan.machine.name},
        "problem": {
            "mode": "cuda",
            "m": m,
            "k": k,
            "n": plan.n,
            "dtype": plan.dtype,
            "arithmetic": plan.arithmetic,
            "transposed": plan.transposed,
            "by_rows": plan.by_rows,
            "block_size": plan.block_size,
            "nnz_blocks": plan.blocks,
            "density": _density(plan),
        },
        "bounds": _bounds(plan),
        "kernel": plan.kernel,
        "tile": _tile(plan),
        "counts": dict(vars(plan.count)),
        "dense_seconds": plan.dense_seconds,
        "memory_bytes": plan.memory_bytes,
        "crossover": cross,
        "rates": {name: _fact(fact) for name, fact in sorted(load_gpu_profile(plan.gpu).facts.items())},
        "provenance": {
            "numbers": "Every number is predicted from counted bytes and operations; none was measured on a GPU",
            "pattern_sha256": None,
            "target_sha256": None,
        },
    }


def _fact(fact: Any) -> Dict[str, Any]:
    """Value, unit and status of a profile's fact."""
    return {"value": fact.value, "unit": fact.unit, "status": fact.status}


def _tile(plan: CudaPlan) -> Optional[Dict[str, Any]]:
    tile = plan.tile
    if tile is None:
        return None
    size = {"rows": tile.rows, "columns": tile.columns, "cluster": tile.cluster, "together": tile.together}
    return {**size, "blocks_of_threads": plan.count.blocks}


def _density(plan: CudaPlan) -> float:
    """Stored blocks over all."""
    (m, k), b = plan.shape, plan.block_size
    return plan.blocks / (-(-m // b) * -(-k // b))


def _sizes(plan: CudaPlan) -> Tuple[int, ...]:
    """The plan's block size among others."""
    others = [b for b in _BLOCK_SIZES if b != plan.block_size]
    return tuple(sorted([plan.block_size, *others[-3:]]))


def _cell(plan: CudaPlan, b: int, density: float) -> Dict[str, Any]:
    """A uniform random pattern in the plan's place; empty where it has no block, or too many to plan quickly."""
    rows, columns = (-(-side // b) for side in plan.shape)
    blocks = round(density * rows * columns)
    if not 1 <= blocks <= _MOST_BLOCKS:
        return {}
    pattern = BlockPattern.random(plan.shape, density=density, block_size=b, seed=0)
    other = plan_cuda(pattern, plan.n, dtype=plan.dtype, by_rows=plan.by_rows, machine=plan.machine, tf32=plan.tf32)
    return {
        "block_size": b,
        "density": density,
        "seconds": other.cost.total_seconds,
        "speedup_vs_dense": other.speedup_vs_dense,
        "fits": other.fits,
    }


def _bounds(plan: CudaPlan) -> List[Dict[str, Any]]:
    cost, count = plan.cost, plan.count
    amounts = {
        "memory": (count.memory_bytes, "B", cost.memory_seconds),
        "l2": (count.l2_bytes, "B", cost.l2_seconds),
        "shared": (count.shared_bytes, "B", cost.shared_seconds),
        "operations": (count.flops, "FLOP", cost.operations_seconds),
    }
    return [
        {"bound": name, "meaning": MEANING[name], "amount": amount, "unit": unit, "seconds": seconds}
        for name, (amount, unit, seconds) in amounts.items()
    ]


def _verdict(plan: CudaPlan, cells: List[Dict[str, Any]]) -> Dict[str, Any]:
    room = int(load_gpu_profile(plan.gpu)["memory_bytes"])
    fit = f"Fits: {plan.memory_bytes:,} of {room:,} B of memory."
    if not plan.fits:
        fit = f"Does not fit: needs {plan.memory_bytes:,} B of memory, the GPU has {room:,} B."
    faster = not plan.dense_is_faster
    word = "Faster" if faster else "Slower"
    after = "" if faster else "; torch layers, and products with target auto, use a dense copy of W instead"
    seconds, bound = plan.cost.total_seconds, plan.cost.bound
    hint = None if faster else _hint(plan, cells)
    sentences = [
        fit,
        f"{word} than dense: predicted {plan.speedup_vs_dense:.2f}x{after}. Never measured on a GPU.",
        f"Predicted time {seconds * 1e6:,.1f} us, dense {plan.dense_seconds * 1e6:,.1f} us; {plan.tflops:,.1f} TFLOP/s "
        "useful.",
        f"Bottleneck: {bound} ({MEANING[bound]}).",
        *([hint] if hint else []),
    ]
    return {
        "fits": plan.fits,
        "faster_than_dense": "yes" if faster else "no",
        "speedup_vs_dense": plan.speedup_vs_dense,
        "seconds": seconds,
        "bottleneck": bound,
        "hint": hint,
        "sentences": sentences,
    }


def _hint(plan: CudaPlan, cells: List[Dict[str, Any]]) -> str:
    """The nearest uniform pattern that is predicted to be faster than dense; "" where none is."""
    density, b = _density(plan), plan.block_size
    won = [cell for cell in cells if cell["speedup_vs_dense"] > 1 and cell["density"] <= density]
    larger = [cell for cell in won if cell["block_size"] > b]
    sparser = [cell for cell in won if cell["block_size"] == b]
    words = [
        f"blocks of {best['block_size']} at density {fraction_words(best['density'])}: {best['speedup_vs_dense']:.2f}x"
        for best in (
            *sorted(larger, key=lambda c: (-c["density"], c["block_size"]))[:1],
            *sorted(sparser, key=lambda c: -c["density"])[:1],
        )
    ]
    return f"Hint: {', or '.join(words)}." if words else ""


def gpu_headline(fields: Mapping[str, Any]) -> str:
    """The product and the machine in one line."""
    p = fields["problem"]
    turned = " transposed" if p["transposed"] else ""
    kind = p["dtype"] if p["arithmetic"] == p["dtype"] else f"{p['dtype']} in TF32"
    return (
        f"cuda: ({p['m']:,} x {p['k']:,}) W{turned} times ({p['k']:,} x {p['n']:,}) X on {fields['target']['name']}, "
        f"{kind}; W has {p['nnz_blocks']:,} blocks of {p['block_size']} x {p['block_size']}, density {p['density']:.4g}"
    )
