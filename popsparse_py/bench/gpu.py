"""Everything that a machine with a GPU has to say about target "cuda", as one JSON file.

`python -m popsparse_py.bench gpu --out FILE`: correctness first, then ceilings and peers, then our products beside what
their plans count. It has not been run yet: no GPU was at hand. Each stage is written when it ends.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from fractions import Fraction
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from popsparse_planner.errors import TargetUnavailableError
from popsparse_planner.pattern import BlockPattern

from ..backends.cuda import CudaBackend
from .gpu_correctness import check_kernels
from .gpu_peers import calls
from .gpu_timing import copies_for, operands_of, ours, seconds_of

SCHEMA = "popsparse.bench.gpu/1"
STAGES = ("correctness", "ceilings", "timing")
BLOCK_SIZES = (1, 4, 8, 16, 32, 64, 128)
DENSITIES = tuple(Fraction(1, 2**i) for i in range(2, 7))
_PACKAGES = ("torch", "triton", "numpy", "popsparse_py", "blksprs", "stanford-stk")
_CLOCKS = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,temperature.gpu,power.draw"
_SANITIZERS = ("memcheck", "racecheck")


def measure(out: Path, stages: Sequence[str], size: int, columns: int) -> Dict[str, Any]:
    """Runs the stages and writes `out` after each; TargetUnavailableError without a GPU."""
    backend = CudaBackend()
    report: Dict[str, Any] = {"schema": SCHEMA, "machine": machine(backend)}
    for stage in stages:
        if stage == "correctness":
            report[stage] = correctness(backend)
        elif stage == "ceilings":
            report[stage] = ceilings()
        else:
            report[stage] = timing(size, columns)
        out.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return report


def machine(backend: CudaBackend) -> Dict[str, Any]:
    """Device, driver, clocks and versions; TargetUnavailableError without a torch that sees a GPU."""
    try:
        torch = import_module("torch")
    except ImportError as error:
        raise TargetUnavailableError(f"a GPU is measured with torch ({error}): install a torch with CUDA") from error
    if not torch.cuda.is_available():
        raise TargetUnavailableError("torch sees no GPU: install a torch with CUDA")
    found = {name: _version(name) for name in _PACKAGES}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": backend.device.facts,
        "python": platform.python_version(),
        "cuda_of_torch": torch.version.cuda,
        "packages": {name: version for name, version in found.items() if version},
        "clocks": _output("nvidia-smi", f"--query-gpu={_CLOCKS}", "--format=csv"),
    }


def correctness(backend: CudaBackend) -> Dict[str, Any]:
    """Every kernel against float64, then small products under the sanitizers where they are installed."""
    checked = check_kernels(backend, BLOCK_SIZES, (1, 30, 257), seed=1)
    wrong = [one.to_dict() for one in checked if not one.is_right]
    return {"products": len(checked), "wrong": wrong, "sanitizers": {tool: _sanitized(tool) for tool in _SANITIZERS}}


def ceilings() -> Dict[str, float]:
    """Bytes a second of a copy, flops a second of the dense product, both by torch."""
    torch = import_module("torch")
    words = torch.randn(1 << 28, device="cuda")
    to = torch.empty_like(words)
    found = {"copy_bytes_per_second": 2 * words.numel() * 4 / seconds_of(to.copy_, [words])}
    for size in (1024, 2048, 4096, 8192):
        w = torch.randn((size, size), device="cuda").bfloat16()
        x = [torch.randn((size, size), device="cuda").bfloat16() for _ in range(copies_for(4 * size * size))]
        found[f"dense_{size}_flops_per_second"] = 2 * size**3 / seconds_of(w.matmul, x)
    return found


def timing(size: int, columns: int) -> List[Dict[str, Any]]:
    """Ours and the peers over block sizes and densities, W (size, size), bfloat16."""
    return [timed(b, density, (size, size), columns) for b in BLOCK_SIZES for density in DENSITIES]


def timed(b: int, density: Fraction, shape: Tuple[int, int], n: int) -> Dict[str, Any]:
    """Seconds of ours and of the peers for one random pattern, bfloat16, and what our plan counts."""
    pattern = BlockPattern.random(shape, density=density, block_size=b, seed=0)
    values, w, operands = operands_of(shape, n, pattern, "bfloat16")
    call, counts = ours(pattern, values, n, "bfloat16")
    peers, absent = calls(w, b, operands[0])
    seconds = {name: seconds_of(peer, operands) for name, peer in {"popsparse": call, **peers}.items()}
    problem = {"m": shape[0], "k": shape[1], "n": n, "block_size": b, "density": str(density)}
    return {**problem, "seconds": seconds, "absent": absent, "plan": counts}


def _sanitized(tool: str) -> str:
    """The last line of compute-sanitizer on a few small products, or why there is none."""
    if shutil.which("compute-sanitizer") is None:
        return "compute-sanitizer is not installed"
    code = (
        "from popsparse_py.backends.cuda import CudaBackend\n"
        "from popsparse_py.bench.gpu_correctness import check_kernels\n"
        "assert all(one.is_right for one in check_kernels(CudaBackend(), (4, 16, 32), (30, 70), 2))"
    )
    text = _output("compute-sanitizer", "--tool", tool, sys.executable, "-c", code)
    return text.strip().splitlines()[-1] if text.strip() else "no output"


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    return done.stdout + done.stderr


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
