"""Products on the model against float64: data types, block sizes, kinds of pattern, shapes, partitions."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from products import (
    BLOCK_SIZES,
    DTYPES,
    KINDS,
    loaded,
    matrix_of,
    operand,
    plan_in_passes,
    plan_of,
    plan_with_partition,
    random_matrix,
    small_target,
)
from reference import assert_close
from static_cases import static_cases, two_cuts

from popsparse_planner import PlanOptions, plan_static
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem
from popsparse_planner.static.merged import merged
from popsparse_planner.target import load_target


def check(plan, w, x):
    y = loaded(plan, w).run(x).y
    assert y.dtype.name == plan.problem.dtype
    assert_close(y, w.to_dense(), x, plan.problem.partials_dtype)
    return y


@pytest.mark.parametrize("dtypes", DTYPES, ids="/".join)
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_every_type_and_block_size_on_the_whole_chip(dtypes, block_size):
    b = block_size
    w = random_matrix((23 * b - b // 2, 19 * b - b // 3), b, dtype=dtypes[0])
    check(plan_of(w, 37, dtypes[1], load_target("bow")), w, operand(w.shape[1], 37, dtypes[0]))


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_pattern(kind, block_size):
    b, dtypes = block_size, DTYPES[(KINDS.index(kind) + block_size) % 3]
    w = random_matrix((14 * b, 17 * b), b, 0.2, kind, dtypes[0], seed=3)
    check(plan_of(w, 13, dtypes[1]), w, operand(w.shape[1], 13, dtypes[0]))


def edge_mask(name):
    mask = np.zeros((9, 11), dtype=bool)
    places = {"empty": (), "one block": (4, 5), "full": (...,), "one row": (3,), "one column": (slice(None), 7)}
    if places[name]:
        mask[places[name]] = True
    return mask


@pytest.mark.parametrize("strategy", ["balanced", "popsparse"])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("name", ["empty", "one block", "full", "one row", "one column"])
def test_edge_patterns(name, block_size, strategy):
    pattern = BlockPattern.from_mask(edge_mask(name), block_size=block_size)
    w = matrix_of(pattern)
    plan = plan_of(w, 10, target=small_target(), strategy=strategy)
    if plan.partition is None:
        pytest.skip(f"the published partitioner has no plan for this pattern: {plan.reason}")
    y = check(plan, w, operand(w.shape[1], 10))
    rows_without_blocks = np.setdiff1d(np.arange(9), pattern.rows)
    zeros = y.reshape(9, block_size, 10)[rows_without_blocks]
    assert not zeros.view(np.uint16).any(), "rows without blocks are +0 exactly"


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (17, 3, 5), (16, 33, 1), (31, 64, 4), (64, 31, 7), (5, 160, 67)])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_ragged_shapes(block_size, m, k, n):
    w = random_matrix((m, k), block_size, 0.7, dtype="float32")
    check(plan_of(w, n), w, operand(k, n, "float32"))


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_published_plans_with_parts_of_n(dtype, block_size):
    w = random_matrix((12 * block_size, 12 * block_size), block_size, 0.4, dtype=dtype)
    plan = plan_of(w, 150, strategy="popsparse")
    assert (plan.partition.values, plan.partition.reduce_at) == ("broadcast", "sources")
    assert plan.grid.qn > 1
    check(plan, w, operand(w.shape[1], 150, dtype))


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize(("values", "reduce_at"), [("broadcast", "sources"), ("resident", "home")])
def test_parts_of_n_on_different_numbers_of_tiles(block_size, values, reduce_at):
    w = random_matrix((12 * block_size, 10 * block_size), block_size, 0.4)
    problem = Problem(*w.shape, 42, block_size)
    cut = two_cuts(w.pattern, problem)
    fields = dict(vars(cut), values=values, reduce_at=reduce_at, row_split="")
    plan = plan_with_partition(w.pattern, problem, type(cut)(**fields))
    check(plan, w, operand(w.shape[1], 42))


@pytest.mark.parametrize("dtypes", DTYPES, ids="/".join)
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_serial_passes(block_size, dtypes):
    w = random_matrix((160, 144), block_size, 0.3, dtype=dtypes[0], kind="hot_corner")
    check(plan_in_passes(w, 190, dtypes[1]), w, operand(144, 190, dtypes[0]))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(static_cases())
def test_every_partition_gives_the_product(case):
    """Any cut, parts and passes of n, places of values and sums: what a search never chooses works as well."""
    pattern, problem, partition = case
    w = matrix_of(pattern, problem.dtype)
    plan = plan_with_partition(pattern, problem, partition)
    check(plan, w, operand(problem.k, problem.n, problem.dtype))


@pytest.mark.parametrize("block_size", [1, 16])
def test_runs_repeat_bit_for_bit_on_any_number_of_threads(block_size):
    w = random_matrix((96, 80), block_size, 0.4)
    plan, x = plan_of(w, 45), operand(80, 45)
    one, two = loaded(plan, w, threads=1), loaded(plan, w, threads=2)
    first = one.run(x).y
    assert np.array_equal(first, one.run(x).y)
    assert np.array_equal(first, two.run(x).y)


@pytest.mark.parametrize("without", [(), ("merged blocks",)])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_nan_in_x_reaches_only_the_rows_that_use_it(block_size, without):
    w = random_matrix((8 * block_size, 8 * block_size), block_size, 0.3, seed=5)
    x = operand(w.shape[1], 9)
    row = 3 * block_size
    x[row, 4], x[row, 6] = np.nan, np.inf
    options = PlanOptions(without=without)
    plan = plan_static(w.pattern, 9, dtype=w.dtype, target=small_target(), options=options)
    assert not (without and plan.partition.block_size)
    multiplied = merged(w.pattern, plan.partition.block_size).pattern  # zeros between merged blocks meet X too
    size = multiplied.block_size
    y = loaded(plan, w).run(x).y
    hit = np.isin(np.arange(len(y)) // size, multiplied.rows[multiplied.cols == row // size])
    assert hit.any()
    assert np.isnan(y[hit, 4]).all() and not np.isfinite(y[hit, 6]).any()
    assert np.isfinite(y[~hit]).all()
    assert np.isfinite(y[:, [0, 1, 2, 3, 5, 7, 8]]).all()


def test_permuted_rows_permute_the_result():
    mask = np.random.default_rng(2).random((10, 12)) < 0.4
    order = np.random.default_rng(3).permutation(10)
    x = operand(48, 20)
    dense = np.random.default_rng(4).standard_normal((10, 4, 48)).astype("float16")
    dense *= np.repeat(mask, 4, axis=1)[:, None, :]
    results = []
    for rows in (dense, dense[order]):
        pattern = BlockPattern.from_mask(rows.reshape(10, 4, 12, 4).any(axis=(1, 3)), block_size=4)
        values = rows.reshape(10, 4, 12, 4).transpose(0, 2, 1, 3)[pattern.rows, pattern.cols]
        w = matrix_of(pattern)
        w.values = values
        results.append(loaded(plan_of(w, 20, target=small_target(1)), w).run(x).y.reshape(10, 4, 20))
    assert np.array_equal(results[0][order], results[1])


def test_merged_blocks_give_the_product():
    w = random_matrix((250, 230), 1, 0.25)
    plan = plan_of(w, 64, "float16")
    assert plan.partition.block_size > 1
    check(plan, w, operand(230, 64))
