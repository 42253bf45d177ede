"""Costs: named parts that add up, and bytes turned into cycles."""

import numpy as np
import pytest
from static_cases import small_target

from popsparse_planner.cost import (
    PARTS,
    Cost,
    call_cost,
    compute_cost,
    exchange_cost,
    exchange_cycles,
    layout_cost,
)

COST = Cost(100.0, 50.0, 10.0, 5.0, 2.0, clock_hz=1e9)


def test_totals_are_sums_of_parts():
    assert COST.total_cycles == 167.0 and COST.profiled_cycles == 157.0 and COST.seconds == 167e-9


def test_costs_of_steps_add_up_and_repeat():
    assert COST + COST == COST * 2
    assert (COST * 3).reduce_cycles == 15.0 and (COST * 3).clock_hz == 1e9


def test_costs_survive_their_dict():
    fields = COST.to_dict()
    assert Cost.from_dict(fields) == COST
    assert fields["total_cycles"] == COST.total_cycles and set(PARTS) < set(fields)


def exchange(received, local, sent, fragments):
    return exchange_cycles(small_target(), *(np.array(column, float) for column in (received, local, sent, fragments)))


def test_an_exchange_takes_as_long_as_its_slowest_tile():
    target = small_target()
    rate, piece = target.exchange_bytes_per_cycle, target.model["exchange_fragment_cycles"]
    assert exchange([400, 800], [0, 0], [0, 0], [1, 1]) == 800 / rate + piece
    assert exchange([400, 800], [0, 0], [4000, 0], [1, 1]) == 4000 / rate, "both directions at once"
    assert exchange([400, 0], [800, 0], [0, 0], [10, 0]) == 400 / rate + 800 / target.vector_bytes + 10 * piece
    assert exchange([], [], [], []) == 0.0


def test_steps_pay_for_sync_and_control():
    target = small_target()
    assert exchange_cost(target, 70.0).exchange_cycles == 70.0
    assert exchange_cost(target, 70.0).sync_cycles == target.model["sync_cycles"]
    assert exchange_cost(target, 70.0).other_cycles == target.model["exchange_step_cycles"]
    for kind in ("compute", "reduce"):
        cost = compute_cost(target, 70.0, kind=kind)
        assert getattr(cost, f"{kind}_cycles") == 70.0
        assert (cost.sync_cycles, cost.other_cycles) == (
            target.model["sync_cycles"],
            target.model["compute_step_cycles"],
        )
    assert compute_cost(target, 70.0, kind="other").other_cycles == 70.0 + target.model["compute_step_cycles"]
    assert call_cost(target).total_cycles == call_cost(target).other_cycles == target.model["call_cycles"]
    assert all(cost.clock_hz == target.clock_hz for cost in (call_cost(target), exchange_cost(target, 1.0)))


def test_only_blocks_pay_for_their_order():
    target, sizes = small_target(), np.array([100.0, 300.0])
    per_part = target.model["column_part_cycles"]
    assert layout_cost(target, 1, 3, sizes).total_cycles == 3 * per_part
    assert layout_cost(target, 16, 1, sizes).total_cycles == per_part
    assert layout_cost(target, 16, 3, sizes[:0]).total_cycles == 3 * per_part
    by_bytes = 300.0 * target.model["layout_cycles_per_byte"]
    assert layout_cost(target, 16, 3, sizes).other_cycles == pytest.approx(3 * per_part + by_bytes)
