"""Everything that a machine with a GPU has to say about target "cuda", as one JSON file.

`python -m popsparse_py.bench gpu --out FILE`: correctness first, then ceilings and peers, then what each goal asks for.
Each stage is written when it ends; one that fails is written with its reason, and the others still run.
"""

from __future__ import annotations

import json
import platform
import time
from datetime import datetime, timezone
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

from popsparse_planner.errors import TargetUnavailableError

from ..backends.cuda import CudaBackend
from . import gpu_stages, gpu_tools
from .gpu_correctness import check_kernels, poisoned_backend

SCHEMA = "popsparse.bench.gpu/2"
_PACKAGES = ("torch", "triton", "numpy", "popsparse_py", "nvidia-cusparse", "blksprs", "stanford-stk")
_CLOCKS = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,temperature.gpu,power.draw"
_COLUMNS_CHECKED = (1, 30, 257)


def correctness(size: int, columns: int) -> Dict[str, Any]:
    """Every kernel against float64 in memory that was full of NaN, then small products under the sanitizers."""
    seed = int(time.time())
    checked = check_kernels(poisoned_backend(), gpu_stages.BLOCK_SIZES, _COLUMNS_CHECKED, seed)
    wrong = [one.to_dict() for one in checked if not one.is_right]
    sanitizers = {tool: gpu_tools.sanitized(tool) for tool in gpu_tools.SANITIZERS}
    return {"seed": seed, "products": len(checked), "wrong": wrong, "sanitizers": sanitizers}


STAGES: Dict[str, Callable[[int, int], Any]] = {
    "correctness": correctness,
    "ceilings": lambda size, columns: gpu_stages.ceilings(),
    "timing": gpu_stages.timing,
    "training": lambda size, columns: gpu_stages.training(size),
    "dynamic": lambda size, columns: gpu_stages.dynamic(size),
    "decode": lambda size, columns: gpu_stages.decode(4 * size),
    "skew": lambda size, columns: gpu_stages.skew(size),
    "float32": lambda size, columns: gpu_stages.float32(size),
    "auto": lambda size, columns: gpu_stages.auto(size),
    "host": lambda size, columns: gpu_stages.host(),
    "counters": lambda size, columns: gpu_tools.counted(size),
}


def measure(out: Path, stages: Sequence[str], size: int, columns: int) -> Dict[str, Any]:
    """Runs the stages and writes `out` after each; TargetUnavailableError without a GPU."""
    report: Dict[str, Any] = {"schema": SCHEMA, "machine": machine(CudaBackend()), "stage_seconds": {}, "failed": {}}
    for stage in stages:
        start = time.monotonic()
        try:
            report[stage] = STAGES[stage](size, columns)
        except Exception as error:  # the other stages still run
            report["failed"][stage] = gpu_stages.reason_of(error)
        report["stage_seconds"][stage] = round(time.monotonic() - start, 1)
        out.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return report


def problems(report: Dict[str, Any]) -> List[str]:
    """What of a report is wrong: stages and rows that failed, wrong products, sanitizers that found something."""
    found = [f"{stage}: {reason}" for stage, reason in report["failed"].items()]
    for stage, rows in report.items():
        if isinstance(rows, list):
            found += [f"{stage}: {reason}" for reason in gpu_stages.failures(rows)]
    checked = report.get("correctness", {"wrong": [], "sanitizers": {}})
    found += [f"correctness: {one['product']} {one['block_size']} {one['dtype']}" for one in checked["wrong"]]
    tools = checked["sanitizers"].items()
    return found + [f"{tool}: {says['says']}" for tool, says in tools if not says.get("is_clean", True)]


def machine(backend: CudaBackend) -> Dict[str, Any]:
    """Device, driver, clocks and versions; TargetUnavailableError without a torch that sees a GPU."""
    try:
        torch = import_module("torch")
    except ImportError as error:
        raise TargetUnavailableError(f"a GPU is measured with torch ({error}): install a torch with CUDA") from error
    if not torch.cuda.is_available():
        raise TargetUnavailableError("torch sees no GPU: install a torch with CUDA")
    found = {name: _version(name) for name in _PACKAGES}
    clocks = gpu_tools.run("nvidia-smi", f"--query-gpu={_CLOCKS}", "--format=csv")
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": backend.device.facts,
        "python": platform.python_version(),
        "cuda_of_torch": torch.version.cuda,
        "packages": {name: version for name, version in found.items() if version},
        "clocks": (clocks.stdout + clocks.stderr).strip().splitlines(),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
