"""The published dynamic planner against its real plans."""

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from popsparse_planner.dynamic.popsparse import BLOCK_METHODS, PublishedDynamicChoice, search_published_dynamic
from popsparse_planner.dynamic.published_worker_split import split_between_workers
from popsparse_planner.errors import PlanError
from popsparse_planner.problem import PlanOptions
from popsparse_planner.target import load_target

DATA = Path(__file__).parent.parent / "data" / "popsparse_dynamic_plans.csv"
DTYPES = {"half": "float16", "float": "float32"}
TARGET = load_target("bow")
COLUMNS = {
    "Px": "px",
    "Py": "py",
    "Pz": "pz",
    "usedTiles": "used_tiles",
    "method_fwd": "method",
    "zGroup": "z_group",
    "nzElemsPerBucket": "nz_elems_per_bucket",
    "metaFwd": "meta_fwd",
    "metaGradA": "meta_grad_a",
    "gradWExchangeBuckets": "grad_w_exchange_buckets",
    "cost_cycles": "cost_cycles",
    "cost_temp_bytes": "cost_temp_bytes",
    "candidates": "candidates",
    "feasible": "feasible",
}


def _rows():
    with DATA.open() as lines:
        return list(csv.DictReader(lines))


def _options(row):
    return PlanOptions(
        meta_info_oversize_proportion=float(row["oversize"]),
        grad_input=row["gradA"] == "1",
        grad_weight=row["gradW"] == "1",
    )


def _chosen(row):
    return search_published_dynamic(
        *(int(row[name]) for name in ("m", "k", "n", "block")),
        float(row["density"]),
        target=TARGET,
        dtype=DTYPES[row["dtype"]],
        partials_dtype=DTYPES[row["partials"]],
        options=_options(row),
    )


def test_every_published_plan_is_reproduced_in_every_column():
    rows = _rows()
    for row in rows:
        choice = _chosen(row)
        got = {column: getattr(choice, name) for column, name in COLUMNS.items()}
        want = {column: row[column] if column == "method_fwd" else int(row[column]) for column in COLUMNS}
        assert choice.ok and got == want
    assert len(rows) == 36


@pytest.mark.parametrize(
    "size, n, block_size, grid, bucket, cycles, temp_bytes",
    [  # forward only, density 1/16: the reference plans of popsparse-dynamic 2.4
        (1024, 64, 1, (86, 8, 2), (62, 236), 4544, 10920),
        (1024, 1024, 16, (22, 4, 16), (256, 28), 16724, 47432),
        (1024, 4096, 8, (22, 1, 64), (64, 92), 50218, 156872),
        (4096, 1024, 4, (36, 5, 8), (960, 580), 202824, 261176),
        (4096, 4096, 1, (2, 23, 32), (928, 37352), 2599052, 3467760),
        (4096, 4096, 16, (22, 1, 64), (1024, 296), 214522, 715184),
        (8192, 64, 16, (86, 17, 1), (4096, 48), 25858, 80064),
        (8192, 4096, 1, (1, 46, 32), (3706, 149176), 9106246, 13718812),
    ],
)
def test_forward_only_plans(size, n, block_size, grid, bucket, cycles, temp_bytes):
    partials = "float32" if block_size == 1 else "float16"
    made = {"target": TARGET, "partials_dtype": partials}
    choice = search_published_dynamic(size, size, n, block_size, Fraction(1, 16), **made)
    assert (choice.px, choice.py, choice.pz) == grid
    assert (choice.nz_elems_per_bucket, choice.meta_fwd, choice.meta_grad_a) == (*bucket, 0)
    assert (choice.cost_cycles, choice.cost_temp_bytes) == (cycles, temp_bytes)


def test_blocks_count_as_their_density():
    by_density = search_published_dynamic(1024, 1024, 64, 16, 1 / 16, target=TARGET)
    by_blocks = search_published_dynamic(1024, 1024, 64, 16, 256, target=TARGET)
    assert by_blocks == by_density
    assert (by_blocks.nz_blocks_per_bucket, by_blocks.method) == (1, BLOCK_METHODS)


def test_float_blocks_of_16_are_planned_as_blocks_of_8():
    sixteen, eight = (
        search_published_dynamic(1024, 1024, 64, b, 1 / 16, target=TARGET, dtype="float32") for b in (16, 8)
    )
    assert sixteen == eight and sixteen.block_size == 8


def test_the_memory_bound_is_doubled_until_something_fits():
    bound = int(0.6 * TARGET.tile_bytes)
    within = search_published_dynamic(1024, 1024, 64, 16, 1 / 16, target=TARGET)
    doubled = search_published_dynamic(4096, 4096, 4096, 4, 1 / 16, target=TARGET)
    unbound = search_published_dynamic(4096, 4096, 4096, 1, 1 / 16, target=TARGET)
    assert [choice.memory_bound for choice in (within, doubled, unbound)] == [bound, 2 * bound, 0]


def test_offsets_of_16_bits_can_leave_no_plan():
    choice = search_published_dynamic(8192, 8192, 4096, 1, 1 / 16, target=TARGET, dtype="float32")
    assert not choice.ok and choice.used_tiles == choice.feasible == 0
    assert "finds no partition of 8192 x 8192 with n = 4096" in choice.message
    assert isinstance(choice, PublishedDynamicChoice)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"density_or_blocks": 1.5}, r"density must lie in \(0, 1\], got 1.5"),
        ({"density_or_blocks": 0.0}, r"density must lie in \(0, 1\], got 0.0"),
        ({"density_or_blocks": 4097}, "expected 1 to 4,096 blocks in a grid of 64 x 64, got 4,097"),
        ({"density_or_blocks": 0}, "expected 1 to 4,096 blocks"),
        ({"block_size": 1, "n": 6}, "takes n in multiples of 4 for b = 1, got 6"),
        ({"block_size": 1, "partials_dtype": "float16"}, "keeps partials of single values in float32"),
    ],
)
def test_bad_requests(changes, message):
    request = {"m": 1024, "k": 1024, "n": 64, "block_size": 16, "density_or_blocks": 0.1, "target": TARGET}
    with pytest.raises(PlanError, match=message):
        search_published_dynamic(**dict(request, **changes))


@pytest.mark.parametrize(
    "rows, columns, shares",
    [  # worked by hand from the rule
        (1, 64, [(1, 10), (1, 10), (1, 11), (1, 11), (1, 11), (1, 11)]),
        (7, 1, [(1, 1)] * 5 + [(2, 1)]),
        (1, 1, [(1, 1)]),
        (12, 4, [(2, 4)] * 6),
    ],
)
def test_worker_rectangles(rows, columns, shares):
    height, width = split_between_workers(np.array([rows]), np.array([columns]))
    found = sorted((int(h), int(w)) for h, w in zip(height[0], width[0]) if h)
    assert found == shares


def test_worker_rectangles_cover_everything():
    rows, columns = (values.reshape(-1) for values in np.meshgrid(np.arange(1, 60), np.arange(1, 40)))
    height, width = split_between_workers(rows, columns)
    assert np.array_equal((height * width).sum(axis=1), rows * columns)
