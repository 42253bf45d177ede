"""Patterns in index tensors by torch's own operations, wherever they lie and without the host waiting for them."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import torch
from torch import Tensor


class Slots(NamedTuple):
    """used: (slots) bool, those that count; row, col: (slots) int64, 0 in the others; fault: () bool, whether there
    are more blocks than slots, one outside the grid, or one twice.
    """

    used: Tensor
    row: Tensor
    col: Tensor
    fault: Tensor
    grid: Tuple[int, int]

    @property
    def place(self) -> Tensor:
        """(slots) int64: number of each block in the grid, one past it for slots that do not count."""
        return torch.where(self.used, self.row * self.grid[1] + self.col, self.grid[0] * self.grid[1])


def slots_of(row: Tensor, col: Tensor, nnz: Tensor, grid: Tuple[int, int]) -> Slots:
    """The slots of a pattern in a grid of blocks; where it has a fault no slot beyond the grid counts."""
    slots = len(col)
    counted = torch.arange(slots, device=col.device) < nnz
    inside = (row >= 0) & (row < grid[0]) & (col >= 0) & (col < grid[1])
    used = counted & inside
    rows, cols = (torch.where(used, i, 0).long() for i in (row, col))
    wrong = ((nnz < 0) | (nnz > slots)).reshape(()) | (counted & ~inside).any()
    found = Slots(used, rows, cols, wrong, grid)
    blocks = torch.zeros(grid[0] * grid[1] + 1, dtype=torch.int32, device=col.device)
    blocks.index_add_(0, found.place, torch.ones_like(found.place, dtype=torch.int32))
    return found._replace(fault=wrong | (blocks[:-1] > 1).any())


def masked(values: Tensor, slots: Slots) -> Tensor:
    """values (slots, b, b), 0 in slots that do not count."""
    return values.masked_fill(~slots.used[:, None, None], 0)


def dense(values: Tensor, slots: Slots, shape: Tuple[int, int]) -> Tensor:
    """W (m, k) with the blocks of the slots that count; NaN all over where the pattern has a fault."""
    b, (mb, kb) = values.shape[1], slots.grid
    blocks = values.new_zeros((mb * kb + 1, b, b)).index_copy_(0, slots.place, values.detach())
    w = blocks[:-1].reshape(mb, kb, b, b).permute(0, 2, 1, 3).reshape(mb * b, kb * b)[: shape[0], : shape[1]]
    return w.masked_fill(slots.fault, float("nan"))
