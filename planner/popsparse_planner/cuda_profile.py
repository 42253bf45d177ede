"""A GPU in numbers, each with its unit and source: what the plans for target "cuda" are made from."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Mapping

from .cpu_profile import CpuProfile, read_profile
from .errors import TargetError

_FOLDER = Path(__file__).parent / "gpus"
GPU_DTYPES = ("bfloat16", "float16", "float32")


class GpuProfile(CpuProfile):
    """One GPU. facts: by the names of gpus/h200.toml; all are numbers above 0, TargetError otherwise."""

    units: ClassVar[Mapping[str, str]] = {
        "memory_bytes": "bytes",
        "memory_bytes_per_second": "bytes/second",
        "l2_bytes": "bytes",
        "l2_bytes_per_second": "bytes/second",
        "multiprocessors": "multiprocessors",
        "clock_hz": "hertz",
        "shared_bytes_per_cycle": "bytes/cycle",
        "shared_bytes": "bytes",
        **{f"dense_flops_per_second.{dtype}": "flops/second" for dtype in (*GPU_DTYPES, "tf32")},
        "mma_flops_per_second": "flops/second",
        "tf32_flops_per_second": "flops/second",
        "fma_flops_per_second": "flops/second",
        "launch_seconds": "seconds",
    }

    @property
    def shared_bytes_per_second(self) -> float:
        """Of all multiprocessors."""
        return self["multiprocessors"] * self["shared_bytes_per_cycle"] * self["clock_hz"]


def load_gpu_profile(name: str = "h200") -> GpuProfile:
    """The shipped profile of that name; TargetError if there is none."""
    names = sorted(path.stem for path in _FOLDER.glob("*.toml"))
    if name not in names:
        raise TargetError(f"GPU {name!r} is unknown: expected one of {', '.join(names)}", name=name)
    return GpuProfile(*read_profile(_FOLDER / f"{name}.toml"))
