"""The reproduced partitioner against runs of the published one, and on targets and patterns that those do not hold."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from published_draw import draw

from popsparse_planner import codelet_cycles as cycles
from popsparse_planner.errors import PlanError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import PlanOptions, Problem
from popsparse_planner.static import published_cut as cut_rules
from popsparse_planner.static.popsparse import search_published
from popsparse_planner.target import load_target

DATA = Path(__file__).parent.parent / "data" / "popsparse_static_plans.csv"
DTYPES = {"half": "float16", "float": "float32"}
MOST_BLOCKS_EXAMINED = 300_000  # patterns above are only planned; their tiles are not looked at one by one
CHOSEN = ("nSplit", "kSplit_searched_best", "kBands_final")
ESTIMATED = {
    "k_tile": "pred_kTile",
    "m_tile": "pred_mTile",
    "m_sparse": "pred_mSparse",
    "k_sparse": "pred_kSparse",
}


def _read_rows():
    with DATA.open() as lines:
        rows = list(csv.DictReader(lines))
    return sorted(rows, key=_pattern_key)


def _pattern_key(row):
    return row["pattern"], int(row["m"]), int(row["k"]), int(row["block"]), float(row["density"])


def _search(row, pattern):
    dtype = DTYPES[row["dtype"]]
    problem = Problem(int(row["m"]), int(row["k"]), int(row["n"]), int(row["block"]), dtype, dtype)
    options = PlanOptions(available_memory_proportion=float(row["amp"]))
    preprocess = row["enablePreprocessing"] == "1"
    choice = search_published(pattern, problem, load_target("bow"), options, enable_preprocessing=preprocess)
    return problem, choice


def _predicted(choice):
    """Our values of the file's columns that describe the choice and its estimate."""
    ours = dict(zip(CHOSEN, (choice.n_split, choice.k_split_searched, choice.num_bands)))
    ours.update(rows_kept=choice.rows_kept, cols_kept=choice.columns_kept, pred_total_cycles=choice.total_cycles)
    for numbers, prefix in ((choice.phases, "pred_"), (choice.load, "pred_"), (choice.memory, "pred_mem_")):
        ours.update({ESTIMATED.get(name, prefix + name): value for name, value in numbers.items()})
    return ours


def _worker_shares(counts):
    """The published split of rows with so many nonzeros over six workers (popsparse-static section 3)."""
    if len(counts) <= 6:
        return [counts[row : row + 1] for row in range(len(counts))]
    shares, row = [], 0
    for _ in range(6):
        first = row
        while row < len(counts) and 6 * counts[first:row].sum() < counts.sum():
            row += 1
        shares.append(counts[first:row])
    return shares


def _element_cycles(dtype, n, run_rows):
    """Slowest b = 1 vertex of tiles whose nonzeros lie in these rows."""
    workers = []
    for rows in run_rows:
        counts = np.diff(np.flatnonzero(np.diff(rows, prepend=-1, append=-1)))
        columns = -(-n // 16) * 8 if len(counts) <= 3 and n % 8 == 0 else n  # two groups of columns for few rows
        workers.extend((columns, len(share), share.sum()) for share in _worker_shares(counts))
    return 6 * int(cycles.element_worker_slots(dtype, dtype, *np.array(workers).T).max())


def _compute_cycles(problem, n, run_rows, num_rows, num_blocks):
    """Slowest vertex by the counted rules; float blocks of 8 and 16 first zero their partials and the tail behind."""
    b, dtype = problem.block_size, problem.dtype
    if b == 1:
        return _element_cycles(dtype, n, [rows for rows in run_rows if len(rows)])
    vertex = cycles.block_vertex_cycles(dtype, dtype, b, -(-n // 6), num_rows, num_blocks)
    if dtype == "float32" and b > 4:
        vertex = vertex + cycles.zero_cycles(num_rows * b * n * 4 + 8 * b)
    return int(vertex[num_blocks > 0].max())


def _distinct_per_run(runs, places, num_runs, num_places):
    return np.bincount(np.unique(runs * num_places + places) // num_places, minlength=num_runs)


def _assigned(problem, pattern, choice):
    """Our values of the file's columns that describe the real assignment of blocks to tiles."""
    per_tile = {"rows": [], "columns": [], "entries": [], "compute": []}
    loads, sources = [], 0
    mb, kb = problem.block_grid
    for index, cut in enumerate(choice.cuts):
        blocks = np.diff(cut.run_offsets)
        runs = np.repeat(np.arange(cut.num_runs), blocks)
        block_rows = pattern.rows[cut.block_order].astype(np.int64)
        num_rows = _distinct_per_run(runs, block_rows, cut.num_runs, mb)
        columns = _distinct_per_run(runs, pattern.cols[cut.block_order], cut.num_runs, kb)
        n = int(np.diff(choice.part_bounds)[choice.part_cut == index].max())
        run_rows = np.split(block_rows, cut.run_offsets[1:-1])
        per_tile["rows"].append(num_rows.max())
        per_tile["columns"].append(columns.max())
        entries = 36 + num_rows + blocks if problem.block_size == 1 else 13 + 2 * num_rows + blocks
        per_tile["entries"].append(entries.max())
        per_tile["compute"].append(_compute_cycles(problem, n, run_rows, num_rows, blocks))
        loads.append(np.tile(blocks, np.count_nonzero(choice.part_cut == index)))
        sources = max(sources, np.bincount(np.unique(runs * mb + block_rows) % mb).max())
    loads = np.concatenate(loads)
    widths = np.diff(choice.band_bounds)
    return {
        "tiles_used": np.count_nonzero(loads),
        "max_nz_blocks_per_tile": loads.max(),
        "mean_nz_blocks_per_used_tile": loads.sum() / np.count_nonzero(loads),
        "band_boundaries_min_width": widths.min(),
        "band_boundaries_max_width": widths.max(),
        "actual_max_rows_per_tile": max(per_tile["rows"]),
        "actual_max_cols_per_tile": max(per_tile["columns"]),
        "actual_max_row_sources": sources,
        "actual_max_worklist_entries": max(per_tile["entries"]),
        "actual_compute_cycles_asm": max(per_tile["compute"]),
    }


def _equal(written, value):
    """Equal to the digits that the file has; fractions were rounded twice, long numbers written as 1.33805e+06."""
    if "e+" in written:
        return f"{value:g}" == written
    digits = len(written.partition(".")[2])
    return abs(float(written) - float(value)) <= (10**-digits if digits else 0)


@lru_cache(maxsize=1)
def _differences():
    """One (row, choice.ok, {column: ours that differs}) per row of the file; a pattern is drawn once."""
    found, drawn = [], (None, None)
    for row in _read_rows():
        key = _pattern_key(row)
        if drawn[0] != key:
            drawn = (key, draw(*key))
        problem, choice = _search(row, drawn[1])
        ours = {}
        if choice.ok and row["status"] == "ok":
            ours = _predicted(choice)
            if drawn[1].nnz_blocks <= MOST_BLOCKS_EXAMINED:
                ours.update(_assigned(problem, drawn[1], choice))
        found.append((row, choice.ok, {c: v for c, v in ours.items() if not _equal(row[c], v)}))
    return found


def test_the_published_choice_is_made_on_every_row():
    compared = [(row, wrong) for row, ok, wrong in _differences() if row["status"] == "ok" and ok]
    assert len(compared) == 331
    assert not [(row, wrong) for row, wrong in compared if set(wrong) & set(CHOSEN)]


def test_published_estimates_are_equal_phase_by_phase():
    assert not [(row, wrong) for row, _, wrong in _differences() if any(c.startswith(("pred", "rows_")) for c in wrong)]


def test_published_tiles_hold_what_ours_hold():
    assert not [(row, wrong) for row, _, wrong in _differences() if wrong]


def test_the_published_refusals_are_refused():
    assert not [row for row, ok, _ in _differences() if ok != (row["status"] == "ok")]


def test_a_refusal_says_what_does_not_fit():
    pattern = BlockPattern.random((4096, 4096), density=1 / 16, block_size=16)
    choice = search_published(pattern, Problem(4096, 4096, 16384, 16, "float16", "float16"), load_target("bow"))
    assert not choice.ok and not choice.cuts and choice.num_feasible == 0 and choice.total_cycles == 0
    pattern_of_message = r"no partition: of [\d,]+ candidates [\d,]+ need more than its bound of 383,385 B a tile"
    assert choice.message and choice.n_split == choice.num_bands == 0
    with pytest.raises(ValueError, match=pattern_of_message):
        raise ValueError(choice.message)


def test_fields_and_tiles_are_named_in_a_refusal():
    pattern = BlockPattern.random((64, 16384), density=1.0, block_size=1)
    target = load_target("bow").replace(tiles=4, tile_bytes=10**9)
    choice = search_published(pattern, Problem(64, 16384, 4096, 1, "float16", "float16"), target)
    assert not choice.ok and "overflow a 16-bit field" in choice.message and "need more" not in choice.message


def _every_block_once(pattern, choice, target):
    assert choice.part_first_tile[-1] + choice.part_tiles[-1] <= target.tiles
    for tiles, index in zip(choice.part_tiles, choice.part_cut):
        assert choice.cuts[index].num_runs <= tiles
    for cut in choice.cuts:
        assert np.array_equal(np.sort(cut.block_order), np.arange(pattern.nnz_blocks))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("tiles", [1, 2, 4, 1472])
@pytest.mark.parametrize("b", [1, 4, 8, 16])
@pytest.mark.parametrize(
    "places",
    [([0], [0]), ([2] * 5, range(5)), (range(7), [3] * 7), (np.repeat(range(7), 9), np.tile(range(9), 7)), ([6], [8])],
    ids=["one block", "one row", "one column", "full", "last block"],
)
@pytest.mark.parametrize("n", [1, 13])
def test_small_and_lopsided_patterns(places, b, tiles, dtype, n):
    pattern = BlockPattern.from_indices(list(places[0]), list(places[1]), shape=(7 * b, 9 * b), block_size=b)
    target = load_target("bow").replace(tiles=tiles)
    for preprocess in (True, False):
        problem = Problem(7 * b, 9 * b, n, b, dtype, dtype)
        choice = search_published(pattern, problem, target, enable_preprocessing=preprocess)
        assert choice.ok, choice.message
        _every_block_once(pattern, choice, target)
        assert choice.total_cycles > 0 and choice.part_bounds[-1] == problem.n_padded
        assert choice.worst_bytes >= choice.memory["max_bytes"] > 0


def test_an_empty_pattern_costs_nothing():
    pattern = BlockPattern.from_indices([], [], shape=(512, 8), block_size=4)
    choice = search_published(pattern, Problem(512, 8, 3, 4, "float16", "float16"), load_target("bow"))
    assert choice.ok and choice.total_cycles == 0
    assert (choice.n_split, choice.num_bands, choice.cuts[0].num_runs) == (1, 0, 0)


def test_ragged_shapes_count_whole_blocks():
    pattern = BlockPattern.from_indices([0, 3], [1, 2], shape=(61, 45), block_size=16)
    ragged = search_published(pattern, Problem(61, 45, 7, 16, "float16", "float16"), load_target("bow"))
    whole_pattern = BlockPattern.from_indices([0, 3], [1, 2], shape=(64, 48), block_size=16)
    whole = search_published(whole_pattern, Problem(64, 48, 8, 16, "float16", "float16"), load_target("bow"))
    assert ragged.phases == whole.phases


def test_rejected_rows_and_columns_come_last():
    counts = np.array([40, 0, 1, 30, 2, 27])  # at most a tenth of the mean 100 / 6: rejected
    order, planned, kept = cut_rules.preprocess(counts, True)
    assert order.tolist() == [0, 3, 4, 5, 2, 1] and planned.tolist() == [40, 30, 2, 27, 1, 0] and kept == 4
    assert cut_rules.preprocess(counts, False).kept == 6
    assert cut_rules.preprocess(np.zeros(3, int), True).kept == 1


def test_blocks_of_rejected_rows_end_their_band():
    rows, cols = [0, 0, 1, 2, 2, 2, 2], [0, 1, 3, 0, 1, 2, 3]
    pattern = BlockPattern.from_indices(rows, cols, shape=(3, 4), block_size=1)
    row_plan = cut_rules.Dimension(np.array([0, 2, 1]), np.array([2, 4, 1]), 2)
    column_plan = cut_rules.Dimension(np.array([0, 1, 3, 2]), np.array([2, 2, 2, 1]), 4)
    planned = cut_rules.order_blocks(pattern, row_plan, column_plan, np.array([0, 2, 4]))
    assert planned.order.tolist() == [0, 1, 3, 4, 6, 5, 2] and planned.band_offsets.tolist() == [0, 4, 7]
    cut = cut_rules.make_cut(planned, np.array([2, 4]))
    assert cut.run_offsets.tolist() == [0, 2, 4, 5, 6, 7, 7] and cut.run_band.tolist() == [0, 0, 1, 1, 1, 1]


def test_cuts_by_worked_tables():
    assert cut_rules.n_parts(44, 4, 4).tolist() == [0, 12, 24, 36, 44]
    assert cut_rules.n_parts(40, 7, 4).tolist() == [0, 8, 16, 24, 32, 40]  # the sixth and seventh would be empty
    assert cut_rules.part_tiles(np.array([12, 12, 12, 8]), 1472, 2).tolist() == [0, 392, 784, 1176, 1472]
    assert cut_rules.part_tiles(np.array([4, 4, 4]), 4, 2).tolist() == [0, 2, 4, 4]  # the last part gets none
    bands = cut_rules.build_bands(np.array([4, 0, 3, 5, 0, 1, 0]), np.array([1, 2, 4]))
    assert bands.bounds.tolist() == [[0, 6, 6, 6, 6], [0, 3, 7, 7, 7], [0, 1, 4, 7, 7]]
    assert bands.num.tolist() == [1, 2, 3] and bands.widest.tolist() == [4, 2, 2]
    given, feasible = cut_rules.tiles_per_band(bands.blocks[1:], bands.num[1:], np.array([10, 4]), 2)
    assert given.tolist() == [[4, 6, 0, 0], [0, 0, 0, 0]] and feasible.tolist() == [True, False]


def test_what_the_published_planner_cannot_do_is_named():
    pattern = BlockPattern.from_indices([0], [0], shape=(16, 16), block_size=4)
    problem = Problem(16, 16, 8, 4, "float16", "float16")
    with pytest.raises(PlanError, match=r"gives out tiles 2 at a time, so it cannot use 5: try 4"):
        search_published(pattern, problem, load_target("bow").replace(tiles=5))
    with pytest.raises(PlanError, match=r"expected partials_dtype float16, got float32"):
        search_published(pattern, Problem(16, 16, 8, 4), load_target("bow"))
    with pytest.raises(PlanError, match=r"the pattern has \(4, 4\) blocks of 4, the problem \(2, 2\) of 8"):
        search_published(pattern, Problem(16, 16, 8, 8, "float16", "float16"), load_target("bow"))
