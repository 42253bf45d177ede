"""plan_static: what it promises of every plan, over shapes, kinds of pattern, block sizes and numbers of columns."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from static_cases import DTYPES, TILES, patterns, problems, small_target

from popsparse_planner import BlockPattern, PlanOptions, load_target, plan_static
from popsparse_planner.errors import DTypeError, PlanError, PopsparseError, ShapeError, TargetError
from popsparse_planner.pattern_kinds import KINDS
from popsparse_planner.static.balanced import BalancedSearch
from popsparse_planner.static.choices import ChoiceSpace
from popsparse_planner.static.evaluate import StaticModel
from popsparse_planner.static.merged import merged, merged_problem

SMALL = small_target()


def plan(pattern, n, target=SMALL, **asked):
    return plan_static(pattern, n, target=target, **asked)


def random(shape=(256, 256), density=0.25, block_size=16, **more):
    return BlockPattern.random(shape, density=density, block_size=block_size, seed=1, **more)


@settings(max_examples=14)
@given(st.data())
def test_every_plan_keeps_its_promises(data):
    pattern = data.draw(patterns())
    problem = data.draw(problems(pattern))
    target = small_target(tile_bytes=data.draw(st.sampled_from([13_000, 14_000, 20_000, 600_000])))
    made = plan(pattern, problem.n, target, dtype=problem.dtype, partials_dtype=problem.partials_dtype)
    assert made.problem == problem and made.strategy == "balanced"
    multiplied = merged(pattern, made.partition.block_size).pattern
    for cut in made.partition.cuts:
        assert sorted(cut.block_order.tolist()) == list(range(multiplied.nnz_blocks))
    assert made.tile_blocks.sum() == pattern.nnz_blocks * made.grid.qn
    assert (
        made.fits == (made.memory.peak_bytes <= target.tile_bytes) and made.memory.capacity_bytes == target.tile_bytes
    )
    assert (made.shortfall is None) == made.fits
    assert made.grid.qk <= pattern.block_grid[1] and made.tiles_used <= TILES
    assert made.candidates[0].verdict == "chosen" if made.fits else "does not fit" in made.candidates[0].verdict
    fitting = [one.total_cycles for one in made.candidates if "does not fit" not in one.verdict]
    assert not fitting or made.cost.total_cycles == min(fitting) == made.candidates[0].total_cycles
    assert [one.verdict for one in made.candidates].count("chosen") <= 1


def counts(made):
    return (made.cost.total_cycles, made.memory.peak_bytes)


@settings(max_examples=10)
@given(st.data())
def test_the_cost_of_a_plan_is_that_of_its_partition(data):
    pattern = data.draw(patterns())
    problem = data.draw(problems(pattern))
    made = plan(pattern, problem.n, dtype=problem.dtype, partials_dtype=problem.partials_dtype)
    size = made.partition.block_size
    multiplied = merged(pattern, size).pattern
    again = StaticModel(multiplied, merged_problem(problem, size), SMALL).evaluate(made.partition)
    assert (again.cost.total_cycles, again.memory.peak_bytes) == counts(made)


@pytest.mark.parametrize("block_size", [1, 4, 8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_balanced_is_never_worse_than_the_published_strategy(kind, block_size):
    side = 64 if block_size == 1 else 16 * block_size
    pattern, dtype = random((side, side), 0.2, block_size, kind=kind), ("float16", "float32")[len(kind) % 2]
    for n in (2, 256):
        published = plan(pattern, n, dtype=dtype, strategy="popsparse")
        ours = plan(pattern, n, dtype=dtype, partials_dtype=dtype)
        assert published.fits and ours.cost.total_cycles <= published.cost.total_cycles


def test_balanced_is_never_worse_at_4096_columns():
    for block_size in (1, 16):
        pattern = random((128, 128), 0.25, block_size)
        published = plan(pattern, 4096, strategy="popsparse")
        ours = plan(pattern, 4096, partials_dtype="float16")
        assert not published.fits or ours.cost.total_cycles <= published.cost.total_cycles
        assert ours.fits


@pytest.mark.parametrize(
    ("side", "block_size", "density", "n"),
    [(4096, 16, 1 / 16, 8192), (2048, 16, 1 / 16, 16384)],
)
def test_plans_are_found_where_the_published_planner_refuses(side, block_size, density, n):
    pattern = random((side, side), density, block_size)
    refused = plan(pattern, n, load_target("bow"), strategy="popsparse")
    assert not refused.fits and refused.partition is None and "finds no partition" in refused.reason
    assert "; strategy='balanced' would fit" in refused.reason
    made = plan(pattern, n, load_target("bow"))
    assert made.fits and made.memory.peak_bytes <= 638_976


@settings(max_examples=15)
@given(st.data())
def test_a_plan_is_found_wherever_one_fits(data):
    """Every choice of the space is evaluated: if one fits, the search finds one."""
    pattern = data.draw(patterns(block_sizes=(4, 16), most=8))
    problem = data.draw(problems(pattern))
    target = small_target(tiles=4, tile_bytes=data.draw(st.integers(12_600, 16_000)))
    search = BalancedSearch(pattern, problem, target, PlanOptions())
    found = search.run()[0].evaluation.fits
    space, model = ChoiceSpace(pattern, problem, target), StaticModel(pattern, problem, target)
    for passes in range(1, search._most_passes() + 1) if not found else ():
        for one in space.ranked(passes):
            assert not model.evaluate(space.partition(one.choice)).fits, one


def test_serial_passes_are_used_when_memory_is_short():
    pattern = random((512, 512), 0.25, 16)
    roomy = plan(pattern, 512, load_target("bow").replace(tiles=64))
    short = plan(pattern, 512, load_target("bow").replace(tiles=64, tile_bytes=60_000))
    assert roomy.fits and roomy.partition.num_passes == 1
    assert short.fits and short.partition.num_passes > 1 and short.memory.peak_bytes <= 60_000
    assert short.cost.total_cycles > roomy.cost.total_cycles
    assert "serial passes over n" in short.explain()


def test_the_number_of_serial_passes_can_be_bounded():
    pattern, target = random((512, 512), 0.25, 16), load_target("bow").replace(tiles=64, tile_bytes=60_000)
    once = plan(pattern, 512, target, options=PlanOptions(max_serial_passes=1))
    assert not once.fits and once.partition.num_passes == 1
    passes = int(re.search(r"(\d+) serial passes over n would fit \(max_serial_passes is 1\)", once.shortfall.hint)[1])
    assert plan(pattern, 512, target, options=PlanOptions(max_serial_passes=passes)).fits
    assert all(one.passes <= passes for one in plan(pattern, 512, target).candidates if one.verdict == "chosen")


@pytest.mark.parametrize(
    ("target", "pattern", "n"),
    [
        (small_target(tile_bytes=16_000), random((128, 128)), 300),
        (small_target(tiles=1), random((512, 512)), 4096),
        (small_target(tiles=3, tile_bytes=60_000), random((200, 136), 0.3, 4), 900),
        (small_target(tiles=4), random((128, 128), 0.3, 1), 65_536),
    ],
)
def test_the_columns_of_a_hint_fit(target, pattern, n):
    made = plan(pattern, n, target)
    assert not made.fits and made.cost is not None and made.shortfall.needed_bytes > made.shortfall.capacity_bytes
    columns = int(re.search(r"n = ([\d,]+) would fit", made.shortfall.hint)[1].replace(",", ""))
    assert 0 < columns < n and plan(pattern, columns, target).fits
    assert not plan(pattern, int(1.2 * columns) + 16, target).fits, "the hint is near the limit"


def test_the_tiles_of_a_hint_fit():
    target = small_target(tiles=4, tile_bytes=40_000)
    pattern = random((512, 512), 0.25, 4)
    made = plan(pattern, 64, target)
    assert not made.fits
    tiles, n = re.search(r"no n fits 4 tiles; (\d+) tiles would hold n = (\d+)", made.shortfall.hint).groups()
    assert plan(pattern, int(n), target.replace(tiles=int(tiles))).fits
    for columns in (1, 4, 64):
        assert not plan(pattern, columns, target).fits


def test_a_tile_that_cannot_hold_the_code_says_so():
    made = plan(random(), 64, small_target(tile_bytes=2_000))
    assert not made.fits and re.search(r"no tile of fewer than [\d,]+ B holds the code alone", made.shortfall.hint)
    assert re.search(r"tile \d+ needs [\d,]+ B \(\w+ [\d,]+\), has 2,000 B; no tile", str(made.shortfall))


def test_a_16_bit_field_that_overflows_has_a_hint_too():
    pattern = BlockPattern.from_indices(np.arange(70_000), np.zeros(70_000, dtype=int), shape=(70_000, 1), block_size=1)
    target = small_target(tiles=1, tile_bytes=2**30)
    made = plan(pattern, 8, target)
    assert not made.fits and made.memory.fits and made.shortfall is None
    assert "rows of a tile is 70,000, a 16-bit field holds 65,535" in made.reason and made.reason in made.explain()
    tiles, n = re.search(r"no n fits 1 tiles; (\d+) tiles would hold n = (\d+)", made.reason).groups()
    assert plan(pattern, int(n), target.replace(tiles=int(tiles))).fits


def test_the_published_strategy_points_to_the_balanced_one():
    pattern = random((512, 512), 0.25, 16)
    options = PlanOptions(available_memory_proportion=1.0)
    target = load_target("bow").replace(tiles=64, tile_bytes=60_000)
    published = plan(pattern, 256, target, strategy="popsparse", options=options)
    assert not published.fits and published.shortfall.hint == "strategy='balanced' would fit"
    assert plan(pattern, 256, target).fits
    none = plan(pattern, 256, target.replace(tile_bytes=15_000), strategy="popsparse", options=options)
    assert not none.fits and "finds no partition" in none.reason and none.shortfall is None
    assert "; strategy='balanced' does not fit either: no n fits 64 tiles; " in none.reason


def test_no_number_of_tiles_may_be_enough():
    target = small_target(tiles=2, tile_bytes=12_700)
    made = plan(random((64, 64), 1.0, 16), 64, target)
    assert not made.fits and re.search("tiles would hold n|and no number of tiles up to", made.shortfall.hint)


EDGES = {
    "empty": BlockPattern.from_indices([], [], shape=(40, 24), block_size=4),
    "one block": BlockPattern.from_indices([3], [2], shape=(40, 24), block_size=4),
    "full": BlockPattern.from_mask(np.ones((10, 6), dtype=bool), block_size=4),
    "one row": BlockPattern.from_mask(np.ones((1, 30), dtype=bool), block_size=8),
    "one column": BlockPattern.from_mask(np.ones((30, 1), dtype=bool), block_size=8),
    "one element": BlockPattern.from_indices([0], [0], shape=(1, 1), block_size=1),
    "ragged": BlockPattern.random((61, 37), density=0.4, block_size=8, seed=1),
    "heavy row": BlockPattern.from_indices([0] * 90 + [5], [*range(90), 3], shape=(9, 90), block_size=1),
}


@pytest.mark.parametrize("dtypes", DTYPES, ids="/".join)
@pytest.mark.parametrize("n", [1, 17])
@pytest.mark.parametrize("name", EDGES)
def test_edges_have_plans(name, n, dtypes):
    pattern = EDGES[name]
    made = plan(pattern, n, dtype=dtypes[0], partials_dtype=dtypes[1])
    assert made.fits and made.cost.total_cycles > 0 and made.tiles_used <= min(TILES, pattern.nnz_blocks * made.grid.qn)
    assert made.flops == 2 * pattern.nnz * n and 0 <= made.efficiency <= 1 and made.imbalance >= 1
    assert made.bottleneck in ("compute", "exchange", "sync", "reduce", "other")
    if dtypes[0] == dtypes[1]:
        assert plan(pattern, n, dtype=dtypes[0], strategy="popsparse").fits


@pytest.mark.parametrize("tiles", [1, 2, 3, 7])
def test_odd_numbers_of_tiles_have_plans(tiles):
    made = plan(random(), 20, small_target(tiles=tiles))
    assert made.fits and made.tiles_used <= tiles
    published = plan(random(), 20, small_target(tiles=tiles), strategy="popsparse")
    assert published.fits or "so it cannot use" in published.reason


def test_a_heavy_row_is_divided_over_tiles():
    pattern = BlockPattern.from_mask(np.eye(24, dtype=bool) | (np.arange(24) == 3)[:, None], block_size=16)
    made = plan(pattern, 8, small_target(tiles=24))
    assert made.tile_blocks.max() <= 4


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"strategy": "best"}, PlanError, "strategy 'best' is unknown: expected one of balanced, popsparse"),
        ({"strategy": "popsparse", "partials_dtype": "float32"}, PlanError, "keeps partials in the data type float16"),
        ({"dtype": "float32", "partials_dtype": "float16"}, PlanError, "float16 is narrower than dtype float32"),
        ({"dtype": "int8"}, DTypeError, "dtype 'int8' is not supported on an IPU: expected one of float16, float32"),
        ({"n": 0}, ShapeError, "n must be a whole number of at least 1, got 0"),
        ({"n": 2.5}, ShapeError, "n must be a whole number of at least 1, got 2.5"),
        ({"n": True}, ShapeError, "n must be a whole number of at least 1, got True"),
        ({"target": "gpu"}, TargetError, "gpu"),
        ({"pattern": random((30, 30), 0.5, 3)}, PlanError, "block size 3 has no codelet on the IPU: expected one of"),
    ],
)
def test_wrong_arguments_say_what_is_expected(asked, error, message):
    fields = {"pattern": random((64, 64)), "n": 8, "target": SMALL, **asked}
    with pytest.raises(error, match=re.escape(message)) as caught:
        plan_static(fields.pop("pattern"), fields.pop("n"), **fields)
    assert isinstance(caught.value, PopsparseError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"available_memory_proportion": 0.0}, r"available_memory_proportion must lie in \(0, 1\], got 0.0"),
        ({"available_memory_proportion": 1.5}, r"available_memory_proportion must lie in \(0, 1\], got 1.5"),
        ({"meta_info_oversize_proportion": -1.0}, "meta_info_oversize_proportion must be at least 0, got -1.0"),
        ({"max_serial_passes": 0}, "max_serial_passes must be at least 1, got 0"),
    ],
)
def test_wrong_options_say_what_is_expected(options, message):
    with pytest.raises(PlanError, match=message):
        PlanOptions(**options)
