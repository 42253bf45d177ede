"""Predicted cycles in named parts, and the rules that turn bytes into exchange cycles."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, Mapping, Union

import numpy as np

from .target import Target

ONE_STAGE_SOURCES = 32  # partials that are summed in one stage
PARTS = ("compute_cycles", "exchange_cycles", "sync_cycles", "reduce_cycles", "other_cycles")


@dataclass(frozen=True)
class Cost:
    """Cycles of one product, by cause; costs of steps that follow each other add up with `+`.

    compute: multiplying; exchange: moving X, values, partials and the result between tiles; sync: barriers;
    reduce: summing and casting partials; other: launch and control. clock_hz turns cycles into seconds.
    """

    compute_cycles: float = 0.0
    exchange_cycles: float = 0.0
    sync_cycles: float = 0.0
    reduce_cycles: float = 0.0
    other_cycles: float = 0.0
    clock_hz: float = 1.85e9

    @property
    def total_cycles(self) -> float:
        """All parts together."""
        return float(sum(getattr(self, part) for part in PARTS))

    @property
    def profiled_cycles(self) -> float:
        """Total without sync: what published rates count (paper-measurements section 2)."""
        return self.total_cycles - self.sync_cycles

    @property
    def seconds(self) -> float:
        """total_cycles at the target's clock."""
        return self.total_cycles / self.clock_hz

    def __add__(self, other: Cost) -> Cost:
        return replace(self, **{part: getattr(self, part) + getattr(other, part) for part in PARTS})

    def __mul__(self, times: float) -> Cost:
        return replace(self, **{part: getattr(self, part) * times for part in PARTS})

    def to_dict(self) -> Dict[str, float]:
        """Fields, with the totals written out for readers."""
        fields: Dict[str, Any] = asdict(self)
        fields.update(total_cycles=self.total_cycles, profiled_cycles=self.profiled_cycles, seconds=self.seconds)
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, float]) -> Cost:
        """The cost that `to_dict` wrote."""
        return cls(**{name: float(fields[name]) for name in (*PARTS, "clock_hz")})


def exchange_cycles(
    target: Target,
    received_bytes: np.ndarray,  # [tiles] that one exchange step brings to each tile from others
    local_bytes: np.ndarray,  # [tiles] that it copies within each tile
    sent_bytes: np.ndarray,  # [tiles] that it takes from each for others; what goes to many tiles counts once
    fragments: np.ndarray,  # [tiles] separate pieces that each tile receives or copies
    passing_bytes: Union[float, np.ndarray] = 0.0,  # [tiles] multicasts to neighbours that a tile must let pass
) -> float:
    """Cycles of one exchange step: the slowest tile, each direction at the fabric's rate, plus its copies and pieces.

    A tile also idles while multicasts pass that its neighbours take and it does not (static/multicast.py).

    Source: ipu-machine section 4 (4 B/cycle each way, full duplex, free multicast, a cost per independent fragment)
    and section 3 (8 B/cycle for a copy within a tile).
    """
    if not len(received_bytes):
        return 0.0
    rate = target.exchange_bytes_per_cycle
    receive = (received_bytes + passing_bytes) / rate + local_bytes / target.vector_bytes
    receive = receive + fragments * target.model["exchange_fragment_cycles"]
    return float(max(np.max(receive), np.max(sent_bytes) / rate))


def paired_share(target: Target) -> float:
    """What a byte costs a tile whose neighbour receives it in the same stream, in bytes of its own.

    Source: ipu-machine section 4, pairing (8 B/cycle for two neighbours); poplibs popops/ExchangeEstimator.cpp doubles
    the rate where an even number of consecutive tiles receives the same data.
    """
    return 1.0 / target.tiles_per_exchange_bus


def exchange_cost(target: Target, cycles: float) -> Cost:
    """One exchange step: its cycles, the sync before it and the control around it."""
    return Cost(
        exchange_cycles=cycles,
        sync_cycles=target.model["sync_cycles"],
        other_cycles=target.model["exchange_step_cycles"],
        clock_hz=target.clock_hz,
    )


def compute_cost(target: Target, cycles: float, *, kind: str = "compute") -> Cost:
    """One compute set that takes `cycles` on its slowest tile; kind "compute", "reduce" or "other" names the part."""
    fixed = Cost(
        sync_cycles=target.model["sync_cycles"],
        other_cycles=target.model["compute_step_cycles"],
        clock_hz=target.clock_hz,
    )
    return fixed + Cost(**{f"{kind}_cycles": cycles})


def decision_cost(target: Target) -> Cost:
    """One choice at run time (a loop's test, a switch): its word goes to every tile, as in an exchange of nothing."""
    return exchange_cost(target, 0.0)


def call_cost(target: Target) -> Cost:
    """What every call pays once, however small it is."""
    return Cost(other_cycles=target.model["call_cycles"], clock_hz=target.clock_hz)


def layout_cost(target: Target, block_size: int, column_parts: int, tensor_bytes: np.ndarray) -> Cost:
    """What it costs that tiles take parts of the columns of n, column_parts in all passes together.

    Each part is a group of receivers of its own. And where b > 1 and there are several, a part's piece of a block row
    is strided: X is collected, and Y scattered, once; tensor_bytes: [tiles] of X and Y together that live on each tile.
    The measured cycles of the published program grow by that much per byte where it splits n, and only there.
    """
    cycles = column_parts * target.model["column_part_cycles"]
    if block_size > 1 and column_parts > 1 and len(tensor_bytes):
        cycles += float(np.max(tensor_bytes)) * target.model["layout_cycles_per_byte"]
    return Cost(other_cycles=cycles, clock_hz=target.clock_hz)


def second_stage_cost(target: Target, partial_bytes: np.ndarray, sources: np.ndarray) -> Cost:
    """Sums of many partials are made in two stages: float32 sums of some of them travel once more.

    partial_bytes: [sums] of all partials of each; sources: [sums] how many. The stages spread over the whole chip.
    Source of the 32: popops sums in two stages above it (graphcore/poplibs, popops/reduction/ReductionPlan.cpp).
    """
    many = np.asarray(sources) > ONE_STAGE_SOURCES
    per_tile = float(np.sum(np.asarray(partial_bytes)[many])) / target.tiles
    return Cost(reduce_cycles=per_tile * target.model["second_stage_cycles_per_byte"], clock_hz=target.clock_hz)
