"""Matrices, plans and kernels as the tests of this folder need them."""

import numpy as np

from popsparse_planner.pattern import BlockPattern
from popsparse_planner.plan import StaticPlan, Step
from popsparse_planner.problem import PlanOptions
from popsparse_planner.search import plan_static
from popsparse_planner.static.evaluate import StaticModel
from popsparse_planner.target import load_target
from popsparse_py.backends.ipu_model import IpuModelBackend
from popsparse_py.formats import BlockSparseMatrix

BLOCK_SIZES = (1, 4, 8, 16)
DTYPES = (("float16", "float16"), ("float16", "float32"), ("float32", "float32"))
KINDS = ("uniform", "row_balanced", "banded", "row_skew", "col_skew", "hot_corner", "power_law")


def small_target(tiles=16, **changes):
    """Bow with few tiles."""
    return load_target("bow").replace(tiles=tiles, **changes)


def matrix_of(pattern, dtype="float16", seed=0):
    """Normally distributed values in `pattern`."""
    values = np.random.default_rng(seed).standard_normal((pattern.nnz_blocks, pattern.block_size, pattern.block_size))
    return BlockSparseMatrix(pattern, values.astype(dtype))


def random_matrix(shape, block_size, density=0.3, kind="uniform", dtype="float16", seed=0):
    """A random pattern with random values."""
    pattern = BlockPattern.random(shape, density=density, block_size=block_size, kind=kind, seed=seed)
    return matrix_of(pattern, dtype, seed)


def operand(k, n, dtype="float16", seed=1):
    """X (k, n), normally distributed."""
    return np.random.default_rng(seed).standard_normal((k, n)).astype(dtype)


def plan_of(w, n, partials_dtype=None, target=None, strategy="balanced"):
    """The plan of a matrix."""
    target = small_target() if target is None else target
    return plan_static(w.pattern, n, dtype=w.dtype, partials_dtype=partials_dtype, target=target, strategy=strategy)


def plan_with_partition(pattern, problem, partition, target=None):
    """A plan whose decision is `partition`, with its own cost and memory, whatever a search would choose."""
    target = small_target() if target is None else target
    made = StaticModel(pattern, problem, target).evaluate(partition)
    return StaticPlan(
        problem=problem,
        pattern=pattern,
        target=target,
        strategy="balanced",
        options=PlanOptions(),
        partition=partition,
        cost=made.cost,
        memory=made.memory,
        steps=tuple(Step(step.name, step.kind, step.cycles, step.repeats) for step in made.steps),
        dot_cycles=made.dot_cycles,
        tile_blocks=np.zeros(target.tiles, dtype=np.int64),
        candidates=(),
        dense_cost=None,
        reason=made.overflow or "",
    )


def plan_in_passes(w, n, partials_dtype=None, tiles=8):
    """A plan of two or more serial passes, found by taking memory away until one pass does not fit."""
    ample = plan_of(w, n, partials_dtype, small_target(tiles)).memory
    for share in (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5):
        room = int(share * ample.peak_bytes)
        plan = plan_of(w, n, partials_dtype, small_target(tiles, tile_bytes=room))
        if plan.fits and plan.partition.num_passes > 1:
            return plan
    raise AssertionError(f"no memory below {ample.peak_bytes} B makes {w!r} run in passes")


def loaded(plan, w, threads=0):
    """The kernel of `plan` with the values of `w`."""
    kernel = IpuModelBackend(threads).compile(plan)
    kernel.load(w)
    return kernel
