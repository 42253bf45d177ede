"""How the published static partitioner cuts a product: parts of n, bands of k, tiles per band, blocks per tile.

Reproduced with its quirks (popsparse-static section 2); `popsparse.py` searches over these cuts.
"""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import numpy as np

from ..partition import Cut
from ..pattern import BlockPattern

REJECT_SHARE = 0.1  # rows and columns with at most this share of the mean count leave the estimate


class Dimension(NamedTuple):
    """Block rows or block columns in planned order: those that count first, in natural order, then the rejected.

    order: int64 [size], natural index of each planned place; counts: int64 [size] blocks, in planned order;
    kept: number of places that the estimate looks at.
    """

    order: np.ndarray
    counts: np.ndarray
    kept: int


def preprocess(counts: np.ndarray, enable: bool) -> Dimension:
    """Planned order of one dimension from its block counts [size]; the natural order unless `enable` (step 1)."""
    size = len(counts)
    if not enable:
        return Dimension(np.arange(size), counts, size)
    order = np.argsort(-counts, kind="stable")
    kept = max(int(np.count_nonzero(counts > REJECT_SHARE * counts.sum() / size)), 1)
    order[:kept].sort()
    return Dimension(order, counts[order], kept)


def n_parts(n_padded: int, splits: int, grain: int) -> np.ndarray:
    """Bounds int64 [parts + 1] of n: equal parts but the last; fewer than `splits` if some would be empty (step 3)."""
    chunk = -(-(n_padded // grain) // splits) * grain
    return np.minimum(np.arange(-(-n_padded // chunk) + 1) * chunk, n_padded)


def part_tiles(columns: np.ndarray, num_tiles: int, tile_grain: int) -> np.ndarray:
    """Bounds int64 [parts + 1] of the tiles given to parts of n of so many `columns`; a part may get none (step 4)."""
    grains = num_tiles // tile_grain
    wanted = np.maximum(-(-grains * columns // (columns.sum() + 1)) - 1, -(-grains // len(columns))) * tile_grain
    ends = np.minimum(np.cumsum(wanted), num_tiles)
    ends[-1] = num_tiles
    return np.concatenate([[0], ends])


class Bands(NamedTuple):
    """Bands of k for several requested numbers of bands; rows are requests, columns bands, 0 where a band is missing.

    bounds: int64 [requests, bands + 1] planned block columns; blocks: int64 [requests, bands];
    num: int64 [requests] bands that exist; widest: int64 [requests] most non-empty columns in a band.
    """

    bounds: np.ndarray
    blocks: np.ndarray
    num: np.ndarray
    widest: np.ndarray


def build_bands(column_counts: np.ndarray, requests: np.ndarray) -> Bands:
    """Greedy bands, closed once they reach ceil(blocks / requested): they overshoot, so the last may be missing."""
    below = np.concatenate([[0], np.cumsum(column_counts)])
    filled_below = np.concatenate([[0], np.cumsum(column_counts > 0)])
    target = -(-below[-1] // requests)
    bounds = np.zeros((len(requests), int(requests.max()) + 1), dtype=np.int64)
    for band in range(bounds.shape[1] - 1):
        reached = np.searchsorted(below, below[bounds[:, band]] + target)
        end = np.minimum(reached, len(column_counts))
        exists = (band < requests) & (below[end] > below[bounds[:, band]])
        bounds[:, band + 1] = np.where(exists, end, bounds[:, band])
    blocks = np.diff(below[bounds], axis=1)
    widest = np.diff(filled_below[bounds], axis=1).max(axis=1)
    return Bands(bounds, blocks, np.count_nonzero(blocks, axis=1), widest)


def tiles_per_band(
    blocks: np.ndarray,  # int64 [candidates, bands], as Bands.blocks
    num_bands: np.ndarray,  # int64 [candidates]
    tiles: np.ndarray,  # int64 [candidates], of the n part
    tile_grain: int,
) -> Tuple[np.ndarray, np.ndarray]:
    """Tiles int64 [candidates, bands] given to each band, and bool [candidates]: every band got some (step 6)."""
    given = np.zeros_like(blocks)
    total, used = blocks.sum(axis=1), np.zeros_like(tiles)
    feasible = np.ones(len(tiles), dtype=bool)
    for band in range(blocks.shape[1]):
        count, later = blocks[:, band], num_bands - 1 - band
        exists = feasible & (later >= 0)
        share = np.floor(count.astype(np.float64) * tiles / np.maximum(total, 1)).astype(np.int64)
        share = np.maximum(np.where(share == 0, np.minimum(tiles, tile_grain), share), 1)
        blocks_per_tile = np.maximum(-(-count // share), 1)
        needed = -(-count // blocks_per_tile)
        share = np.minimum(-(-needed // tile_grain) * tile_grain, share)
        share = np.where(later == 0, tiles - used, share)
        share = np.minimum(np.maximum(share - share % tile_grain, tile_grain), tiles - used)
        kept_back = tiles - later * tile_grain  # the original subtracts unsigned: no limit once it would be negative
        share = np.where(kept_back >= 0, np.minimum(share, kept_back), share)
        given[:, band] = np.where(exists, share, 0)
        feasible &= ~exists | (share > 0)
        used = used + given[:, band]
    return given, feasible


def _stable_order(order: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """`order`, stably sorted by keys[order]; small unsigned keys make NumPy choose its radix sort."""
    narrow = keys.astype(np.min_scalar_type(int(keys.max()))) if len(keys) else keys
    return order[np.argsort(narrow[order], kind="stable")]


def _places(dimension: Dimension) -> np.ndarray:
    places = np.empty(len(dimension.order), dtype=np.int64)
    places[dimension.order] = np.arange(len(places))
    return places


class PlannedBlocks(NamedTuple):
    """Blocks of a pattern by band, planned row, planned column: index [nnz_blocks] into the pattern's own order."""

    order: np.ndarray
    band_offsets: np.ndarray  # int64 [bands + 1]


def order_blocks(pattern: BlockPattern, rows: Dimension, columns: Dimension, bounds: np.ndarray) -> PlannedBlocks:
    """Sort the blocks for bands with `bounds` int64 [bands + 1] in planned columns (step 7)."""
    order = np.arange(pattern.nnz_blocks)
    column_place, row_place = _places(columns), _places(rows)
    planned_columns = column_place[pattern.cols]
    columns_moved, rows_moved = (bool(np.any(np.diff(dimension.order) < 0)) for dimension in (columns, rows))
    if columns_moved:
        order = _stable_order(order, planned_columns)
    if columns_moved or rows_moved:
        order = _stable_order(order, row_place[pattern.rows])
    band = np.searchsorted(bounds[1:-1], planned_columns, side="right")
    counts = np.bincount(band, minlength=len(bounds) - 1)
    return PlannedBlocks(_stable_order(order, band), np.concatenate([[0], np.cumsum(counts)]))


def make_cut(planned: PlannedBlocks, tiles: np.ndarray) -> Cut:
    """Equal runs of each band's blocks over its `tiles` int64 [bands]; the last runs may be empty (step 7)."""
    offsets: List[np.ndarray] = [np.zeros(1, dtype=np.int64)]
    for band, count in enumerate(np.diff(planned.band_offsets)):
        run = -(-count // tiles[band])
        offsets.append(planned.band_offsets[band] + np.minimum(np.arange(1, tiles[band] + 1) * run, count))
    return Cut(planned.order, np.concatenate(offsets), np.repeat(np.arange(len(tiles)), tiles))
