"""The model against published measurements: points, the measured patterns, errors, the fit and the predicted range."""

from pathlib import Path

import numpy as np
import pytest

from popsparse_planner import BlockPattern, FormatError, PlanError, load_target, plan_dense, plan_static
from popsparse_planner.benchmark_pattern import benchmark_pattern, shuffled_positions
from popsparse_planner.cost import Cost, layout_cost, second_stage_cost
from popsparse_planner.measured import StaticPoint, load_dynamic_points, load_static_points
from popsparse_planner.partition import Cut, Partition
from popsparse_planner.static.multicast import passing_columns
from popsparse_planner.static.work import CutWork, cut_work
from popsparse_planner.static_fit import FITTED, fit_static, known_points
from popsparse_planner.validation import covering_errors, predicted_range, validate

TARGET = load_target("bow")
SMALL = [p for p in load_static_points() if p.m == 1024 and p.b >= 8]


def test_shipped_points_leave_out_what_was_not_measured() -> None:
    points = load_static_points()
    assert len(points) == 194
    assert sum(p.cycles is not None for p in points) == 151
    assert all(p.speedup is not None for p in points)
    assert points[0].name == "b=1 d=1/32 m=512 n=4"


def test_a_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "paper_static_cycles.csv").write_text("b,density\n1,0.25\n")
    with pytest.raises(FormatError, match=r"cannot read measurements from .*paper_static_cycles\.csv"):
        load_static_points(tmp_path)


def test_positions_are_shuffled_as_by_the_c_library() -> None:
    # Computed with g++ 12: std::default_random_engine(123), std::iota, std::shuffle.
    assert shuffled_positions(9).tolist() == [3, 0, 8, 7, 6, 5, 2, 4, 1]
    assert shuffled_positions(16)[:6].tolist() == [2, 0, 6, 13, 8, 4]
    assert np.array_equal(np.sort(shuffled_positions(48 * 1024)), np.arange(48 * 1024))
    assert shuffled_positions(0).tolist() == []


def test_denser_patterns_hold_the_sparser_ones() -> None:
    sparse, dense = (benchmark_pattern(512, 16, density) for density in (1 / 32, 1 / 4))
    assert (sparse.nnz_blocks, dense.nnz_blocks) == (32, 256)
    assert (sparse - dense).nnz_blocks == 0


def test_large_grids_are_drawn_otherwise() -> None:
    assert benchmark_pattern(4096, 1, 1 / 1024).nnz_blocks == 16384


def _work(tiles_of_column: list) -> CutWork:
    """Runs 0 .. 4 of one band, one block row each; column c has blocks in the rows tiles_of_column[c]."""
    mask = np.zeros((5, len(tiles_of_column)), dtype=bool)
    for column, rows in enumerate(tiles_of_column):
        mask[rows, column] = True
    pattern = BlockPattern.from_mask(mask, block_size=1)
    offsets = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    return cut_work(pattern, Cut(np.arange(pattern.nnz_blocks), offsets, np.zeros(5)))


@pytest.mark.parametrize(
    "tiles_of_column, passing",
    [
        ([[0, 1, 2, 3, 4], [0], [1], [2], [3], [4]], [0, 0, 0, 0, 0]),  # everybody takes the multicast
        ([[0, 4], [1], [2], [3]], [0, 1, 1, 1, 0]),  # it passes between its receivers
        ([[0, 1], [2], [3], [4]], [0, 0, 1, 0, 0]),  # and one mean gap beyond
        ([[2], [0], [1], [3], [4]], [0, 0, 0, 0, 0]),  # one receiver is no multicast
        ([[1, 3], [0, 2, 4]], [1, 1, 1, 1, 1]),
    ],
)
def test_multicasts_pass_the_tiles_between_their_receivers(tiles_of_column: list, passing: list) -> None:
    work = _work(tiles_of_column)
    assert passing_columns(work, len(tiles_of_column)).tolist() == passing


def test_layout_is_paid_where_blocks_meet_parts_of_n() -> None:
    homes = np.array([100.0, 300.0])
    part, per_byte = TARGET.model["column_part_cycles"], TARGET.model["layout_cycles_per_byte"]
    assert layout_cost(TARGET, 16, 1, homes).other_cycles == part
    assert layout_cost(TARGET, 1, 4, homes).other_cycles == 4 * part
    assert layout_cost(TARGET, 16, 4, homes).other_cycles == pytest.approx(4 * part + 300 * per_byte)


def test_second_stage_counts_sums_of_many_partials() -> None:
    cost = second_stage_cost(TARGET, np.array([1472.0, 2944.0]), np.array([32, 33]))
    assert cost.reduce_cycles == pytest.approx(2 * TARGET.model["second_stage_cycles_per_byte"])


def test_an_unknown_split_of_rows_is_refused() -> None:
    cut = Cut(np.zeros(0), np.array([0, 0]), np.zeros(1))
    with pytest.raises(PlanError, match="unknown split of rows 'odd': expected one of balanced, consecutive"):
        Partition((cut,), np.zeros(1), np.zeros(1), np.array([[0, 4]]), row_split="odd")


def test_broadcast_values_keep_the_order_of_the_cut() -> None:
    cut = Cut(np.zeros(0), np.array([0, 0]), np.zeros(1))
    parts = (np.zeros(1), np.zeros(1), np.array([[0, 4]]))
    assert Partition((cut,), *parts, values="broadcast").row_split == "consecutive"
    assert Partition((cut,), *parts).row_split == "balanced"
    with pytest.raises(PlanError, match="values that are broadcast lie in the order of the cut"):
        Partition((cut,), *parts, values="broadcast", row_split="balanced")


def test_known_points_cost_what_plans_cost() -> None:
    point = next(p for p in SMALL if p.cycles is not None and p.n == 64)
    plan = plan_static(benchmark_pattern(point.m, point.b, point.density), point.n, strategy="popsparse", target=TARGET)
    assert plan.cost is not None
    assert known_points([point], TARGET)[0].cost(TARGET).profiled_cycles == pytest.approx(plan.cost.profiled_cycles)


def test_small_products_lie_within_the_bounds() -> None:
    found = validate(TARGET, points=SMALL, dynamic_points=())
    static = found.series["static_cycles"]
    assert static.points > 15
    assert static.rms < 0.12 and static.median < 0.09 and static.worst < 0.25
    assert found.series["dense_float16"].rms < 0.08
    assert found.worst("static_cycles")[0].error in (static.worst, -static.worst)
    assert found.to_dict()["series"]["static_cycles"]["points"] == static.points


def test_broken_bounds_are_named() -> None:
    broken = validate(TARGET, points=[SMALL[0]._replace(cycles=1e6)], dynamic_points=()).broken_bounds()
    assert "static_cycles: rms error 9" in broken[0] and "exceeds 10%" in broken[0]


def test_fit_is_refused_when_held_out_points_are_far_off() -> None:
    points = [p for p in SMALL if p.cycles is not None][:6]
    known = known_points(points, TARGET)
    with pytest.raises(PlanError, match=r"fit refused: held-out points are off by .* rms, more than 0.1%"):
        fit_static(TARGET, known=known, folds=2, largest_held_out_rms=0.001)
    with pytest.raises(PlanError, match="6 points cannot be dealt to 7 folds: expected 2 to 6 folds"):
        fit_static(TARGET, known=known, folds=7)


def test_a_fit_names_every_coefficient() -> None:
    points = [p for p in SMALL if p.cycles is not None][:8]
    fitted = fit_static(TARGET, points=points, folds=2, largest_held_out_rms=1.0)
    assert set(fitted.coefficients) == set(FITTED)
    assert fitted.rms < fitted.held_out_rms * 1.5


def test_a_point_that_the_published_planner_refuses_is_named() -> None:
    with pytest.raises(PlanError, match="the published planner refuses b=16 d=1/4 m=512 n=262144"):
        known_points([StaticPoint(16, 0.25, 512, 262144, 1.0, None)], TARGET)


def test_nine_of_ten_lie_in_the_predicted_range() -> None:
    plan = plan_dense(1024, 1024, 64, target=TARGET)
    low, high = predicted_range(plan.cost, TARGET, None)
    assert low < plan.cost.total_cycles < high
    wide_low, wide_high = predicted_range(plan.cost, TARGET, 16)
    assert wide_low < low and high < wide_high
    assert predicted_range(Cost(), TARGET, 1) == (0.0, 0.0)


def test_covering_errors_name_the_target_coefficients() -> None:
    found = covering_errors(validate(TARGET, points=SMALL, dynamic_points=load_dynamic_points()[4:5]))
    assert set(found) == {"static_error_b8", "static_error_b16", "dynamic_error", "dense_error"}
    assert set(found) < {key[len("model.") :] for key in TARGET.facts if key.startswith("model.")}
