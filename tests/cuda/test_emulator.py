"""The emulated GPU finds what it is there to find: faults planted in copies of the kernels."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cuda.emulated import COMPILERS, EMULATOR, KERNELS, Emulated, build_folder
from cuda.operands import assert_product, case

from popsparse_planner import PopsparseError
from popsparse_planner.cuda_machine import CudaMachine
from popsparse_planner.cuda_plan import plan_cuda
from popsparse_planner.cuda_tiles import Tile, tiles

# file, what it says, what is put there instead, and the kernel in which that is to be found
FAULTS = {
    "wrong swizzle": ("slab_ring.cuh", "chunk ^ (line & 7)", "chunk ^ (line & 3)", "rows"),
    "reads before a copy is there": (
        "slab_ring.cuh",
        "      barrierWait(full(",
        "      if (current < 0) barrierWait(full(",
        "rows",
    ),
    "overwrites what is still read": ("slab_ring.cuh", "if (position >= kStages)", "if (position > 100)", "rows"),
    "gives back half of the slabs": (
        "slab_ring.cuh",
        "if (lane < cluster) {",
        "if (lane < cluster && current % 2) {",
        "rows",
    ),
    "gives back to its own block only": (
        "slab_ring.cuh",
        "empty(stage), lane)",
        "empty(stage), clusterRank())",
        "rows",
    ),
    "takes the slabs of another cluster": ("slab_ring.cuh", "blockIdx.y) / cluster", "blockIdx.y)", "vectors"),
    "lets go of slabs that a step still needs": ("slab_ring.cuh", "current - span + 1", "current", "vectors"),
    "ends while others still copy to it": ("slab_ring.cuh", "    ring.together();\n", "", "rows"),
    "stores beyond the edge of Y": (
        "epilogue.cuh",
        "column < product.n) {\n    uint16_t *y = static_cast<uint16_t *>(product.y) + row",
        "row < 1 << 30) {\n    uint16_t *y = static_cast<uint16_t *>(product.y) + row",
        "rows",
    ),
    "rows of X in another order": ("rows.cuh", "2 * (row / 8 ^ pair / 2)", "2 * (row / 8)", "rows"),
    "takes other rows of X for the same": ("rows.cuh", "row == held", "row / 32 == held / 32", "wide"),
    "multiplies by one panel twice": ("rows.cuh", "j / 8 * Shape", "j / 16 * Shape", "wide"),
    "adds before all ranges are there": (
        "decode_range.cuh",
        "  clusterSync();\n#pragma unroll 1",
        "#pragma unroll 1",
        "decode_vectors",
    ),
    "ends while others read its sums": (
        "decode_range.cuh",
        "  clusterSync(); // before a block ends whose memory others read\n",
        "",
        "decode_vectors",
    ),
    "takes one half of k twice": (
        "rows.cuh",
        "Shape::kPanelRows / 8 + lane / 8 % 2",
        "Shape::kPanelRows / 8",
        "by_rows",
    ),
    "rows of Y (n, m) in another order": ("rows.cuh", "% 4 * (transposed ? 4 : 2)", "% 4 * 4", "by_rows"),
    "names panels where none are": ("blocks.cuh", "Shape::kPanelBytes >> 4", "1", "blocks"),
}
DEFINED = {
    "rows": "rows16_float16, kRingThreads, RowsArguments, multiplyRows<Float16, Here, NarrowSlab, 16, false>",
    "wide": "rows16_wide_float16, kRingThreads, RowsArguments, multiplyRows<Float16, Here, WideSlab, 16, false>",
    "by_rows": "rows16_by_rows_float16, kRingThreads, RowsArguments, "
    "multiplyRows<Float16, Here, NarrowByRows, 16, false>",
    "vectors": "vectors_float16, kRingThreads, VectorsArguments, multiplyVectors<Float16, Here>",
    "blocks": "blocks_float16, kRingThreads, RowsArguments, multiplyBlocks<Float16, Here, WidestSlab, false>",
    "decode_vectors": "decode_vectors16_by8_float16, kDecodeVectorsThreads, DecodeVectorsArguments, "
    "decodeVectors<Float16, Here, 16, 8>",
}
PACKS = "POPSPARSE_KERNEL(gather_values, kGatherThreads, GatherArguments, gatherValues<GatherShort>)"
# A cluster, and more slabs than the ring has stages; for "vectors" few slabs, other ones for each of two clusters.
CASES = {
    "rows": ((1020, 2000), 40, 16, 0.05),
    "wide": ((500, 1000), 120, 16, 0.05),
    "by_rows": ((500, 400), 40, 16, 0.05),
    "vectors": ((2000, 2000), 20, 8, 0.002),
    "blocks": ((250, 700), 120, 64, 0.3),
    "decode_vectors": ((90, 300), 9, 8, 0.3),
}


def planted(fault: str, folder: Path, emulator: Path) -> Path:
    """The emulated driver with one kernel and one fault in it; other objects are those of the sound one."""
    file, sound, broken, kernel = FAULTS[fault]
    shutil.copytree(KERNELS, folder / "kernels")
    text = (KERNELS / file).read_text()
    assert text.count(sound) == 1, f"{file} has no longer one {sound!r}"
    (folder / "kernels" / file).write_text(text.replace(sound, broken))
    headers = "".join(
        f'#include "{name}.cuh"\n' for name in ("kernel", "rows", "vectors", "blocks", "gather", "decode_vectors")
    )
    one = f"namespace popsparse_py::cuda {{\nPOPSPARSE_KERNEL({DEFINED[kernel]})\n{PACKS}\n}}\n"
    (folder / "kernels" / "one.cpp").write_text(headers + one)
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
    subprocess.run([compiler, *flags, str(folder / "kernels" / "one.cpp"), *objects, "-o", str(library)], check=True)
    return library


def tile_of(name: str, columns: int, b: int, rows: int, machine: CudaMachine) -> Tile:
    """A tile of so many columns, in clusters if it can be."""
    tile = next(tile for tile in tiles(name, b, rows, machine) if tile.columns == columns)
    return max((replace(tile, cluster=size) for size in (1, 2) if tile.groups(rows) % size == 0), key=repr)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_planted_fault_is_found(fault: str, tmp_path: Path, emulated: Emulated) -> None:
    faulty = Emulated(planted(fault, tmp_path, Path(emulated.path).parent))
    kernel = FAULTS[fault][3]
    shape, n, b, density = CASES[kernel]
    made = case(shape, n, b, "float16", density=density, seed=1)
    columns = {"wide": 128, "blocks": 256}.get(kernel, 64)
    name, by_rows = "rows" if kernel in ("wide", "by_rows") else kernel, kernel == "by_rows"
    with pytest.raises((PopsparseError, AssertionError)) as caught:
        for seed in range(1, 9):
            backend = faulty.backend("Hopper", seed)
            machine = backend.device.machine
            tile = None if kernel == "decode_vectors" else tile_of(name, columns, b, shape[0], machine)
            asked = {"machine": machine, "kernel": name, "tile": tile, "by_rows": by_rows}
            ready = backend.compile(plan_cuda(made.a.pattern, n, dtype="float16", **asked))
            ready.load(made.a)
            y = ready.multiply_rows(made.x.T).T if by_rows else ready.multiply(made.x)
            assert_product(y, made.dense, made.x, "float16")
    assert "have no" not in str(caught.value), "the kernel itself was not found"


def test_emulated_objects_are_kept() -> None:
    assert build_folder() == build_folder()
