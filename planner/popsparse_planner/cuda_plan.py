"""Plans for target "cuda": which kernel takes a product, what it moves and multiplies, and the time it should take."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .cuda_cost import (
    CudaCost,
    CudaCount,
    cost_of,
    decode_count,
    decode_vectors_count,
    dense_seconds,
    element_bytes,
    element_count,
    operand_bytes,
    row_count,
    vector_count,
    with_turning,
)
from .cuda_decode import DECODE_COLUMNS, decode_blocks_cut, decode_columns, decode_stream
from .cuda_decode_vectors import decode_steps
from .cuda_machine import BLOCK_SIDE, VECTOR_ROWS, CudaMachine, cuda_machine
from .cuda_profile import GPU_DTYPES, GpuProfile, load_gpu_profile
from .cuda_streams import row_uses
from .cuda_tiles import Tile, tiles
from .cuda_vectors import gathered, vector_layout, vector_uses
from .errors import DTypeError, PlanError, ShapeError
from .json_data import dump, parse
from .pattern import BlockPattern
from .plan import make_report

KERNELS = ("blocks", "rows", "vectors", "elements", "decode", "decode_vectors")
_SCHEMA = "popsparse.cuda-plan/3"


@dataclass(frozen=True)
class CudaPlan:
    """How Y (m, n) = W (m, k) X (k, n) runs on a GPU; for every pattern of so many blocks, its counts for one.

    shape: (m, k), of the transpose if transposed; by_rows: X is (n, k) and Y (n, m), as PyTorch has them; kernel: one
    of KERNELS; tile: of Y, None for kernels that keep none in registers; machine: the family of GPUs; gpu: whose rates
    the cost is made with; dense_seconds: of the dense product there, predicted; tf32: whether products of float32 may
    be made in TF32, as the dense one is then.
    """

    shape: Tuple[int, int]
    block_size: int
    blocks: int
    n: int
    dtype: str
    transposed: bool
    by_rows: bool
    kernel: str
    tile: Optional[Tile]
    machine: CudaMachine
    gpu: str
    count: CudaCount
    cost: CudaCost
    dense_seconds: float
    memory_bytes: int
    tf32: bool = False

    mode = "cuda"

    @property
    def arithmetic(self) -> str:
        """Of the products: the elements' dtype, or "tf32" where the kernel rounds float32 to it."""
        return "tf32" if self.tf32 and self.kernel != "elements" else self.dtype

    @property
    def fits(self) -> bool:
        """Whether the operands fit the GPU's memory."""
        return self.memory_bytes <= int(load_gpu_profile(self.gpu)["memory_bytes"])

    @property
    def dense_is_faster(self) -> bool:
        """Whether the dense product is predicted to take less time: then "auto" uses a dense copy."""
        return self.dense_seconds < self.cost.total_seconds

    @property
    def takes_rows(self) -> bool:
        """Whether the kernel takes X (n, k) and gives Y (n, m): else it takes X (k, n) and gives Y (m, n)."""
        return self.by_rows and kernel_takes_rows(self.kernel, self.block_size, self.arithmetic)

    @property
    def speedup_vs_dense(self) -> float:
        """Predicted time of the dense product over that of the sparse one."""
        return self.dense_seconds / self.cost.total_seconds

    @property
    def flops(self) -> int:
        """2 * nonzeros * n."""
        return 2 * self.blocks * self.block_size**2 * self.n

    @property
    def tflops(self) -> float:
        """Predicted rate in TFLOP/s of nonzeros."""
        return self.flops / self.cost.total_seconds / 1e12

    def counted(self, count: CudaCount, gpu: GpuProfile, *, by_rows: bool) -> CudaPlan:
        """This plan with a count, made for X (k, n), and what it costs; by_rows: as of plan_cuda."""
        if by_rows and not kernel_takes_rows(self.kernel, self.block_size, self.arithmetic):
            count = with_turning(count, self.shape, self.n, self.dtype)
        return replace(self, by_rows=by_rows, count=count, cost=cost_of(count, gpu))

    def explain(self) -> str:
        """Lines for a terminal."""
        (m, k), cost, count = self.shape, self.cost, self.count
        density = self.blocks * self.block_size**2 / (m * k)
        verdict = f"{self.speedup_vs_dense:.2f}x the dense product ({self.dense_seconds * 1e6:,.1f} us)"
        verdict += ": dense is faster, auto uses a dense copy" if self.dense_is_faster else ""
        turned = " transposed" if self.transposed else ""
        return "\n".join(
            [
                f"cuda plan of ({m} x {k}) W{turned} times ({k} x {self.n}) X, {self._elements()}, rates of the "
                f"{self.gpu}",
                f"  W: {self.blocks:,} blocks of {self.block_size} x {self.block_size}, density {density:.4g}",
                f"  kernel: {self.kernel}, {self.machine.name}; never run on a GPU so far: every number is predicted",
                *self._tile_lines(),
                f"  HBM {_mega(count.memory_bytes)} MB {_us(cost.memory_seconds)} us, L2 {_mega(count.l2_bytes)} MB "
                f"{_us(cost.l2_seconds)} us, shared {_mega(count.shared_bytes)} MB {_us(cost.shared_seconds)} us, "
                f"{count.flops / 1e9:,.1f} GFLOP {_us(cost.operations_seconds)} us",
                *self._turning_lines(),
                f"  predicted: {_us(cost.total_seconds)} us, bound by {cost.bound}, {self.tflops:.1f} TFLOP/s of "
                f"nonzeros, {verdict}",
            ]
        )

    def _elements(self) -> str:
        if not self.tf32:
            return self.dtype
        used = "multiplied in TF32" if self.arithmetic == "tf32" else "(TF32 allowed, not used by this kernel)"
        return f"{self.dtype} {used}"

    def _tile_lines(self) -> List[str]:
        if self.tile is None:
            return []
        tile, count = self.tile, self.count
        order = "neighbours together" if tile.together else "heavy and light rows mixed"
        return [
            f"  tile: {tile.rows} rows x {tile.columns} columns of Y, {order}, cluster of {tile.cluster}; "
            f"{count.blocks:,} blocks of threads, heaviest warp {count.balance:.2f} of the mean; "
            f"{count.slabs_copied:,} of {count.slabs:,} slabs of X copied"
        ]

    def _turning_lines(self) -> List[str]:
        if not self.count.turned_bytes:
            return []
        return [
            f"  X (n, k) and Y (n, m) are transposed: {_mega(self.count.turned_bytes)} MB more through HBM, "
            f"{_us(self.cost.turning_seconds)} us, and two launches"
        ]

    def report(self) -> Any:
        """A report.Report: verdict, bounds, kernel and crossover for a terminal, a page or JSON."""
        return make_report(self)

    def to_json(self) -> str:
        """Text that from_json reads; equal plans give equal bytes."""
        return dump({"schema": _SCHEMA, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> CudaPlan:
        """The plan that to_json wrote; FormatError if the text is not one."""
        fields: Dict[str, Any] = dict(parse(text, _SCHEMA))
        fields.pop("schema")
        fields["shape"] = tuple(fields["shape"])
        fields["tile"] = None if fields["tile"] is None else Tile(**fields["tile"])
        fields["machine"] = CudaMachine(**fields["machine"])
        fields["count"] = CudaCount(**fields["count"])
        fields["cost"] = CudaCost(**fields["cost"])
        return cls(**fields)


def plan_cuda(
    pattern: BlockPattern,
    n: int,
    *,
    dtype: str = "bfloat16",
    transposed: bool = False,
    by_rows: bool = False,
    machine: Optional[CudaMachine] = None,
    gpu: Optional[GpuProfile] = None,
    kernel: Optional[str] = None,
    tile: Optional[Tile] = None,
    tf32: bool = False,
) -> CudaPlan:
    """The plan of W x, or of W's transpose times x, with n columns: the kernel and tile of the least predicted time.

    by_rows: X comes as (n, k) and Y is wanted as (n, m), PyTorch's orientation: for kernels that do not take it, two
    that transpose are counted too; machine: the family of GPUs, Hopper by default; gpu: its rates, the H200's by
    default; kernel, tile: only this one; tf32: allow that float32 operands are rounded to TF32, 10 bits behind the
    point, before they are multiplied. Raises DTypeError, ShapeError, PlanError (a kernel or tile that does not take
    this product).
    """
    arithmetic = _checked_arithmetic(dtype, n, tf32)
    profile = load_gpu_profile() if gpu is None else gpu
    family = cuda_machine((9, 0), int(profile["shared_bytes"])) if machine is None else machine
    shape = pattern.shape[::-1] if transposed else pattern.shape
    names = kernels_for(pattern.block_size, n, arithmetic, transposed=transposed, machine=family)
    if kernel is not None and kernel not in names:
        raise PlanError(
            f"kernel {kernel!r} does not take {arithmetic} in blocks of {pattern.block_size} with n = {n}: expected "
            f"one of {', '.join(names)}"
        )
    product = _Product(pattern, shape, n, arithmetic, transposed, by_rows, family, profile, tile)
    best, tile, count = product.best(names if kernel is None else [kernel])
    values = pattern.nnz_blocks * pattern.block_size**2
    return CudaPlan(
        shape=shape,
        block_size=pattern.block_size,
        blocks=pattern.nnz_blocks,
        n=n,
        dtype=dtype,
        transposed=transposed,
        by_rows=by_rows,
        kernel=best,
        tile=tile,
        machine=family,
        gpu=profile.name,
        count=count,
        cost=cost_of(count, profile),
        dense_seconds=dense_seconds(shape, n, arithmetic, profile),
        memory_bytes=int(count.memory_bytes + operand_bytes((0, 0), n, values, dtype)),
        tf32=tf32,
    )


def _checked_arithmetic(dtype: str, n: int, tf32: bool) -> str:
    """What products are made in: the dtype, or "tf32"."""
    if dtype not in GPU_DTYPES:
        raise DTypeError(f"dtype {dtype} has no cuda kernel: expected one of {', '.join(GPU_DTYPES)}", dtype=dtype)
    if n < 1:
        raise ShapeError(f"expected n of at least 1, got {n}")
    if tf32 and dtype != "float32":
        raise PlanError(f"tf32=True is for dtype 'float32', got {dtype!r}: leave it out, {dtype} is shorter already")
    return "tf32" if tf32 else dtype


def kernel_takes_rows(kernel: str, block_size: int, arithmetic: str) -> bool:
    """Whether a kernel for blocks of this size takes X (n, k) and gives Y (n, m) too; arithmetic: as of CudaPlan."""
    taken = kernel in ("blocks", "rows") or (kernel == "vectors" and block_size % VECTOR_ROWS == 0)
    return taken and element_bytes(arithmetic) == 2


def kernels_for(
    block_size: int, n: int, dtype: str, *, transposed: bool = False, machine: Optional[CudaMachine] = None
) -> List[str]:
    """The kernels that take such a product, on a machine that has them all by default; dtype: "tf32" too."""
    if dtype == "float32":
        return ["elements"]
    if dtype == "tf32":
        return ["vectors" if block_size % 16 else "rows", "elements"]
    few = n <= DECODE_COLUMNS[-1]
    if block_size % 16:
        return [*(["decode_vectors"] if few else []), "vectors", "elements"]
    decode = "decode_vectors" if transposed else "decode"  # W's blocks are not read turned: packed values are
    wide = block_size % BLOCK_SIDE == 0 and (machine is None or machine.has_groups)
    return [*([decode] if few else []), *(["blocks"] if wide else []), "rows"]


def decode_blocks(ranges: int, block_rows: int, multiprocessors: int) -> int:
    """Blocks of threads for each range of k: one for every multiprocessor, no more than there is work for."""
    return max(1, min(-(-block_rows // 8), multiprocessors // ranges))


def _mega(count: float) -> str:
    return f"{count / 1e6:,.1f}"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}"


@dataclass(frozen=True)
class _Product:
    pattern: BlockPattern
    shape: Tuple[int, int]
    n: int
    arithmetic: str
    transposed: bool
    by_rows: bool
    machine: CudaMachine
    gpu: GpuProfile
    tile: Optional[Tile]

    @property
    def is_tf32(self) -> bool:
        return self.arithmetic == "tf32"

    def best(self, kernels: Sequence[str]) -> Tuple[str, Optional[Tile], CudaCount]:
        """The kernel and tile of the least predicted time."""
        found = [
            (kernel, tile, self._oriented(kernel, count)) for kernel in kernels for tile, count in self.counts(kernel)
        ]
        if not found:
            raise PlanError(f"no kernel of {', '.join(kernels)} takes {self.tile} for {self.shape[0]:,} rows of Y")
        return min(found, key=lambda choice: cost_of(choice[2], self.gpu).rank)

    def _oriented(self, kernel: str, count: CudaCount) -> CudaCount:
        if not self.by_rows or kernel_takes_rows(kernel, self.pattern.block_size, self.arithmetic):
            return count
        return with_turning(count, self.shape, self.n, self.arithmetic)

    def counts(self, kernel: str) -> List[Tuple[Optional[Tile], CudaCount]]:
        """What a kernel moves and multiplies with each tile that it can take, of "vectors" with the best."""
        if kernel in ("elements", "decode", "decode_vectors"):
            return [(None, self._without_tile(kernel))] if self.tile is None else []
        choices = tiles(kernel, self.pattern.block_size, self.shape[0], self.machine, tf32=self.is_tf32)
        choices = [tile for tile in choices if self.tile in (None, tile)]
        if not choices:
            return []
        if kernel == "vectors":
            return self._vectors(choices)
        uses = row_uses(self.pattern, choices, transposed=self.transposed)
        return [(use.tile, row_count(use, self.shape, self.n)) for use in uses]

    def _without_tile(self, kernel: str) -> CudaCount:
        pattern, shape, n = self.pattern, self.shape, self.n
        if kernel == "elements":
            return element_count(pattern, shape, n, "float32" if self.is_tf32 else self.arithmetic)
        shared_bytes, multiprocessors = self.machine.shared_bytes, int(self.gpu["multiprocessors"])
        if kernel == "decode_vectors":
            made = decode_steps(pattern, n, self.machine, multiprocessors, transposed=self.transposed)
            return decode_vectors_count(made, shape, n)
        columns = decode_columns(n)
        cut = decode_blocks_cut(pattern, n, self.machine, multiprocessors)
        stream = decode_stream(pattern, n, shared_bytes, multiprocessors, cut)
        return decode_count(pattern, stream, shape, n, columns, cut.blocks)

    def _vectors(self, choices: List[Tile]) -> List[Tuple[Optional[Tile], CudaCount]]:
        """The tile is chosen by the steps where all slabs are needed; where fewer are, it takes no more than those."""
        both = gathered(self.pattern, self.machine.span, transposed=self.transposed, slab_rows=choices[0].slab_rows)
        found: List[Tuple[Optional[Tile], CudaCount]] = []
        for together in {tile.together for tile in choices}:
            pairs, steps = both[together]
            uses = vector_uses(pairs, steps, [tile for tile in choices if tile.together == together])
            best = min(uses, key=lambda use: cost_of(vector_count(use, self.shape, self.n), self.gpu).rank).tile
            use = vector_layout(pairs, steps, best, self.machine.span).use
            found.append((best, vector_count(use, self.shape, self.n)))
        return found
