"""How operands and work lists lie in memory: the Python mirror of cpp/codelets/meta_info.hpp.

X is stored as [kb][n_padded][b] and Y as [mb][n_padded][b]: the columns of one block row are contiguous, so a part of
n is one interval. Both are spread linearly over all tiles in grains of 8 bytes x b. Element counts here are of the
data type; work lists are of uint16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple, Union

import numpy as np

from .problem import Problem, column_grain, item_bytes

WORKERS = 6
U16_MAX = 65535
ELEMENT_HEADER_FIELDS = (
    "firstEntryLow",
    "firstEntryHigh",
    "firstValueLow",
    "firstValueHigh",
    "numRows",
    "firstLocalRow",
    "firstColumn",
    "numColumns",
)
BLOCK_HEADER_FIELDS = ("firstColumn", "numColumns")
REDUCE_SEGMENT_FIELDS = ("outOffset", "length", "numSources")
ELEMENT_LIST_HEADER = WORKERS * len(ELEMENT_HEADER_FIELDS)
BLOCK_LIST_HEADER = WORKERS * len(BLOCK_HEADER_FIELDS) + 1
ALIGN_BYTES = 8
# An edge is a 4-byte pointer (codelets section 6), a scalar field 2 or 4 bytes; 4 more list the vertex for its tile.
VERTEX_BYTES = {"dot": 4 * 4 + 4 + 4, "reduce": 3 * 4 + 4 + 4, "cast": 2 * 4 + 4 + 4, "zero": 4 + 4 + 4}


def element_list_entries(num_rows: np.ndarray, num_blocks: np.ndarray) -> np.ndarray:
    """uint16 entries of a StaticElementDot work list: six headers, a count per row, an offset per nonzero."""
    entries: np.ndarray = ELEMENT_LIST_HEADER + num_rows + num_blocks
    return entries


def block_list_entries(num_rows: np.ndarray, num_blocks: np.ndarray) -> np.ndarray:
    """uint16 entries of a StaticBlockDot work list: six headers, the row count, two per row, one per block."""
    entries: np.ndarray = BLOCK_LIST_HEADER + 2 * num_rows + num_blocks
    return entries


def aligned(num_bytes: np.ndarray) -> np.ndarray:
    """`num_bytes` rounded up to the 8 bytes that every tile buffer starts at."""
    return -(-np.asarray(num_bytes) // ALIGN_BYTES) * ALIGN_BYTES


@dataclass(frozen=True)
class LinearLayout:
    """A tensor spread in order over the tiles, `per_tile` elements on each until it ends.

    num_elements: of the tensor; tile i holds [i * per_tile, (i + 1) * per_tile).
    """

    num_elements: int
    per_tile: int

    @property
    def tiles_used(self) -> int:
        """Tiles that hold at least one element."""
        return -(-self.num_elements // self.per_tile) if self.num_elements else 0

    def bounds(self, tiles: int) -> np.ndarray:
        """int64 [tiles + 1]: first element of each tile, then the end."""
        return np.minimum(np.arange(tiles + 1, dtype=np.int64) * self.per_tile, self.num_elements)

    def pieces(self, start: np.ndarray, length: Union[int, np.ndarray]) -> np.ndarray:
        """How many tiles hold a part of each interval [start, start + length), length > 0."""
        count: np.ndarray = (start + length - 1) // self.per_tile - start // self.per_tile + 1
        return count


def linear_layout(num_elements: int, grain: int, tiles: int) -> LinearLayout:
    """`num_elements` (a multiple of `grain`) over `tiles` in whole grains, the first tiles full."""
    grains = -(-num_elements // grain)
    return LinearLayout(num_elements, max(1, -(-grains // tiles)) * grain)


def x_layout(problem: Problem, tiles: int) -> LinearLayout:
    """Where X [kb][n_padded][b] lives between calls."""
    b = problem.block_size
    return linear_layout(problem.block_grid[1] * problem.n_padded * b, column_grain(problem.dtype) * b, tiles)


def y_layout(problem: Problem, tiles: int) -> LinearLayout:
    """Where Y [mb][n_padded][b] lives after a call."""
    b = problem.block_size
    return linear_layout(problem.block_grid[0] * problem.n_padded * b, column_grain(problem.dtype) * b, tiles)


def part_x_layout(problem: Problem, columns: int, tiles: int) -> LinearLayout:
    """Where X [kb][columns][b] of a part of n lives that keeps it on its own `tiles`, the first of which is 0 here."""
    b = problem.block_size
    return linear_layout(problem.block_grid[1] * columns * b, column_grain(problem.dtype) * b, tiles)


def value_layout(problem: Problem, nnz_blocks: int, tiles: int) -> LinearLayout:
    """Where values live between calls when each call broadcasts them; grain: a block, or 8 bytes of single values."""
    b = problem.block_size
    grain = max(b * b, 8 // item_bytes(problem.dtype))
    return linear_layout(-(-nnz_blocks * b * b // grain) * grain, grain, tiles)


def worker_columns(num_columns: int, groups: int, grain: int) -> Tuple[np.ndarray, np.ndarray]:
    """First column and width, int64 [groups], of `num_columns` dealt evenly in whole grains; the first are widest."""
    grains = -(-num_columns // grain)
    sizes = np.full(groups, grains // groups, dtype=np.int64)
    sizes[: grains % groups] += 1
    stops = np.minimum(np.cumsum(sizes) * grain, num_columns)
    starts = np.concatenate([[0], stops[:-1]])
    return starts, stops - starts
