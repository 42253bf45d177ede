"""Plans for target "cpu": what is decided for a product on this computer's processor, and the time it should take."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, Optional, Tuple

from .cpu_profile import CpuProfile, load_cpu_profile
from .cpu_schedule import CpuSchedule, Tier, choose_row_schedule, choose_schedule, tile_efficiency
from .errors import DTypeError, ShapeError
from .json_data import dump, parse

CPU_DTYPES = ("float32", "float16", "bfloat16")
AVX512 = Tier("avx512", 16, {1: 8, 2: 8, 4: 4, 8: 2, 16: 1})
_SCHEMA = "popsparse.cpu-plan/1"
_FLOPS_PER_THREAD = 2**20  # below this a second thread costs more than it brings


@dataclass(frozen=True)
class CpuCost:
    """Seconds of one thread: of multiply-adds, of fetching x for them, of copies and results, of the call."""

    multiply_seconds: float
    fetch_seconds: float
    copy_seconds: float
    call_seconds: float

    @property
    def total_seconds(self) -> float:
        """Multiplying and fetching overlap, the rest does not."""
        return max(self.multiply_seconds, self.fetch_seconds) + self.copy_seconds + self.call_seconds

    def __add__(self, other: CpuCost) -> CpuCost:
        return CpuCost(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values())))


@dataclass(frozen=True)
class CpuPlan:
    """How Y (m, n) = W (m, k) X (k, n) runs on a processor; good for every pattern of so many blocks, and any n.

    shape: (m, k); n: columns that it was made for; cost: of one thread, estimated.
    """

    shape: Tuple[int, int]
    block_size: int
    blocks: int
    n: int
    dtype: str
    tier: str
    schedule: CpuSchedule
    cost: CpuCost

    mode = "cpu"
    fits = True

    @property
    def flops(self) -> int:
        """2 * nonzeros * n."""
        return 2 * self.blocks * self.block_size**2 * self.n

    @property
    def gflops(self) -> float:
        """Estimated rate of one thread in GFLOP/s of nonzeros."""
        return self.flops / self.cost.total_seconds / 1e9

    def threads(self, available: int, n: Optional[int] = None) -> int:
        """How many of the available threads a product with n columns is worth."""
        flops = self.flops // self.n * (self.n if n is None else n)
        return max(1, min(available, flops // _FLOPS_PER_THREAD))

    def explain(self) -> str:
        """Lines for a terminal."""
        (m, k), s, c = self.shape, self.schedule, self.cost
        density = self.blocks * self.block_size**2 / (m * k)
        panel = f"panels of {s.panel_columns} columns" if s.panel_columns else "all columns at once"
        panel = "a row for each sample, not transposed" if s.by_rows else panel
        parts = [f"tiles of {s.tile_rows} rows x {s.tile_vectors} vectors", f"{panel}{', copied' if s.pack else ''}"]
        parts += [f"bands of {s.band_blocks} block columns"] if s.band_blocks else []
        parts += [f"chunks of {s.chunk_blocks} blocks"] if s.chunk_blocks else []
        return "\n".join(
            [
                f"cpu plan of ({m} x {k}) W times ({k} x {self.n}) X, {self.dtype}, {self.tier} instructions",
                f"  W: {self.blocks:,} blocks of {self.block_size} x {self.block_size}, density {density:.4g}",
                f"  {'; '.join(parts)}",
                f"  estimated for one thread: {c.total_seconds * 1e6:,.1f} us, {self.gflops:.1f} GFLOP/s of nonzeros "
                f"(multiply {c.multiply_seconds * 1e6:,.1f}, fetch {c.fetch_seconds * 1e6:,.1f}, "
                f"copy {c.copy_seconds * 1e6:,.1f}, call {c.call_seconds * 1e6:,.1f})",
            ]
        )

    def to_json(self) -> str:
        """Text that from_json reads; equal plans give equal bytes."""
        return dump(self.to_dict())

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        return {"schema": _SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, text: str) -> CpuPlan:
        """The plan that to_json wrote; FormatError if the text is not one."""
        fields: Dict[str, Any] = dict(parse(text, _SCHEMA))
        fields.pop("schema")
        fields["shape"] = tuple(fields["shape"])
        fields["schedule"] = CpuSchedule(**fields["schedule"])
        fields["cost"] = CpuCost(**fields["cost"])
        return cls(**fields)


def plan_cpu(
    shape: Tuple[int, int],
    n: int,
    *,
    block_size: int,
    blocks: int,
    dtype: str = "float32",
    tier: Tier = AVX512,
    profile: Optional[CpuProfile] = None,
    by_rows: bool = False,
) -> CpuPlan:
    """The plan for W of shape (m, k) with `blocks` blocks and X of n columns, dtype float32, float16 or bfloat16.

    by_rows: X and Y come as rows of samples, (n, k) and (n, m); then nothing is transposed where blocks are whole
    vectors high. profile: the core, by default the one that was measured. Raises ShapeError, DTypeError.
    """
    if dtype not in CPU_DTYPES:
        raise DTypeError(
            f"dtype {dtype} has no kernel on the cpu: expected one of {', '.join(CPU_DTYPES)}", dtype=dtype
        )
    if min(*shape, n, block_size) < 1 or blocks < 0:
        raise ShapeError(f"expected m, k, n and block size of at least 1, got {shape}, {n}, {block_size}")
    core = load_cpu_profile() if profile is None else profile
    caches = (int(core["l1_bytes"]), int(core["l2_bytes"]))
    schedule = choose_row_schedule(block_size, tier) if by_rows else None
    schedule = schedule or choose_schedule(shape, n, (block_size, block_size), blocks, tier, caches)
    cost = _cost(shape, n, block_size, blocks, dtype, tier, core, schedule)
    return CpuPlan(shape, block_size, blocks, n, dtype, tier.name, schedule, cost)


def replan_cpu(plan: CpuPlan, schedule: CpuSchedule, tier: Tier, profile: CpuProfile) -> CpuPlan:
    """The plan with another schedule, and its estimated cost."""
    cost = _cost(plan.shape, plan.n, plan.block_size, plan.blocks, plan.dtype, tier, profile, schedule)
    return replace(plan, schedule=schedule, cost=cost)


def _cost(
    shape: Tuple[int, int],
    n: int,
    block_size: int,
    blocks: int,
    dtype: str,
    tier: Tier,
    core: CpuProfile,
    schedule: CpuSchedule,
) -> CpuCost:
    m, k = shape
    rows = -(-block_size // schedule.tile_rows) * schedule.tile_rows
    columns = -(-n // tier.lanes) * tier.lanes
    flops = 2 * blocks * rows * block_size * columns
    rate = core[f"flops_per_second.{tier.name}"] * tile_efficiency(schedule.tile_rows, tier)
    copied = 2 * 4 * k * n if schedule.pack or dtype != "float32" else 0
    passes = max(1, -(-k // (schedule.band_blocks * block_size))) if schedule.band_blocks else 1
    written = 4 * m * n * (2 * passes - 1)
    return CpuCost(
        multiply_seconds=flops / rate,
        fetch_seconds=4 * blocks * block_size * n / _fetch_rate(k, n, core, schedule),
        copy_seconds=(copied + written) / core["copy_bytes_per_second"],
        call_seconds=core["call_seconds"],
    )


def _fetch_rate(k: int, n: int, core: CpuProfile, schedule: CpuSchedule) -> float:
    """Bytes of x per second from the cache that holds the part of it in use."""
    if schedule.band_blocks:
        return core["l1_bytes_per_second"]
    panel = schedule.panel_columns if schedule.pack else n  # rows that are apart share the sets of a cache
    return core["l2_bytes_per_second" if 4 * k * min(panel, n) <= core["l2_bytes"] else "l3_bytes_per_second"]
