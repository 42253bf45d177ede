"""Patterns and tiles of the tests of target "cuda", and what their work lists must hold."""

import numpy as np
from hypothesis import strategies as st

from popsparse_planner import BlockPattern
from popsparse_planner.cuda_machine import CudaMachine, cuda_machine
from popsparse_planner.cuda_tiles import SlabLists, Tile, tiles

HOPPER, AMPERE = cuda_machine((9, 0), 232448), cuda_machine((8, 6), 101376)
SHARED = st.sampled_from([101376, 166912, 232448])


@st.composite
def patterns(draw: st.DrawFn, sizes: tuple) -> BlockPattern:
    b = draw(st.sampled_from(sizes))
    rows, columns = draw(st.integers(1, 20)), draw(st.integers(1, 40))
    mask = np.random.default_rng(draw(st.integers(0, 99))).random((rows, columns)) < draw(st.floats(0, 1))
    ragged = draw(st.integers(0, b - 1)), draw(st.integers(0, b - 1))
    return BlockPattern.from_mask(mask, block_size=b, shape=(rows * b - ragged[0], columns * b - ragged[1]))


def inside_of(pattern: BlockPattern, side: int, *, transposed: bool) -> np.ndarray:
    """dense_of without what lies in pieces of this side that are wholly beyond the edges."""
    whole = dense_of(pattern, transposed=transposed)
    m, k = pattern.shape[::-1] if transposed else pattern.shape
    whole[-(-m // side) * side :], whole[:, -(-k // side) * side :] = -1, -1
    return whole


def dense_of(pattern: BlockPattern, *, transposed: bool) -> np.ndarray:
    """Number of the stored value at each place of W or its transpose, -1 where there is none."""
    b, (mb, kb) = pattern.block_size, pattern.block_grid
    grid = np.full((mb, kb, b, b), -1)
    grid[pattern.rows, pattern.cols] = np.arange(pattern.nnz_blocks * b * b).reshape(-1, b, b)
    whole = grid.transpose(0, 2, 1, 3).reshape(mb * b, kb * b)
    return whole.T if transposed else whole


@st.composite
def some_tiles(draw: st.DrawFn, kernel: str, pattern: BlockPattern, machine: CudaMachine, transposed: bool) -> Tile:
    """One of the tiles that a plan chooses from."""
    rows = pattern.shape[1 if transposed else 0]
    return draw(st.sampled_from(tiles(kernel, pattern.block_size, rows, machine)))


def assert_ascending(lists: SlabLists) -> None:
    for begin, end in zip(lists.begins[:-1], lists.begins[1:]):
        assert np.all(np.diff(lists.slabs[begin:end]) > 0)


def row_of_x(lists: SlabLists, cluster: int, k_row: int, slab_rows: int) -> int:
    """The row of X that a list of work names by a slab's position and a row of the slab."""
    return int(lists.slabs[int(lists.begins[cluster]) + k_row // slab_rows]) * slab_rows + k_row % slab_rows
