"""16-bit fields of a plan's work lists, checked before it is offered."""

from __future__ import annotations

from typing import Optional, Tuple

from ..layout import U16_MAX
from ..partition import Partition
from ..problem import Problem, column_grain, item_bytes
from .work import CutWork


def field_overflow(problem: Problem, partition: Partition, works: Tuple[CutWork, ...]) -> Optional[str]:
    """What would not fit a 16-bit field of a work list, in words with the numbers; None if all do.

    b = 1: a nonzero's offset, local column * columns / grain (8-byte units), its row's count, local rows and columns;
    b > 1: local rows and columns, blocks of a row. The list's own length needs no 16 bits (32-bit headers).
    """
    grain = column_grain(problem.dtype)
    for part in range(partition.num_parts):
        work = works[partition.part_cut[part]]
        width = int(partition.part_columns[part])
        largest = {
            "columns of a tile": width,
            "rows of a tile": int(work.num_rows.max(initial=0)),
            "blocks of a row": int(work.entry_blocks.max(initial=0)),
            "block columns of a tile": int(work.num_cols.max(initial=0)),
        }
        if problem.block_size == 1:
            offset = (int(work.num_cols.max(initial=1)) - 1) * (width // grain)
            largest[f"offset into the slice of X ({item_bytes(problem.dtype)}-byte elements, 8-byte units)"] = offset
        for name, value in largest.items():
            if value > U16_MAX:
                return f"part {part} of n: {name} is {value:,}, a 16-bit field holds {U16_MAX:,}"
    return None
