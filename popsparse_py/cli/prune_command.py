"""`popsparse prune`: the matrices of a safetensors file cut down to their largest blocks, the rest copied as it is."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from rich.table import Table

from popsparse_planner import BlockPattern, FormatError

from ..formats.blocks import cut_out
from ..formats.checks import check_not_empty, checked_block_size, checked_matrix
from ..formats.files import ours_as_arrays, replaced
from ..formats.optional import need
from ..formats.prune import largest_blocks
from ..formats.safetensors_raw import StoredTensor, matrix_names, read_raw, write_raw
from ..layer_plans import LayerPlan, dense_layer_seconds, plan_layer
from .output import Output, new_table
from .requests import PruneRequest, UsageError, read_density

SCHEMA = "popsparse.cli.prune/1"
_MOST_NAMES_LISTED = 20


@dataclass(frozen=True)
class Pruned:
    """What became of one matrix: its blocks, the share of its squares that they hold, its plan where one was asked for.

    kept_dense: it is copied as it was, since its plan says that sparse is slower.
    """

    name: str
    pattern: BlockPattern
    energy: float
    dense_bytes: int
    sparse_bytes: int
    plan: Optional[LayerPlan]

    @property
    def kept_dense(self) -> bool:
        return self.plan is not None and not self.plan.faster

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        return {
            "name": self.name,
            "shape": list(self.pattern.shape),
            "block_size": self.pattern.block_size,
            "blocks": self.pattern.nnz_blocks,
            "density": self.pattern.density,
            "energy_kept": self.energy,
            "dense_bytes": self.dense_bytes,
            "sparse_bytes": self.sparse_bytes,
            "kept_dense": self.kept_dense,
            "plan": None if self.plan is None else self.plan.to_dict(),
        }


def execute(request: PruneRequest) -> int:
    """Prunes, writes and prints; 0, or 1 (and no file) if --only-if-faster leaves nothing to prune."""
    output = Output(as_json=request.as_json, quiet=request.quiet)
    density = read_density(request.density, request.sparsity)
    if density is None:
        raise UsageError("say how much to keep: --density 1/8 or --sparsity 0.875")
    _check_paths(request)
    stored, metadata = read_raw(request.weights)
    found: List[Pruned] = []
    with output.bar() as progress:
        names = _chosen(request, stored)
        task = progress.add_task("pruning", total=len(names))
        for name in names:
            found.append(_pruned(name, stored[name], request, density))
            progress.advance(task)
    sparse = [one for one in found if not one.kept_dense]
    sizes = (request.weights.stat().st_size, 0)
    if sparse:
        with replaced(request.out) as part:
            write_raw(part, _rewritten(stored, sparse), {**metadata, "popsparse_py": "block_sparse/1"})
            sizes = (sizes[0], part.stat().st_size)
    verdict = _verdict(request, found, sparse, sizes)
    fields = {
        "schema": SCHEMA,
        "ok": bool(sparse),
        "verdict": verdict,
        "out": str(request.out) if sparse else None,
        "bytes_before": sizes[0],
        "bytes_after": sizes[1] or None,
        "tensors": [one.to_dict() for one in found],
    }
    output.show(verdict, fields, _table(found))
    return 0 if sparse else 1


def _check_paths(request: PruneRequest) -> None:
    for path in (request.weights, request.out):
        if path.suffix != ".safetensors":
            raise UsageError(f"{path}: prune reads and writes .safetensors files")
    if request.out.exists() and request.weights.exists() and request.out.samefile(request.weights):
        raise UsageError(f"-o {request.out} is the file that is read: pruned weights do not replace their source")


def _chosen(request: PruneRequest, stored: Dict[str, StoredTensor]) -> List[str]:
    """Names of the matrices that --include and not --exclude match; FormatError that lists the names if none does."""
    known = matrix_names(stored)
    names = [name for name in known if any(fnmatchcase(name, glob) for glob in request.include)]
    names = [name for name in names if not any(fnmatchcase(name, glob) for glob in request.exclude)]
    if not names:
        listed = ", ".join(known[:_MOST_NAMES_LISTED]) or "none"
        more = f" and {len(known) - _MOST_NAMES_LISTED} more" if len(known) > _MOST_NAMES_LISTED else ""
        globs = f"--include {' '.join(request.include)} --exclude {' '.join(request.exclude)}".rstrip()
        raise FormatError(f"{globs} matches none of the matrices in {request.weights}: {listed}{more}")
    return names


def _pruned(name: str, stored: StoredTensor, request: PruneRequest, density: Fraction) -> Pruned:
    """The blocks of one matrix that stay; FormatError for NaN."""
    w = stored.numbers()
    b = checked_block_size(request.block_size)
    checked_matrix(w, name)
    pattern = largest_blocks(w, b, density, request.criterion)
    check_not_empty(pattern, density, f"{name}: ")
    kept = cut_out(w, pattern).astype(np.float64)
    total = float(np.square(w, dtype=np.float64).sum())
    item = stored.num_bytes // (w.shape[0] * w.shape[1])
    sparse_bytes = pattern.nnz * item + pattern.rows.nbytes + pattern.cols.nbytes + 24  # shape and block size: int64
    plan = _plan(name, w, pattern, stored.dtype, request) if request.only_if_faster else None
    energy = float(np.square(kept).sum()) / total if total else 1.0
    return Pruned(name, pattern, energy, stored.num_bytes, sparse_bytes, plan)


def _plan(name: str, w: np.ndarray, pattern: BlockPattern, dtype: str, request: PruneRequest) -> LayerPlan:
    """Planned in float16 if that is what is stored, else in float32."""
    element = "float16" if dtype == "F16" else "float32"

    def dense_seconds() -> float:
        torch = need("torch", "--target cpu, which times the dense product,")
        layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        layer.weight.data = torch.from_numpy(w.astype(element))
        return dense_layer_seconds(layer, request.n)

    return plan_layer(name, pattern, request.n, element, target=request.target, dense_seconds=dense_seconds)


def _rewritten(stored: Dict[str, StoredTensor], sparse: List[Pruned]) -> Dict[str, StoredTensor]:
    """The tensors of the file to write: five for each pruned matrix, the others as they are."""
    patterns = {one.name: one.pattern for one in sparse}
    tensors = {name: one for name, one in stored.items() if name not in patterns}
    for name, pattern in patterns.items():
        bits = stored[name].to_array()
        for part, array in ours_as_arrays(pattern, cut_out(bits, pattern), name).items():
            if part in tensors:
                raise FormatError(f"the file holds {part} beside {name}: rename one of them")
            tensors[part] = StoredTensor.of(array, stored[name].dtype if part == f"{name}.values" else "")
    return tensors


def _verdict(request: PruneRequest, found: List[Pruned], sparse: List[Pruned], sizes: Tuple[int, int]) -> str:
    if not sparse:
        return f"nothing written: sparse is slower for each of the {len(found)} matrices at n = {request.n}"
    kept = len(found) - len(sparse)
    left = f", {kept} left dense as sparse is slower" if kept else ""
    return (
        f"{len(sparse)} of {len(found)} matrices pruned{left}: {sizes[0]:,} B -> {sizes[1]:,} B "
        f"({sizes[0] / sizes[1]:.2f}x smaller), {request.out}"
    )


def _table(found: List[Pruned]) -> Table:
    planned = any(one.plan for one in found)
    view = new_table("matrices; energy: share of the squares that is kept")
    view.add_column("", overflow="fold")
    for name in ("shape", "blocks", "energy", "bytes", *(("dense takes", "sparse takes") if planned else ())):
        view.add_column(name, justify="right")
    if planned:
        view.add_column("verdict")
    for one in found:
        m, k = one.pattern.shape
        after = "as it was" if one.kept_dense else f"{one.sparse_bytes:,}"
        row = [one.name, f"{m} x {k}", f"{one.pattern.nnz_blocks:,}", f"{one.energy:.3f}", after]
        view.add_row(*row, *(one.plan.cells() if one.plan else []))
    return view
