"""The places of a dynamic plan: every cell on each of its tiles, with all its rows and columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from popsparse_planner.dynamic.draft import Draft
from popsparse_planner.dynamic.frame import Frame, frame_partition, frame_problem, frame_work
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem

from .buffers import Buffers
from .groups import Group
from .lower_exchange import gather_x
from .places import Places
from .program import CopySet


def frame_places(problem: Problem, draft: Draft, num_tiles: int, *, transposed: bool = False) -> Places:
    """Place z * num_cells + c is part z of cell c, on the tile of that number; transposed: of the product with W^T."""
    frame = draft.frame
    wide = frame_problem(problem, frame, transposed=transposed)
    partition, work = frame_partition(frame, draft.reduce_at), frame_work(frame, transposed=transposed)
    none = np.zeros(0, dtype=np.int32)
    places = np.arange(frame.num_tiles, dtype=np.int64)
    first_place = np.arange(frame.qn, dtype=np.int64) * frame.num_cells
    return Places(
        problem=wide,
        pattern=BlockPattern((wide.m, wide.k), wide.block_size, none, none),
        partition=partition,
        num_tiles=num_tiles,
        groups=(Group(work, None, np.arange(frame.qn), first_place),),
        part=places // frame.num_cells,
        tile=places,
        num_blocks=np.ones(frame.num_tiles, dtype=np.int64),
        num_rows=np.tile(work.num_rows, frame.qn),
        num_cols=np.tile(work.num_cols, frame.qn),
    )


def gather_slices(places: Places, frame: Frame, slices: Buffers, number: int, *, transposed: bool) -> CopySet:
    """The slices of X of serial pass `number`, or of dY, to all places."""
    copies = gather_x(places, slices, number)
    return copies if transposed else replace(copies, paired=frame.pairs_share_x)
