"""What a dynamic search decides: cells, buckets, the split of work, and what to reckon with."""

from __future__ import annotations

from dataclasses import dataclass

from ..bucket_layout import BucketLayout
from .frame import Frame


@dataclass(frozen=True)
class Draft:
    """What a search decides.

    peak_blocks: blocks of the fullest cell to reckon with; n_groups: division of the columns over workers (b = 1);
    reduce_at: where partials are summed, "home", "sources" or frame.KEPT;
    spill_probability: that a random pattern of the planned density needs propagation.
    """

    frame: Frame
    layout: BucketLayout
    peak_blocks: int
    n_groups: int
    reduce_at: str
    spill_probability: float
