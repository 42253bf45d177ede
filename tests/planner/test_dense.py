"""The dense baseline: agreement with published measurements, arithmetic, memory, JSON and bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from popsparse_planner import DensePlan, Memory, load_target, plan_dense
from popsparse_planner.dense_cost import DenseShape, cost_terms, grids_by_passes, multiply_cycles, temporary_bytes
from popsparse_planner.dense_fit import DensePoint, fit_dense, load_dense_points, validate_dense
from popsparse_planner.dense_search import always_total
from popsparse_planner.errors import DTypeError, FormatError, PlanError, ShapeError, TargetError

SHAPES = [
    (1, 1, 1),
    (1000, 777, 33),
    (5, 4096, 3),
    (4096, 16, 512),
    (16, 16, 30000),
    (3072, 768, 1000),
    (8192, 8192, 64),
]


def test_measured_points_are_met_within_the_stated_error():
    validation = validate_dense("bow")
    assert {name: summary.points for name, summary in validation.summary.items()} == {
        "float16": 19,
        "float32": 29,
        "all": 48,
    }
    for summary in validation.summary.values():
        assert summary.rms < 0.045
        assert summary.median < 0.04
        assert summary.worst < 0.10
    assert json.loads(json.dumps(validation.to_dict()))["rows"][0]["m"] == 1024


def test_fit_gives_the_shipped_coefficients_and_holds_on_points_left_out():
    fit = fit_dense("bow", folds=6)
    shipped = load_target("bow").model
    for name, value in fit.coefficients.items():
        assert value == pytest.approx(shipped[name], rel=0.02)
    assert fit.rms["all"] < 0.04
    assert fit.held_out_rms["all"] < 0.045


def test_fit_is_refused_when_held_out_points_are_off():
    with pytest.raises(PlanError, match=r"fit refused: held-out points are off by \d\.\d% rms, more than 1\.0%"):
        fit_dense("bow", folds=2, points=load_dense_points()[::4], largest_held_out_rms=0.01)


def test_bad_fit_and_validation_input(tmp_path):
    with pytest.raises(PlanError, match="1 points cannot be dealt to 6 folds: expected 2 to 1 folds"):
        fit_dense("bow", points=[DensePoint(64, 64, 64, "float16", 1000.0)])
    with pytest.raises(PlanError, match="nothing to validate with"):
        validate_dense("bow", points=[])
    bad = tmp_path / "points.csv"
    bad.write_text("device,type,m\nIPU,FP16,1024\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"cannot read dense measurements from .*points\.csv"):
        load_dense_points(bad)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("m, k", [(1024, 1024), (1000, 777), (16, 8192), (8192, 64), (4096, 4096)])
def test_time_does_not_fall_when_n_doubles(m, k, dtype):
    cycles = [plan_dense(m, k, 2**i, dtype=dtype).cost.profiled_cycles for i in range(13)]
    assert all(later >= earlier for earlier, later in zip(cycles, cycles[1:]))


def test_time_lies_between_the_matrix_peak_and_one_tile():
    for m, k, n in SHAPES:
        plan = plan_dense(m, k, n)
        assert 0 < plan.efficiency <= 1
        assert plan.imbalance >= 1
        assert plan.cost.total_cycles == plan.cost.profiled_cycles + plan.cost.sync_cycles


@pytest.mark.parametrize("dtype, group_cycles", [("float16", 25 + 64 + 6 * 4 * 4), ("float32", 25 + 64 + 6 * 8 * 4)])
def test_multiply_cycles_of_one_group(dtype, group_cycles):
    """One group of the matrix unit with 20 columns: 4 on each of the six workers, 64 cycles to load its 512 bytes."""
    target = load_target("bow")
    shape = DenseShape(16, 16 if dtype == "float16" else 8, 20, dtype)
    (grids,) = grids_by_passes(target.replace(tiles=1), shape)
    zero = 6 * (2 + 8 * 4) if dtype == "float32" else 0
    assert multiply_cycles(target, shape, grids).tolist() == [50 + 15 + group_cycles + zero]


def test_exchange_of_a_worked_cut():
    """64 x 32 times 32 x 8 in half precision over 2 x 2 x 1 tiles: X slices of 16 x 8 halves, partials of 32 x 8."""
    target = load_target("bow")
    shape = DenseShape(64, 32, 8, "float16")
    grids = next(grids_by_passes(target.replace(tiles=4), shape))
    cut = grids.take((grids.qm == 2) & (grids.qk == 2) & (grids.qn == 1))
    assert [int(size[0]) for size in temporary_bytes(shape, cut)] == [16 * 8 * 2, 32 * 16 * 2, 32 * 8 * 2]
    terms = cost_terms(target, shape, cut)
    assert terms.send_x.tolist() == [256 / 2 / 8]  # half of the slice is there; two neighbours share their bus
    assert terms.send_w.tolist() == [0.0]
    assert terms.send_partials.tolist() == [512 / 4]
    assert terms.steps.tolist() == [4.0]


@pytest.mark.parametrize("shape", SHAPES)
def test_search_finds_the_cheapest_of_all_cuts(shape):
    target = load_target("bow")
    dense = DenseShape(*shape, "float16")
    room = min(target.tile_bytes - always_total(target, dense), int(0.6 * target.tile_bytes))
    costs = []
    for grids in grids_by_passes(target, dense):
        assert np.all(grids.qm * grids.qk * grids.qn <= target.tiles)
        grids = grids.take(temporary_bytes(dense, grids).total <= room)
        costs.extend(cost_terms(target, dense, grids).profiled_cycles(target, "float16"))
    plan = plan_dense(*shape)
    assert plan.cost.profiled_cycles == pytest.approx(min(costs), abs=3)
    assert plan.fits and plan.peak_bytes <= target.tile_bytes


def test_memory_is_per_tile_and_agrees_with_the_plan():
    plan = plan_dense(2048, 2048, 256)
    assert isinstance(plan.memory, Memory)
    assert plan.memory.peak_bytes == plan.peak_bytes
    assert plan.memory.fits
    assert len(plan.memory.per_tile) == 1472


def test_a_product_that_does_not_fit_says_why():
    plan = plan_dense(8192, 8192, 65536)
    assert not plan.fits and not plan.memory.fits
    assert "tile 0 needs" in plan.reason and "has 638,976 B" in plan.reason
    largest = int(plan.reason.split("n of at most ")[1].split(" columns")[0].replace(",", ""))
    assert plan_dense(8192, 8192, largest).fits
    assert not plan_dense(8192, 8192, largest + 1).fits
    assert plan.cost.total_cycles > 0


def test_a_weight_beyond_the_chip_says_what_would_fit():
    assert "float16 would fit" in plan_dense(16384, 16384, 16, dtype="float32").reason
    assert "no n fits: use a smaller W, or a sparse one" in plan_dense(50000, 50000, 16).reason


def test_small_and_slow_machines():
    bow = load_target("bow")
    few = plan_dense(64, 64, 64, target=bow.replace(tiles=4))
    assert few.tiles_used <= 4
    assert few.cost.total_cycles > plan_dense(64, 64, 64).cost.total_cycles
    mk2 = plan_dense(1024, 1024, 1024, target="mk2")
    assert mk2.cost.total_cycles == plan_dense(1024, 1024, 1024).cost.total_cycles
    assert mk2.tflops < plan_dense(1024, 1024, 1024).tflops


@pytest.mark.parametrize("shape", [(64, 64, 64), (1024, 1024, 65536), (8192, 8192, 65536)])
def test_json_round_trip_gives_the_same_bytes(shape):
    plan = plan_dense(*shape)
    text = plan.to_json()
    again = DensePlan.from_json(text)
    assert again == plan and hash(again) == hash(plan)
    assert again.to_json() == text == plan_dense(*shape).to_json()
    assert again.fits == plan.fits and again != replace(plan, n=plan.n + 1)


def test_json_of_something_else_is_refused():
    with pytest.raises(FormatError, match="a plan of another mode"):
        DensePlan.from_json('{"schema":"popsparse.plan/1","mode":"static"}')
    with pytest.raises(FormatError, match="not a complete dense plan"):
        DensePlan.from_json('{"schema":"popsparse.plan/1","mode":"dense"}')
    with pytest.raises(FormatError, match="the text is no JSON"):
        DensePlan.from_json("plan")


def test_a_plan_explains_itself():
    plan = plan_dense(1024, 1024, 32768)
    text = str(plan)
    assert "dense plan of (1024 x 1024) W times (1024 x 32768) X on bow, float16" in text
    assert f"{plan.passes} serial passes over m" in text
    assert "fits; most cycles go to compute" in text
    assert sum(step.cycles * step.repeats for step in plan.steps) < plan.cost.profiled_cycles
    assert [c.verdict for c in plan.candidates].count("chosen") == 1
    assert plan.bottleneck == "compute" and plan.speedup_vs_dense == 1.0
    chosen = next(c for c in plan.candidates if c.verdict == "chosen")
    assert chosen.total_cycles == plan.cost.total_cycles and chosen.peak_bytes == plan.peak_bytes


def test_bad_input():
    with pytest.raises(ShapeError, match="n must be a whole number of at least 1, got 0"):
        plan_dense(16, 16, 0)
    with pytest.raises(ShapeError, match=r"m must be a whole number of at least 1, got 2\.5"):
        plan_dense(2.5, 16, 16)
    with pytest.raises(DTypeError, match="dtype 'int8' is not supported"):
        plan_dense(16, 16, 16, dtype="int8")
    with pytest.raises(TargetError, match="unknown"):
        plan_dense(16, 16, 16, target="mk7")
