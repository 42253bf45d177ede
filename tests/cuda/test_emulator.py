"""The emulated GPU finds what it is there to find: faults planted in copies of the kernels."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cuda.emulated import COMPILERS, EMULATOR, KERNELS, Emulated, build_folder
from cuda.operands import assert_product, case

from popsparse_planner import PopsparseError

FAULTS = {
    "wrong swizzle": ("slab_ring.cuh", "chunk ^ (row & 7)", "chunk ^ (row & 3)"),
    "reads before a copy is there": (
        "slab_ring.cuh",
        "      barrierWait(full(",
        "      if (current < 0) barrierWait(full(",
    ),
    "overwrites what is still read": ("slab_ring.cuh", "if (position >= kStages)", "if (position > 100)"),
    "gives back half of the slabs": ("slab_ring.cuh", "if (lane < cluster) {", "if (lane < cluster && current % 2) {"),
    "gives back to its own block only": ("slab_ring.cuh", "empty(stage), lane)", "empty(stage), clusterRank())"),
    "takes the slabs of another cluster": ("slab_ring.cuh", "blockIdx.y) / cluster", "blockIdx.y)"),
    "lets go of slabs that a step still needs": ("slab_ring.cuh", "current - span + 1", "current"),
    "ends while others still copy to it": ("slab_ring.cuh", "    ring.together();\n", ""),
    "stores beyond the edge of Y": ("epilogue.cuh", " || column >= product.n", ""),
    "rows of X in another order": ("rows.cuh", "2 * (row / 8 ^ pair / 2)", "2 * (row / 8)"),
}
TWO_KERNELS = """#include "kernel.cuh"
#include "rows.cuh"
#include "vectors.cuh"
namespace popsparse_py::cuda {
POPSPARSE_KERNEL(rows16_float16, kRingThreads, RowsArguments, multiplyRows<Float16, Here, 16, false>)
POPSPARSE_KERNEL(vectors_float16, kRingThreads, VectorsArguments, multiplyVectors<Float16, Here>)
}
"""


def planted(fault: str, folder: Path, emulator: Path) -> Path:
    """The emulated driver with two kernels and one fault in it; other objects are those of the sound one."""
    file, sound, broken = FAULTS[fault]
    shutil.copytree(KERNELS, folder / "kernels")
    text = (KERNELS / file).read_text()
    assert text.count(sound) == 1, f"{file} has no longer one {sound!r}"
    (folder / "kernels" / file).write_text(text.replace(sound, broken))
    (folder / "kernels" / "two.cpp").write_text(TWO_KERNELS)
    compiler = next(name for name in COMPILERS if shutil.which(name))
    flags = (
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        "-Wno-unknown-pragmas",
        "-DPOPSPARSE_MACHINE=Hopper",
        f"-I{EMULATOR}",
    )
    objects = [str(emulator / f"{name}.o") for name in ("scheduler", "instructions", "driver")]
    library = folder / "libcuda_faulty.so"
    subprocess.run([compiler, *flags, str(folder / "kernels" / "two.cpp"), *objects, "-o", str(library)], check=True)
    return library


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_planted_fault_is_found(fault: str, tmp_path: Path, emulated: Emulated) -> None:
    faulty = Emulated(planted(fault, tmp_path, Path(emulated.path).parent))
    # Two blocks of threads, a cluster, and more slabs than the ring has stages; a few slabs for each of three clusters.
    cases = [
        case((1020, 2000), 40, 16, "float16", density=0.05, seed=1),
        case((1500, 2000), 20, 8, "float16", density=0.002, seed=1),
    ]
    with pytest.raises((PopsparseError, AssertionError)):
        for seed in range(1, 9):
            backend = faulty.backend("Hopper", seed)
            for made in cases:
                n = made.x.shape[1]
                ready = backend.compile(backend.plan(made.a.pattern, n, "float16"))
                ready.load(made.a)
                assert_product(ready.multiply(made.x), made.dense, made.x, "float16")


def test_emulated_objects_are_kept() -> None:
    assert build_folder() == build_folder()
