"""Plans for target "cpu": schedules, estimated times, JSON, the machine profile."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.cpu_plan import AVX512, CpuCost, CpuPlan, plan_cpu
from popsparse_planner.cpu_profile import CpuProfile, load_cpu_profile
from popsparse_planner.cpu_schedule import CpuSchedule, Tier
from popsparse_planner.errors import DTypeError, FormatError, ShapeError, TargetError

AVX2 = Tier("avx2", 8, {1: 4, 2: 4, 4: 2, 8: 1, 16: 0})


def plan(m: int, n: int, block_size: int, one_in: int, tier: Tier = AVX512) -> CpuPlan:
    return plan_cpu((m, m), n, block_size=block_size, blocks=(m // block_size) ** 2 // one_in, tier=tier)


@pytest.mark.parametrize(
    ("m", "n", "block_size", "one_in", "expected"),
    [
        (1024, 64, 16, 4, CpuSchedule(4, 4, 6, 0, 64, False, True)),
        (1024, 1024, 16, 4, CpuSchedule(8, 2, 12, 0, 128, True, True)),
        (1024, 1024, 16, 64, CpuSchedule(8, 2, 12, 0, 0, False, False)),  # each block of x is used once: no copy
        (1024, 16, 16, 4, CpuSchedule(16, 1, 0, 0, 64, False, True)),
        (1024, 256, 8, 16, CpuSchedule(8, 2, 0, 0, 0, False, True)),
        (1024, 64, 4, 16, CpuSchedule(4, 4, 0, 0, 64, False, True)),
        (1024, 64, 1, 4, CpuSchedule(1, 4, 0, 182, 64, False, True)),  # bands of x that the first-level cache holds
        (1024, 64, 1, 64, CpuSchedule(1, 4, 0, 0, 0, False, True)),
        (4096, 64, 1, 16, CpuSchedule(1, 4, 0, 364, 64, False, True)),
    ],
)
def test_measured_choices(m: int, n: int, block_size: int, one_in: int, expected: CpuSchedule) -> None:
    assert plan(m, n, block_size, one_in).schedule == expected


def test_tiles_suit_the_instruction_set() -> None:
    assert plan(1024, 64, 16, 4, AVX2).schedule.tile_rows == 4
    assert plan(1024, 64, 1, 4, AVX2).schedule.tile_vectors == 4
    with_rest = plan_cpu((60, 60), 64, block_size=3, blocks=20)
    assert with_rest.schedule.tile_rows == 4  # a row of zeros costs less than a tile of one row


@given(
    shape=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    n=st.integers(1, 10**5),
    block_size=st.integers(1, 64),
    blocks=st.integers(0, 10**6),
    tier=st.sampled_from([AVX512, AVX2]),
)
def test_every_plan_is_one_that_the_kernels_have(shape, n, block_size, blocks, tier) -> None:  # type: ignore[no-untyped-def]
    found = plan_cpu(shape, n, block_size=block_size, blocks=blocks, tier=tier)
    schedule = found.schedule
    assert 1 <= schedule.tile_vectors <= tier.max_vectors[schedule.tile_rows]
    assert min(schedule.chunk_blocks, schedule.band_blocks, schedule.panel_columns) >= 0
    assert found.cost.total_seconds > 0
    assert CpuPlan.from_json(found.to_json()) == found
    assert 1 <= found.threads(8) <= 8


def test_plan_explains_itself() -> None:
    text = plan(1024, 1024, 16, 4).explain()
    assert "cpu plan of (1024 x 1024) W times (1024 x 1024) X, float32, avx512 instructions" in text
    assert "tiles of 8 rows x 2 vectors; panels of 128 columns, copied; chunks of 12 blocks" in text
    assert "GFLOP/s of nonzeros" in text
    assert "bands of 182 block columns" in plan(1024, 64, 1, 4).explain()


def test_estimate_is_near_what_was_measured() -> None:
    """GFLOP/s of nonzeros on the machine of hosts/cpu.toml, medians of `popsparse bench`: within a factor of 1.6."""
    measured = {
        (64, 16, 4): 257, (1024, 16, 4): 246, (64, 16, 64): 134, (64, 8, 4): 260, (64, 4, 4): 256, (1024, 4, 16): 189,
        (64, 1, 4): 140, (256, 1, 16): 98, (64, 1, 64): 80,
    }  # fmt: skip
    for (n, block_size, one_in), gflops in measured.items():
        assert gflops / 1.6 < plan(1024, n, block_size, one_in).gflops < gflops * 1.6, (n, block_size, one_in)


def test_costs_add_up() -> None:
    cost = CpuCost(1.0, 2.0, 3.0, 4.0)
    assert cost.total_seconds == 9.0
    assert cost + cost == CpuCost(2.0, 4.0, 6.0, 8.0)


def test_wrong_problems_are_refused() -> None:
    with pytest.raises(DTypeError, match="dtype float64 has no kernel on the cpu: expected one of float32, float16"):
        plan_cpu((4, 4), 4, block_size=1, blocks=1, dtype="float64")
    with pytest.raises(ShapeError, match="expected m, k, n and block size of at least 1"):
        plan_cpu((4, 0), 4, block_size=1, blocks=1)
    with pytest.raises(FormatError, match=r"expected JSON of schema 'popsparse.cpu-plan/1'"):
        CpuPlan.from_json("{}")


def test_profile_is_checked_and_replaced() -> None:
    profile = load_cpu_profile()
    larger = profile.replace("a test", l1_bytes=65536, flops_per_second__avx2=1e12)
    assert (larger["l1_bytes"], larger["flops_per_second.avx2"]) == (65536, 1e12)
    assert larger.facts["l1_bytes"].status == "measured"
    assert pickle.loads(pickle.dumps(larger)) == larger
    assert hash(larger) != hash(profile)
    with pytest.raises(TargetError, match="has no number 'l9_bytes'"):
        profile.replace("a test", l9_bytes=1)
    with pytest.raises(TargetError, match="l1_bytes must be above 0, got 0"):
        profile.replace("a test", l1_bytes=0)
    facts = dict(profile.facts)
    with pytest.raises(TargetError, match="unknown key 'more'"):
        CpuProfile("x", {**facts, "more": facts["l1_bytes"]})
    with pytest.raises(TargetError, match="l1_bytes must be in bytes, with a source"):
        CpuProfile("x", {**facts, "l1_bytes": facts["call_seconds"]})
    del facts["l2_bytes"]
    with pytest.raises(TargetError, match="machine profile 'x' lacks l2_bytes"):
        CpuProfile("x", facts)
