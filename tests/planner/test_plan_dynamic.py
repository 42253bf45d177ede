"""plan_dynamic: what it promises, what it writes down, what it refuses, and how it stands to the published planner."""

from fractions import Fraction

import numpy as np
import pytest

from popsparse_planner import (
    BlockPattern,
    CapacityError,
    DynamicPlan,
    FormatError,
    PlanError,
    PlanOptions,
    ShapeError,
    load_target,
    plan_dynamic,
    plan_static,
)

BOW = load_target("bow")


def small_plan(**changes):
    arguments = {"block_size": 16, "density": 1 / 16, **changes}
    return plan_dynamic(1024, 1024, 256, **arguments)


def test_json_brings_the_plan_back_with_equal_bytes():
    for strategy in ("quantile", "popsparse"):
        plan = small_plan(strategy=strategy, options=PlanOptions(grad_input=True, grad_weight=True))
        again = DynamicPlan.from_json(plan.to_json())
        assert again.to_json() == plan.to_json()
        assert again == plan
        assert hash(again) == hash(plan)
        assert str(again) == plan.explain()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not a plan"), ("{}", "expected JSON of schema"), ('{"schema":"popsparse.dynamic_plan/1"}', "not a stored")],
)
def test_other_text_is_no_plan(text, message):
    with pytest.raises(FormatError, match=message):
        DynamicPlan.from_json(text)


def test_equal_arguments_give_equal_bytes():
    assert small_plan().to_json() == small_plan(density=Fraction(1, 16)).to_json()
    assert small_plan(density=None, capacity_blocks=256).to_json() == small_plan().to_json()


def test_plan_says_what_it_decided():
    plan = small_plan(options=PlanOptions(grad_input=True, grad_weight=True))
    assert plan.fits
    assert plan.mode == "dynamic"
    assert (plan.capacity_blocks, plan.density) == (256, 1 / 16)
    assert plan.grid.qm * plan.grid.qk * plan.grid.qn == plan.tiles_used <= 1472
    assert plan.frame.num_cells * plan.layout.capacity >= plan.capacity_blocks
    assert plan.cost is plan.pass_costs["forward"]
    assert plan.flops == 2 * 256 * 256 * 256
    assert plan.tflops == pytest.approx(plan.flops / plan.cost.seconds / 1e12)
    assert 0 < plan.efficiency < 1
    assert plan.imbalance >= 1
    assert plan.speedup_vs_dense == pytest.approx(plan.dense_cost.seconds / plan.cost.seconds)
    assert plan.bottleneck in ("compute", "exchange", "sync", "reduce", "other")
    assert plan.published_cost is None
    assert plan.memory.peak_bytes <= BOW.tile_bytes
    text = plan.explain()
    for part in (
        "dynamic quantile plan",
        "any pattern of up to 256 blocks",
        "buckets: ",
        "grad_weight",
        "of 638,976 B",
    ):
        assert part in text


def test_popsparse_is_the_published_choice():
    plan = small_plan(strategy="popsparse", options=PlanOptions(grad_input=True))
    assert plan.published.ok
    assert plan.grid == (plan.published.px, plan.published.py, plan.published.pz)
    assert plan.problem.partials_dtype == "float32"  # the published library's own default, as it was measured
    assert plan.published_cost == plan.published.cost_cycles
    assert "published estimate" in plan.explain()
    with pytest.raises(PlanError, match="strategy 'popsparse' is a baseline to compare with"):
        plan.explain_pattern(BlockPattern.random((1024, 1024), density=1 / 16))


def test_published_refusal_is_a_plan_without_a_partition():
    plan = plan_dynamic(64, 64, 6, block_size=1, density=1 / 4, strategy="popsparse")
    assert not plan.fits
    assert (plan.cost, plan.tiles_used, plan.tflops, plan.speedup_vs_dense, plan.bottleneck) == (
        None,
        0,
        0.0,
        None,
        "memory",
    )
    assert plan.imbalance == 1.0
    assert plan.propagation_probability == 0.0
    assert "no plan: the published dynamic planner takes n in multiples of 4" in plan.explain()
    assert DynamicPlan.from_json(plan.to_json()) == plan
    with pytest.raises(PlanError, match="the plan cannot run: "):
        plan.frame  # noqa: B018
    with pytest.raises(PlanError, match="the plan cannot run: "):
        plan.check_own()


def test_pattern_is_explained_before_it_is_loaded():
    plan = small_plan(density=1 / 8)
    quiet = plan.explain_pattern(BlockPattern.random((1024, 1024), density=1 / 8))
    assert (quiet.fits, quiet.steps, quiet.overfull_cells) == (True, 0, ())
    assert "nothing travels" in str(quiet)
    rows, cols = (index.ravel() for index in np.indices((64, 64)))
    cell = plan.frame.cell_of(rows, cols)
    full = np.flatnonzero(cell == cell[0])[: plan.layout.capacity + 1]
    spills = plan.explain_pattern(BlockPattern((1024, 1024), 16, rows[full], cols[full]))
    assert (spills.fits, spills.steps, spills.spilled_blocks) == (True, 1, 1)
    assert spills.overfull_cells == ((*divmod(int(cell[0]), plan.grid.qm)[::-1], plan.layout.capacity + 1),)
    assert spills.total_cycles == pytest.approx(quiet.total_cycles + spills.propagation_cycles)
    assert "1 cells spill 1 blocks, 1 propagation steps" in str(spills)
    large = plan.explain_pattern(BlockPattern.random((1024, 1024), density=1 / 4))
    assert not large.fits
    assert "does not fit: the pattern has 1,024 blocks" in str(large)
    with pytest.raises(ShapeError, match="the plan is for"):
        plan.explain_pattern(BlockPattern.random((512, 1024), density=1 / 8))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"density": None}, PlanError, "give the density of the patterns to plan for, or capacity_blocks"),
        ({"capacity_blocks": 5}, PlanError, "one of the two"),
        ({"density": 0}, PlanError, r"density must lie in \(0, 1\], got 0"),
        ({"density": 1.5}, PlanError, r"density must lie in \(0, 1\], got 1.5"),
        ({"density": None, "capacity_blocks": 0}, CapacityError, r"capacity_blocks must lie in \[1, 4,096\]"),
        ({"density": None, "capacity_blocks": 5000}, CapacityError, "for 64 x 64 blocks, got 5,000"),
        ({"density": None, "capacity_blocks": 2.5}, PlanError, "capacity_blocks must be a whole number, got 2.5"),
        ({"density": None, "capacity_blocks": float("nan")}, PlanError, "must be a whole number, got nan"),
        ({"density": None, "capacity_blocks": "12"}, PlanError, "capacity_blocks must be a number, got '12'"),
        ({"density": "1/16"}, PlanError, "density must be a number, got '1/16'"),
        ({"strategy": "balanced"}, PlanError, "strategy 'balanced' is unknown: expected one of quantile, popsparse"),
        ({"block_size": (8, 16)}, PlanError, r"block size \(8, 16\) has no codelet"),
        ({"block_size": 5}, PlanError, "block size 5 has no codelet"),
        ({"dtype": "float32", "partials_dtype": "float16"}, PlanError, "narrower than dtype float32"),
    ],
)
def test_bad_arguments_are_told(changes, error, message):
    with pytest.raises(error, match=message):
        small_plan(**changes)


def test_what_does_not_fit_is_a_plan_that_says_so():
    plan = plan_dynamic(1024, 1024, 4096, block_size=16, density=1 / 4, target=BOW.replace(tiles=2))
    assert not plan.fits
    assert plan.shortfall.needed_bytes > plan.shortfall.capacity_bytes == BOW.tile_bytes
    assert "would" in plan.shortfall.hint
    assert "does not fit: tile" in plan.explain()
    assert "fit" in plan.candidates[0].verdict or plan.candidates[0].verdict == "chosen"


def test_serial_passes_make_large_products_fit():
    plan = plan_dynamic(1024, 1024, 4096, block_size=4, density=1 / 16, target=BOW.replace(tiles=64))
    assert plan.fits
    assert plan.frame.passes > 1
    assert "serial passes over n" in plan.explain()
    few = PlanOptions(max_serial_passes=1)
    assert not plan_dynamic(
        1024, 1024, 4096, block_size=4, density=1 / 16, target=BOW.replace(tiles=64), options=few
    ).fits


@pytest.mark.parametrize("partials", ["float16", "float32"])
def test_within_a_fifth_of_our_static_plan_at_the_best_n(partials):
    pattern = BlockPattern.random((4096, 4096), density=1 / 16)
    dynamic = plan_dynamic(4096, 4096, 4096, block_size=16, density=1 / 16, partials_dtype=partials)
    static = plan_static(pattern, 4096, partials_dtype=partials)
    assert dynamic.tflops >= 0.8 * static.tflops


@pytest.mark.parametrize(("block_size", "n"), [(1, 64), (4, 64), (8, 64), (16, 64), (16, 1024)])
def test_buckets_are_as_small_as_the_published_ones(block_size, n):
    sizes = {"block_size": block_size, "density": 1 / 16}
    ours, published = (plan_dynamic(4096, 4096, n, **sizes, strategy=name) for name in ("quantile", "popsparse"))
    assert ours.bucket_bytes <= 1.25 * published.bucket_bytes
