"""Multicasts that a tile lets pass: a slice of X goes to all its receivers at once, and those between them idle."""

from __future__ import annotations

import numpy as np

from .work import CutWork


def passing_columns(work: CutWork, num_columns: int) -> np.ndarray:
    """int64 [runs]: block columns that are sent past each run, of num_columns, and that it does not take.

    A column reaches from its first to its last receiver and one mean gap beyond on both sides, inside its band: runs
    there share receivers with it, so that they cannot be served meanwhile. Where receivers lie scattered this is the
    whole band, as the published planner assumes (its kT / kS, popsparse-static 4); where neighbours take the same
    columns it is nobody. A column with one receiver is no multicast.
    """
    run, column = work.cols_in_run
    runs, band = work.cut.num_runs, work.cut.run_band
    receivers = np.bincount(column, minlength=num_columns)
    by_column = np.argsort(column, kind="stable")
    ends = np.cumsum(receivers)
    shared = np.flatnonzero(receivers > 1)
    first, last = run[by_column[(ends - receivers)[shared]]], run[by_column[ends[shared] - 1]]
    gap = -(-(last - first) // (receivers[shared] - 1))
    low = np.maximum(first - gap, np.searchsorted(band, band[first], side="left"))
    high = np.minimum(last + gap, np.searchsorted(band, band[last], side="right") - 1)
    change = np.bincount(low, minlength=runs + 1) - np.bincount(high + 1, minlength=runs + 1)
    taken = np.bincount(run[receivers[column] > 1], minlength=runs)
    past = np.maximum(np.cumsum(change)[:runs] - taken, 0)
    return np.where(work.num_blocks > 0, past, 0)
