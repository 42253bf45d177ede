"""How a product runs on a processor: the tile of sums in registers, bands and panels of x, what is copied first.

The rules are measured (hosts/cpu.toml names the machine): for each the reason and the figure stand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Tuple

PANEL_COLUMNS = 128  # of x that are copied together: 256 rows of them fill a second-level cache's eighth
NARROW_COLUMNS = 64  # of x that are read in place together
USES_FROM_L3 = 3  # times each block of x is used that pay for copying a panel of an x that no second-level cache holds
USES_FROM_L2 = 48  # the same for an x that fits there
USES_MISALIGNED = 8  # the same for an x whose rows do not begin on a cache line (13 to 30 % slower to read)
BAND_STEPS = 16  # multiply-adds per row of W and band that pay for reading and writing its sums again


@dataclass(frozen=True)
class Tier:
    """An instruction set: floats in a vector; most vectors of a tile by its rows (1, 2, 4, 8, 16), 0 for no tile."""

    name: str
    lanes: int
    max_vectors: Mapping[int, int]


@dataclass(frozen=True)
class CpuSchedule:
    """tile_rows x tile_vectors sums in registers; see cpp/cpu/packed_matrix.hpp for the other fields.

    chunk_blocks, band_blocks: 0 for all; panel_columns: 0 for all; pack: copy each panel of x first;
    pack_misaligned: the same for an x whose rows do not begin on cache lines; by_rows: x and y have a row for each
    sample, as in PyTorch, and are not transposed.
    """

    tile_rows: int
    tile_vectors: int
    chunk_blocks: int
    band_blocks: int
    panel_columns: int
    pack: bool
    pack_misaligned: bool
    by_rows: bool = False

    def astuple(self) -> Tuple[int, int, int, int, int, bool, bool, bool]:
        """The fields in the order in which the native core takes them."""
        return (
            self.tile_rows,
            self.tile_vectors,
            self.chunk_blocks,
            self.band_blocks,
            self.panel_columns,
            self.pack,
            self.pack_misaligned,
            self.by_rows,
        )


# Share of the peak that a tile of so many rows reaches from the first-level cache: with 32 registers, with 16.
_EFFICIENCY = {1: (0.45, 0.55), 2: (0.65, 0.8), 4: (0.92, 0.85), 8: (0.92, 0.8), 16: (0.8, 0.0)}


def tile_efficiency(tile_rows: int, tier: Tier) -> float:
    """Share of the peak that tiles of tile_rows reach."""
    return _EFFICIENCY[tile_rows][0 if tier.max_vectors.get(16, 0) else 1]


def choose_schedule(
    shape: Tuple[int, int],
    n: int,
    block_shape: Tuple[int, int],
    blocks: int,
    tier: Tier,
    caches: Tuple[int, int],  # bytes of the first and second level
) -> CpuSchedule:
    """The schedule for Y (m, n) = W X (k, n), W of shape (m, k) with `blocks` blocks of block_shape."""
    (m, k), (block_rows, block_columns) = shape, block_shape
    rows = _tile_rows(block_rows, n, tier)
    vectors = _tile_vectors(rows, n, tier)
    uses = blocks * block_columns / max(1, k)  # times a row of x is used
    density = blocks * block_rows * block_columns / max(1, m * k)
    pack = n > NARROW_COLUMNS and uses >= (USES_FROM_L2 if 4 * k * n <= 1.5 * caches[1] else USES_FROM_L3)
    band_rows = _band_rows(k, min(n, NARROW_COLUMNS), block_rows, density, caches)
    if band_rows:
        panel, vectors = NARROW_COLUMNS, min(vectors, -(-NARROW_COLUMNS // tier.lanes))
    else:
        panel = PANEL_COLUMNS if pack else 0 if rows in (1, 8) else NARROW_COLUMNS
    return CpuSchedule(
        tile_rows=rows,
        tile_vectors=vectors,
        chunk_blocks=_chunk_blocks(rows, vectors * tier.lanes, block_shape, caches[0]),
        band_blocks=-(-band_rows // block_columns),
        panel_columns=panel,
        pack=pack,
        pack_misaligned=uses >= USES_MISALIGNED,
    )


def choose_row_schedule(block_rows: int, tier: Tier) -> Optional[CpuSchedule]:
    """The schedule for y (n, m) = x (n, k) W^T that transposes nothing; None where blocks are no whole vectors high."""
    if block_rows % tier.lanes or not tier.max_vectors.get(tier.lanes, 0):
        return None
    return CpuSchedule(tier.lanes, 1, 0, 0, 0, pack=False, pack_misaligned=False, by_rows=True)


def _tile_rows(block_rows: int, n: int, tier: Tier) -> int:
    """Rows of the fastest tile, counting the rows of zeros that fill a block's last tile."""
    if n <= tier.lanes and block_rows % 16 == 0 and tier.max_vectors.get(16, 0):
        return 16

    def speed(rows: int) -> float:
        filled = block_rows / (-(-block_rows // rows) * rows)
        return filled * tile_efficiency(rows, tier)

    rows = max((rows for rows in (4, 2, 1) if tier.max_vectors.get(rows, 0)), key=speed)
    # 8 x 32 sums beat 4 x 64 by 7 to 20 % at n = 1024; where 64 columns are all there is, 4 x 64 wins by 2 %.
    eights = rows == 4 and block_rows % 8 == 0 and tier.max_vectors.get(8, 0) > 1
    all_at_once = block_rows >= 16 and NARROW_COLUMNS - tier.lanes < n <= NARROW_COLUMNS
    return 8 if eights and not all_at_once else rows


def _tile_vectors(rows: int, n: int, tier: Tier) -> int:
    """Vectors of the tile: as many as it may have and n fills."""
    return min(tier.max_vectors[rows], 1 << max(0, -(-n // tier.lanes) - 1).bit_length())


def _band_rows(k: int, columns: int, block_rows: int, density: float, caches: Tuple[int, int]) -> int:
    """Rows of x in a band, 0 for no bands. Low blocks use a row of x for little work, so it has to be near."""
    if block_rows > 4 or density <= 0:
        return 0
    row_bytes = 4 * columns
    nearest = max(1, int(0.95 * caches[0]) // row_bytes)
    if block_rows <= 2 and density * nearest >= BAND_STEPS:
        return nearest if k > nearest else 0
    enough = -(-BAND_STEPS // density)
    in_l2 = k * row_bytes <= 0.9 * caches[1]
    return 0 if in_l2 or enough > 3 * nearest else int(max(enough, 2 * nearest))


def _chunk_blocks(tile_rows: int, columns: int, block_shape: Tuple[int, int], l1_bytes: int) -> int:
    """Blocks whose part of x stays in half the first-level cache while each tile of a block row uses it."""
    if block_shape[0] <= tile_rows:
        return 0
    return max(1, l1_bytes // 2 // (4 * block_shape[1] * columns))
