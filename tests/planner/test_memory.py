"""Bytes per tile by category: peaks, the tile that is fullest, and JSON."""

import json

import numpy as np
import pytest

from popsparse_planner.errors import PlanError
from popsparse_planner.memory import Memory


def memory(capacity=1000, **moments):
    always = {"input": np.array([10, 20, 30]), "values": np.array([5, 5, 0])}
    return Memory(
        always, moments or {"dot": {"x_slices": np.array([1, 50, 2]), "partials": np.array([1, 1, 70])}}, capacity
    )


def test_a_peak_is_what_is_always_live_and_the_fullest_moment():
    both = memory(dot={"x_slices": np.array([100, 0, 0])}, reduce={"reduced": np.array([0, 7, 0])})
    assert both.per_tile.tolist() == [115, 32, 30] and both.peak_bytes == 115 and both.worst_tile == 0
    assert both.of_tile(1) == {"input": 20, "values": 5, "reduced": 7}
    assert both.largest_buffer(0) == ("x_slices", 100)


def test_without_moments_only_what_is_always_live_counts():
    alone = Memory({"input": np.array([10, 20])}, {}, 20)
    assert alone.per_tile.tolist() == [10, 20] and alone.fits and alone.of_tile(0) == {"input": 10}


def test_a_tile_fits_up_to_its_last_byte():
    assert memory().peak_bytes == 102 and memory(102).fits and not memory(101).fits


def test_unknown_categories_are_refused():
    with pytest.raises(PlanError, match="unknown memory category 'music': expected one of input, output, values"):
        Memory({"input": np.array([1]), "music": np.array([9])}, {}, 10)
    with pytest.raises(PlanError, match="unknown memory category 'songs': expected one of x_slices"):
        memory(dot={"songs": np.array([9])})


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        memory().always_live["input"][0] = 2


def test_memory_survives_json():
    again = Memory.from_dict(json.loads(json.dumps(memory().to_dict())))
    assert again.to_dict() == memory().to_dict() and again.per_tile.tolist() == memory().per_tile.tolist()
