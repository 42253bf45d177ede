"""A picture of the pattern: which tile multiplies which blocks, on a grid small enough to draw."""

from __future__ import annotations

from typing import Any, Dict, Optional

import numpy as np

from ..partition import Partition
from ..pattern import BlockPattern
from ..static.merged import blocks_by_run

MOST_CELLS = 128  # per axis


def mask_picture(pattern: BlockPattern, partition: Optional[Partition]) -> Dict[str, Any]:
    """Non-empty cells of a grid of at most 128 x 128, columnar.

    A cell holds cell_rows x cell_cols blocks of the block grid. tile: the one that multiplies most of the cell's
    blocks in the first part of n (the other parts have their own tiles); -1 without a partition.
    """
    mb, kb = pattern.block_grid
    cell_rows, cell_cols = -(-mb // MOST_CELLS), -(-kb // MOST_CELLS)
    rows, cols = -(-mb // cell_rows), -(-kb // cell_cols)
    cell = (pattern.rows.astype(np.int64) // cell_rows) * cols + pattern.cols // cell_cols
    counts = np.bincount(cell, minlength=rows * cols)
    used = np.flatnonzero(counts)
    return {
        "rows": rows,
        "cols": cols,
        "cell_rows": cell_rows,
        "cell_cols": cell_cols,
        "row": used // cols,
        "col": used % cols,
        "blocks": counts[used],
        "tile": _owners(cell, used, pattern, partition),
    }


def _owners(cell: np.ndarray, used: np.ndarray, pattern: BlockPattern, partition: Optional[Partition]) -> np.ndarray:
    if partition is None:
        return np.full(len(used), -1, dtype=np.int64)
    tile = blocks_by_run(pattern, partition, 0) + int(partition.part_first_tile[0])
    width = int(tile.max(initial=0)) + 1
    pairs, counts = np.unique(cell * width + tile, return_counts=True)
    order = np.lexsort((-counts, pairs // width))  # by cell, the tile with most blocks first
    cells = (pairs // width)[order]
    first = np.concatenate([[True], cells[1:] != cells[:-1]]) if len(cells) else np.zeros(0, dtype=bool)
    owners: np.ndarray = (pairs % width)[order][first]
    return owners
