"""NVIDIA's own tools: compute-sanitizer's checks of small products, and ncu's counters beside what the plans count."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from typing import Any, Dict, List

SANITIZERS = ("memcheck", "racecheck")
# What the counters measure, by the plan's names; bytes for each unit of the counter. Of shared memory: what warps read
# and write, without what the tensor memory accelerator writes.
COUNTERS = {
    "memory_bytes": ("dram__bytes.sum", 1.0),
    "l2_bytes": ("lts__t_bytes.sum", 1.0),
    "shared_bytes": ("l1tex__data_pipe_lsu_wavefronts_mem_shared.sum", 128.0),
}
COUNTED_BLOCKS = (4, 16, 64)
_SECONDS = 240
_CHECKS = (
    "from popsparse_py.bench.gpu_correctness import check_kernels, poisoned_backend\n"
    "assert all(one.is_right for one in check_kernels(poisoned_backend(), (4, 16, 64), (30, 70), 2))"
)
_PRODUCT = (
    "from fractions import Fraction\n"
    "from popsparse_planner.pattern import BlockPattern\n"
    "from popsparse_py.bench.gpu_timing import operands_of, ours\n"
    "pattern = BlockPattern.random(({size}, {size}), density=Fraction(1, 16), block_size={b}, seed=0)\n"
    "values, w, operands = operands_of(pattern, {size}, 'bfloat16')\n"
    "call, counts = ours(pattern, values, {size}, 'bfloat16')\n"
    "call(operands[0])\n"
    "import json, torch; torch.cuda.synchronize()\n"
    "print('plan:', json.dumps(counts))"
)


def sanitized(tool: str) -> Dict[str, Any]:
    """What a tool of compute-sanitizer says of small products of every kind of kernel, or why it says nothing."""
    if shutil.which("compute-sanitizer") is None:
        return {"absent": "compute-sanitizer is not installed"}
    command = ("compute-sanitizer", "--tool", tool, "--error-exitcode", "9", sys.executable, "-c", _CHECKS)
    done = run(*command)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
    return {"is_clean": done.returncode == 0, "says": lines[-1][:300]}


def counted(size: int) -> List[Dict[str, Any]]:
    """ncu's bytes of one product in blocks of each of COUNTED_BLOCKS, density 1/16, or why there are none."""
    if shutil.which("ncu") is None:
        return [{"absent": "ncu is not installed"}]
    return [{"block_size": b, "density": "1/16", "m": size, **_counted(b, size)} for b in COUNTED_BLOCKS]


def _counted(b: int, size: int) -> Dict[str, Any]:
    names = ",".join(name for name, _ in COUNTERS.values())
    kernels = "regex:^(rows|blocks|vectors|elements)[0-9]*_"
    options = ("--csv", "--page", "raw", "--print-units", "base", "--clock-control", "none", "--metrics", names)
    done = run("ncu", *options, "--kernel-name", kernels, sys.executable, "-c", _PRODUCT.format(size=size, b=b))
    try:
        return counters_of(done.stdout)
    except ValueError as error:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        return {"absent": f"{error}; ncu: {lines[-1][:300]}"}


def counters_of(text: str) -> Dict[str, Any]:
    """The bytes of the last kernel in ncu's raw page as CSV: a line of names, one of units, one for each kernel; and
    what the plan counts, from the line that begins with "plan:".
    """
    lines = [line for line in text.splitlines() if line.startswith('"')]
    rows = list(csv.reader(io.StringIO("\n".join(lines))))
    if len(rows) < 3:
        raise ValueError("no kernel was counted")
    named = dict(zip(rows[0], rows[-1]))
    missing = [name for name, _ in COUNTERS.values() if not named.get(name)]
    if missing:
        raise ValueError(f"ncu knows no {', '.join(missing)}")
    measured = {key: float(named[name].replace(",", "")) * unit for key, (name, unit) in COUNTERS.items()}
    counts: Dict[str, float] = next(
        (json.loads(line[5:]) for line in text.splitlines() if line.startswith("plan:")), {}
    )
    planned = {key: counts[key] for key in COUNTERS if key in counts}
    return {"kernel": named.get("Kernel Name", ""), "measured": measured, "planned": planned}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A finished command, whatever its exit code; one that cannot run or takes too long says so in stderr."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: {error}")
