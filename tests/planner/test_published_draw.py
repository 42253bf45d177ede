"""The reference patterns: as many blocks as the published planner counted, chosen by plain selection sampling."""

import csv
from pathlib import Path

import numpy as np
import pytest
from published_draw import draw

PLANS = Path(__file__).parents[1] / "data" / "popsparse_static_plans.csv"


def _published_counts():
    with open(PLANS, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok" and int(row["m"]) <= 2048]
    names = ("pattern", "m", "k", "block", "density", "nz_blocks")
    return sorted({tuple(row[name] for name in names) for row in rows})


def test_block_counts_are_the_published_ones():
    for kind, m, k, block, density, nnz_blocks in _published_counts():
        assert draw(kind, int(m), int(k), int(block), float(density)).nnz_blocks == int(nnz_blocks), (kind, m, block)


@pytest.mark.parametrize("density", [1 / 32, 1 / 4, 1.0])
def test_uniform_draws_are_selection_sampling(density):
    left, cells, kept = round(density * 128 * 128), 128 * 128, []
    raw = np.random.RandomState(1)._bit_generator.random_raw(cells)
    for cell, number in enumerate(raw.tolist()):
        if number / 2**32 * (cells - cell) < left:
            kept.append(cell)
            left -= 1
    pattern = draw("uniform", 512, 512, 4, density)
    assert (pattern.rows.astype(int) * 128 + pattern.cols).tolist() == kept


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown published kind 'diagonal'"):
        draw("diagonal", 64, 64, 4, 0.5)
