"""The published host partitioner against its real runs: the same sizes and kinds, drawn with other random numbers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.dynamic.popsparse import search_published_dynamic
from popsparse_planner.dynamic.published_buckets import subgroup_fields
from popsparse_planner.dynamic.published_spills import Capacity, place_published
from popsparse_planner.errors import PlanError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.target import load_target

DATA = Path(__file__).parent.parent / "data" / "popsparse_dynamic_spills.csv"
KINDS = {"rowskew": "row_skew", "colskew": "col_skew", "hotcorner": "hot_corner"}
COLUMNS = [
    "overX",
    "overY",
    "overZ",
    "propSteps",
    "propStepsSkipAware",
    "tilesOverfullBefore",
    "spilledBlocks",
    "spilledSubgroups",
    "maxSubgroups",
    "maxBucketNz",
    "maxBucketMeta",
    "within_SORG",
    "within_ORG",
    "across_ORG",
]


def _numbers(placement):
    """What the columns of the reference file say, in their order."""
    subgroups = placement.subgroups
    spilled = placement.spilled
    return [
        *placement.ends,
        placement.steps,
        placement.steps_skip_aware,
        placement.tiles_overfull,
        int(subgroups.blocks[spilled].sum()),
        int(np.count_nonzero(spilled)),
        int(placement.bucket_subgroups.max()),
        int(placement.bucket_blocks.max()),
        int(placement.bucket_fields.max()),
        *placement.spilled_by_reach,
    ]


def _capacity(row):
    numbers = [int(row[name]) for name in ("Px", "Py", "Pz", "nzBucketBlocks", "metaBucketElems", "block")]
    return Capacity(*numbers[:4], numbers[4] - 1, subgroup_fields(numbers[5], row["gradW"] == "1"))


SEEDS = range(3)


@pytest.fixture(scope="module")
def runs():
    """By kind: published rows int64 [rows, columns], and ours with other random numbers [seeds, rows, columns]."""
    tables = {}
    with DATA.open() as lines:
        for row in csv.DictReader(lines):
            kind = KINDS.get(row["pattern"], row["pattern"])
            m, k, block_size, density = int(row["m"]), int(row["k"]), int(row["block"]), float(row["density"])
            ours = []
            for seed in SEEDS if m == 1024 else SEEDS[:1]:
                pattern = BlockPattern.random((m, k), density=density, block_size=block_size, seed=seed, kind=kind)
                placement = place_published(pattern, _capacity(row))
                assert placement.fits and pattern.nnz_blocks == int(row["nnzBlocks"])
                ours.append(_numbers(placement))
            rows = tables.setdefault(row["pattern"], ([], []))
            rows[0].append([int(row[name]) for name in COLUMNS])
            rows[1].append((ours * len(SEEDS))[: len(SEEDS)])
    return {kind: (np.array(rows[0]), np.array(rows[1]).swapaxes(0, 1)) for kind, rows in tables.items()}


def _column(table, name):
    return table[..., COLUMNS.index(name)]


def test_uniform_patterns_spill_where_the_published_ones_do(runs):
    published, ours = runs["uniform"][0], runs["uniform"][1][0]
    agree = (_column(published, "propSteps") > 0) == (_column(ours, "propSteps") > 0)
    assert agree.mean() >= 0.95  # the rest: another draw of the same chance
    quiet = (_column(published, "propSteps") == 0) & agree
    for name in ("overX", "overY", "overZ", "propStepsSkipAware", "tilesOverfullBefore", "spilledBlocks", "across_ORG"):
        assert np.array_equal(_column(published, name)[quiet], _column(ours, name)[quiet])
    fullest = _column(ours, "maxBucketNz")[quiet] / _column(published, "maxBucketNz")[quiet]
    assert np.all(np.abs(fullest - 1) < 0.1)


@pytest.mark.parametrize("kind", ["uniform", "rowskew", "colskew", "banded", "hotcorner"])
@pytest.mark.parametrize(
    "name, tolerance",
    [
        ("spilledBlocks", 0.03),
        ("spilledSubgroups", 0.05),
        ("tilesOverfullBefore", 0.05),
        ("overX", 0.2),
        ("overY", 0.1),
        ("maxBucketMeta", 0.05),
    ],
)
def test_sums_over_all_published_runs_agree(runs, kind, name, tolerance):
    published, ours = (float(_column(table, name).sum()) for table in (runs[kind][0], runs[kind][1][0]))
    assert abs(ours / published - 1) <= tolerance, (published, ours)


@pytest.mark.parametrize("name", ["propSteps", "propStepsSkipAware", "spilledSubgroups", "maxSubgroups", "overY"])
def test_published_runs_lie_in_the_middle_of_ours(runs, name):
    ranks = []
    for published, ours in runs.values():
        drawn_anew = np.any(ours[0] != ours[-1], axis=-1)
        published, ours = _column(published, name)[drawn_anew], _column(ours, name)[:, drawn_anew]
        ranks.append((ours < published).mean(axis=0) + 0.5 * (ours == published).mean(axis=0))
    assert abs(np.concatenate(ranks).mean() - 0.5) <= 0.1


@pytest.mark.parametrize("kind", ["rowskew", "colskew", "banded", "hotcorner"])
def test_median_steps_of_the_skewed_kinds_agree(runs, kind):
    published, ours = (float(np.median(_column(table, "propSteps"))) for table in runs[kind])
    assert abs(ours / published - 1) <= 0.25, (published, ours)


def _pattern(rows, cols, shape=(4, 4)):
    return BlockPattern.from_indices(np.array(rows), np.array(cols), shape=shape, block_size=1)


def test_a_cell_is_dealt_evenly_to_the_tiles_that_share_it():
    pattern = _pattern([0, 0, 0, 1, 1], [0, 1, 2, 0, 1])
    placement = place_published(pattern, Capacity(1, 1, 4, 10, 100, 7))  # 5 blocks: 3 pieces of at most 2
    assert placement.bucket_blocks.tolist() == [1, 2, 2, 0]
    assert placement.block_tile.tolist() == [0, 1, 1, 2, 2]
    assert (placement.ends, placement.steps, placement.tiles_overfull) == ((1, 1, 4), 0, 0)


def test_the_shortest_rows_leave_a_full_tile_and_travel_the_shortest_way_home():
    pattern = _pattern([0, 0, 0, 1, 1, 2], [0, 1, 2, 0, 1, 0], shape=(4, 16))  # all in cell y = 0 of 4
    placement = place_published(pattern, Capacity(1, 4, 1, 3, 100, 7))
    assert placement.bucket_blocks.tolist() == [3, 0, 0, 3]  # the tile before its home has room: one step on
    assert placement.ends == (1, 2, 1) and placement.steps == placement.steps_skip_aware == 1
    assert placement.spilled_by_reach == (0, 3, 0) and placement.tiles_overfull == 1


def test_rows_are_cut_where_no_whole_row_fits():
    pattern = _pattern([0] * 4, range(4), shape=(2, 8))
    placement = place_published(pattern, Capacity(1, 2, 1, 3, 100, 7))
    assert sorted(placement.bucket_blocks.tolist()) == [1, 3]
    assert placement.bucket_subgroups.tolist() == [1, 1] and placement.fits


def test_one_far_block_costs_a_sweep_of_y_and_z():
    rows, cols = np.divmod(np.arange(8), 4)  # the two cells of x = 0 are overfull, those of x = 1 empty
    placement = place_published(_pattern(rows, cols), Capacity(2, 2, 1, 3, 100, 7))
    assert placement.ends == (2, 2, 1)
    assert placement.steps == 3 and placement.x_connected.tolist() == [True, True]


def test_distances_along_x_that_do_not_occur_are_passed_over():
    pattern = _pattern([0, 0, 2], [0, 1, 0], shape=(3, 2))
    placement = place_published(pattern, Capacity(3, 1, 1, 1, 100, 7))
    assert placement.ends[0] == 3 and placement.x_connected.tolist() == [True, False, True]
    assert (placement.steps, placement.steps_skip_aware) == (2, 1)


def test_what_finds_no_bucket_is_counted():
    placement = place_published(_pattern([0, 0, 1], [0, 1, 0]), Capacity(1, 1, 1, 2, 100, 7))
    assert not placement.fits and placement.unplaced == 1
    assert np.count_nonzero(placement.block_tile == -1) == 1


def test_a_partition_finer_than_the_grid_is_refused():
    with pytest.raises(PlanError, match="a grid of 4 x 4 blocks has no 5 x 1 partitions"):
        place_published(_pattern([0], [0]), Capacity(5, 1, 1, 1, 100, 7))


def test_the_capacity_of_a_plan():
    choice = search_published_dynamic(1024, 1024, 64, 16, 0.25, target=load_target("bow"))
    capacity = Capacity.of(choice)
    assert capacity.tiles == choice.used_tiles and capacity.blocks * 256 == choice.nz_elems_per_bucket
    assert (capacity.fields, capacity.subgroup) == (choice.meta_fwd - 1, 7)
    assert Capacity.of(choice, grad_weight=True).subgroup == 7 + 24


@given(
    seed=st.integers(0, 99),
    kind=st.sampled_from(["uniform", "row_skew", "hot_corner", "banded"]),
    density=st.sampled_from([0.02, 0.2, 0.7]),
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
    slack=st.floats(1.0, 2.0),
)
def test_every_block_lies_in_one_bucket_that_holds_it(seed, kind, density, grid, slack):
    pattern = BlockPattern.random((40, 48), density=density, block_size=1, seed=seed, kind=kind)
    blocks = int(slack * pattern.nnz_blocks / np.prod(grid)) + 1
    placement = place_published(pattern, Capacity(*grid, blocks, 39 * 3 + 3 * blocks, 39))
    tile = placement.block_tile
    assert placement.unplaced == np.count_nonzero(tile == -1)
    held = np.bincount(tile[tile >= 0], minlength=placement.capacity.tiles)
    assert np.array_equal(held, placement.bucket_blocks) and held.max() <= blocks
    assert placement.bucket_fields.max() <= placement.capacity.fields
