"""Cycles of the codelets that read buckets, one vectorised rule each; integers in, int64 out, in tile cycles.

None of them has run on a chip. The forward codelets do what the static ones do, from a list with one more field a row,
and take the counts of popsparse-static 5b; the others follow the published dynamic formulas (popsparse-dynamic 7.3,
7.4, 7.7, 7.9) for the same loops. Reading packets and control are assumed, a few slots for each field read.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict, Tuple, Union

import numpy as np

from .codelet_cycles import (
    WORKERS,
    block_slots,
    block_vertex_cycles,
    coefficient_load_cycles,
    copy_cycles,
    element_row_slots,
    zero_cycles,
)
from .problem import item_bytes

Ints = Union[int, np.ndarray]

N_GROUPS = (1, 2, 3, 6)  # how the six workers of a product of single nonzeros may divide the columns
_CONTROL_SLOTS = 24  # a vertex that reads and writes a few words
_PACKET_BLOCK_SLOTS = 6  # reading row and column of a block and forming two addresses


def _ceil(value: Ints, divisor: int) -> np.ndarray:
    result: np.ndarray = -(-np.asarray(value, dtype=np.int64) // divisor)
    return result


def element_dot_cycles(
    dtype: str, partials_dtype: str, columns: int, n_groups: int, num_rows: Ints, num_blocks: Ints
) -> np.ndarray:
    """DynamicElementDot: num_rows, num_blocks [..., 6] of each worker; its columns are a group's share of `columns`."""
    grain = 8 // item_bytes(dtype)
    slots = element_row_slots(dtype, int(_ceil(_ceil(columns, grain), n_groups)) * grain, partials_dtype)
    rows, blocks = np.asarray(num_rows, dtype=np.int64), np.asarray(num_blocks, dtype=np.int64)
    worker = slots.with_rows + rows * (slots.per_row + 1) + blocks * slots.per_nonzero
    cycles: np.ndarray = WORKERS * worker.max(axis=-1)
    return cycles


def block_dot_cycles(
    dtype: str, partials_dtype: str, block_size: int, columns: int, num_rows: Ints, num_blocks: Ints
) -> np.ndarray:
    """DynamicBlockDot: as StaticBlockDot, whose list has the same rows."""
    return block_vertex_cycles(dtype, partials_dtype, block_size, _ceil(columns, WORKERS), num_rows, num_blocks)


def element_transposed_cycles(dtype: str, columns: int, out_rows: Ints, num_rows: Ints, num_blocks: Ints) -> np.ndarray:
    """DynamicElementTransposed: workers share the columns; every nonzero adds to a row of the result (7.3)."""
    lanes, step = (4, 5) if dtype == "float16" else (2, 3)
    chunks = _ceil(_ceil(columns, lanes), WORKERS)
    rows, blocks = np.asarray(num_rows, dtype=np.int64), np.asarray(num_blocks, dtype=np.int64)
    cycles: np.ndarray = WORKERS * (26 + rows * 30 + blocks * (2 + step * chunks))
    total: np.ndarray = cycles + zero_cycles(np.asarray(out_rows) * columns * 4)
    return total


def block_transposed_cycles(
    dtype: str, block_size: int, columns: int, out_rows: Ints, num_rows: Ints, num_blocks: Ints
) -> np.ndarray:
    """DynamicBlockTransposed: every block is turned by the workers (7.9), then multiplied as a first block of a row."""
    slots = block_slots(dtype, "float32", block_size, _ceil(columns, WORKERS))
    rows, blocks = np.asarray(num_rows, dtype=np.int64), np.asarray(num_blocks, dtype=np.int64)
    per_block = 16 + coefficient_load_cycles(dtype, block_size) + WORKERS * slots.first
    product = 30 + WORKERS * slots.header + 17 * rows + per_block * blocks
    cycles: np.ndarray = (
        product + _turn_cycles(dtype, block_size, blocks) + zero_cycles(_zeroed(out_rows, columns, block_size))
    )
    return cycles


def _zeroed(out_rows: Ints, columns: int, block_size: int) -> np.ndarray:
    return np.asarray(out_rows, dtype=np.int64) * columns * block_size * 4


def _turn_cycles(dtype: str, block_size: int, blocks: np.ndarray) -> np.ndarray:
    """T(n, b, b) of popsparse-dynamic 7.9."""
    side, copy = (block_size // 4, 4) if dtype == "float16" else (block_size // 2, 3)
    share = _ceil(blocks, WORKERS)
    if side == 1:
        worker = np.where(share <= 1, 29, 37 + (share - 2) * copy)
    else:
        worker = 29 + share * (18 + side * (12 + copy * (side - 2)))
    return np.where(blocks > 0, 7 + WORKERS * worker, 0)


def element_sampled_cycles(dtype: str, columns: int, num_rows: Ints, num_blocks: Ints) -> np.ndarray:
    """DynamicElementSampled: the workers share the nonzeros, each a product over all columns (7.4)."""
    whole, rest = divmod(columns, 4)
    body = 11 + whole + 3 * (rest // 2) + 4 * (rest % 2) if dtype == "float16" else 9 + columns // 2 + columns % 2
    rows = np.asarray(num_rows, dtype=np.int64)
    cycles: np.ndarray = 38 + WORKERS * (35 + 8 * rows + (body + 2) * _ceil(num_blocks, WORKERS))
    return cycles


def block_sampled_cycles(dtype: str, block_size: int, columns: int, num_rows: Ints, num_blocks: Ints) -> np.ndarray:
    """DynamicBlockSampled on the matrix unit, columns by 16 (half) or 8 (7.7); float 16 x 16 as four 8 x 8."""
    side, pieces = (8, 4) if dtype == "float32" and block_size == 16 else (block_size, 1)
    table: Dict[Tuple[str, int], Tuple[int, int]] = {
        ("float16", 16): (32, 4),
        ("float16", 8): (27, 4),
        ("float32", 8): (33, 2),
        ("float16", 4): (17, 2),
        ("float32", 4): (20, 1),
    }
    body, saved = table[dtype, side]
    groups = int(_ceil(columns, 16 if dtype == "float16" else 8))
    load = {16: 32, 8: 16, 4: 8}[side]
    rows, blocks = np.asarray(num_rows, dtype=np.int64), np.asarray(num_blocks, dtype=np.int64) * pieces
    supervisor = 98 + 30 * rows + blocks * (25 + 4 * (groups - 1) + groups * (8 + load))
    cycles: np.ndarray = supervisor + WORKERS * (5 + blocks * (body * groups - (groups - 1) * saved))
    return cycles


def packet_dot_cycles(dtype: str, partials_dtype: str, block_size: int, columns: int, num_blocks: Ints) -> np.ndarray:
    """PacketDot, forward or transposed: workers share the columns, every block is added to its row in memory."""
    blocks = np.asarray(num_blocks, dtype=np.int64)
    if block_size == 1:
        lanes, step = (4, 5) if dtype == "float16" else (2, 3)
        per_block: np.ndarray = _PACKET_BLOCK_SLOTS + step * _ceil(_ceil(columns, lanes), WORKERS)
        return np.asarray(WORKERS * (_CONTROL_SLOTS + blocks * per_block), dtype=np.int64)
    slots = block_slots(dtype, partials_dtype, block_size, _ceil(columns, WORKERS))
    load = 16 + coefficient_load_cycles(dtype, block_size)
    cycles: np.ndarray = 30 + WORKERS * slots.header + blocks * (load + WORKERS * (slots.first + _PACKET_BLOCK_SLOTS))
    return cycles


def packet_sampled_cycles(
    dtype: str, block_size: int, columns: int, packet_blocks: int, num_blocks: Ints
) -> np.ndarray:
    """PacketSampled: as the sampled product of a bucket with one block a row, and zeros for the rest of the packet."""
    if block_size == 1:
        cycles = element_sampled_cycles(dtype, columns, num_blocks, num_blocks)
    else:
        cycles = block_sampled_cycles(dtype, block_size, columns, num_blocks, num_blocks)
    total: np.ndarray = cycles + zero_cycles(packet_blocks * block_size**2 * 4)
    return total


def packet_copy_cycles(num_bytes: Ints) -> np.ndarray:
    """PacketSelect and PacketStore: a copy and the reading of a header."""
    return copy_cycles(num_bytes) + WORKERS * _CONTROL_SLOTS


def control_cycles(*_: Ints) -> np.ndarray:
    """PacketAdvance and NextOperation: one worker, a few words."""
    return np.asarray(WORKERS * _CONTROL_SLOTS, dtype=np.int64)


def _vertex_rules() -> Dict[str, Callable[..., np.ndarray]]:
    types = {"half": "float16", "float": "float32"}
    rules: Dict[str, Callable[..., np.ndarray]] = {}
    for data, sums in (("half", "half"), ("half", "float"), ("float", "float")):
        pair = (types[data], types[sums])
        rules[f"DynamicElementDot<{data},{sums}>"] = partial(element_dot_cycles, *pair)
        for b in (1, 4, 8, 16):
            rules[f"PacketDot<{data},{sums},{b}>"] = partial(packet_dot_cycles, *pair, b)
            if b > 1:
                rules[f"DynamicBlockDot<{data},{sums},{b}>"] = partial(block_dot_cycles, *pair, b)
    for data, dtype in types.items():
        rules[f"DynamicElementTransposed<{data}>"] = partial(element_transposed_cycles, dtype)
        rules[f"DynamicElementSampled<{data}>"] = partial(element_sampled_cycles, dtype)
        rules[f"PacketSelect<{data}>"] = packet_copy_cycles
        rules[f"PacketStore<{data}>"] = packet_copy_cycles
        for b in (1, 4, 8, 16):
            rules[f"PacketSampled<{data},{b}>"] = partial(packet_sampled_cycles, dtype, b)
            if b > 1:
                rules[f"DynamicBlockTransposed<{data},{b}>"] = partial(block_transposed_cycles, dtype, b)
                rules[f"DynamicBlockSampled<{data},{b}>"] = partial(block_sampled_cycles, dtype, b)
    rules["PacketAdvance"] = rules["NextOperation"] = control_cycles
    return {f"popsparse_py::{name}": rule for name, rule in rules.items()}


# Vertex name -> rule, called with what differs between vertices, as each function says.
BUCKET_VERTEX_CYCLES: Dict[str, Callable[..., np.ndarray]] = _vertex_rules()
