"""The layer whose pattern may change while it is in use."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import torch
from torch import Tensor

from popsparse_planner.errors import PatternError, PlanError, PopsparseError
from popsparse_planner.pattern import BlockPattern

from . import slots
from .arguments import check_pattern, check_room, checked_capacity, checked_features, layer_pattern
from .dense_gradient import DenseGradient, new_probe
from .layer import BlockSparseLinear, pattern_of

INITS = ("zeros", "uniform")


class DynamicSparseLinear(BlockSparseLinear):
    """y = x W^T + bias with a block pattern that `set_pattern` changes in place: no tensor is replaced or resized.

    values: Parameter (capacity, b, b) of which the first nnz (int32 buffer, no dimensions) slots are in use; the others
    are 0 and have gradient 0. A compiled model runs every pattern by the same graph, and the optimizer keeps its
    parameters. density, block_size, pattern: as of StaticSparseLinear, for the first pattern; capacity: most blocks
    that a pattern may have, by default those of the first pattern * (1 + headroom).
    Raises ShapeError, PatternError, DTypeError, CapacityError.
    """

    nnz: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        density: Any = None,
        block_size: Optional[int] = None,
        pattern: Optional[BlockPattern] = None,
        capacity: Optional[int] = None,
        headroom: float = 0.25,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        m, k = checked_features(out_features, "out_features"), checked_features(in_features, "in_features")
        first = layer_pattern(m, k, density, block_size, pattern)
        super().__init__(first, checked_capacity(first, capacity, headroom), bias, device, dtype)
        nnz = torch.tensor(first.nnz_blocks, dtype=torch.int32, device="cpu")
        self.register_buffer("nnz", nnz.to(self.values.device))
        self._probe: Optional[Tensor] = None
        self._reset(first)

    @property
    def capacity(self) -> int:
        """Most blocks that a pattern may have."""
        return len(self.values)

    @property
    def pattern(self) -> BlockPattern:
        """Where the blocks lie now."""
        used = int(self.nnz)
        shape = (self.out_features, self.in_features)
        return pattern_of(self.row[:used], self.col[:used], shape, self.block_size)

    def forward(self, x: Tensor) -> Tensor:
        """As BlockSparseLinear.forward."""
        y = super().forward(x)
        return y if self._probe is None else DenseGradient.apply(y, x, self._probe)

    def set_pattern(self, p: BlockPattern, *, keep: bool = True, init: str = "zeros", optimizer: Any = None) -> None:
        """Make `p` the pattern, in place.

        keep: blocks of both patterns keep their values, gradients and, in `optimizer`, their state (moments,
        momentum); False treats all blocks as new. New blocks get values by init ("zeros", or "uniform" as a new layer)
        and zeros elsewhere. Costs O(capacity * b * b).
        Raises CapacityError (more blocks than capacity), ShapeError, PatternError (another shape or block size),
        PlanError (an optimizer without this layer's values); the old pattern stays in force then.
        """
        check_pattern(p, (self.out_features, self.in_features), self.block_size)
        check_room(p, self.capacity)
        if init not in INITS:
            raise PlanError(f"init {init!r} is unknown: expected one of {', '.join(INITS)}")
        followers = slots.states_of(self.values, optimizer)
        source = slots.sources(self.pattern, p, self.capacity)
        if not keep:
            source[:] = -1
        followers += [self.values] if self.values.grad is None else [self.values, self.values.grad]
        for tensor in followers:
            slots.move(tensor, source)
        with torch.no_grad():
            if init == "uniform":
                new = torch.from_numpy(source < 0).to(self.values.device)
                self.values[new] = self.fresh_values(p, self.capacity)[new]
            for buffer, places in ((self.row, p.rows), (self.col, p.cols)):
                buffer.zero_()[: p.nnz_blocks] = torch.tensor(places)
            self.nnz.fill_(p.nnz_blocks)

    def check_pattern(self) -> None:
        """Raises if the layer's tensors hold no pattern of it; waits for the device that they are on.

        `row`, `col` and `nnz` may be written in place on a GPU, in a CUDA graph too, blocks in any order. Products
        there never wait to look at them: where a pattern is not sound every result and gradient is NaN, until it is
        sound again. CapacityError (nnz beyond the capacity), PatternError (a block outside W, or one twice).
        """
        shape = (self.out_features, self.in_features)
        slots.check_indices(self.row, self.col, int(self.nnz), shape, self.block_size)

    def collect_dense_grad(self, enabled: bool = True) -> None:
        """From now on backward passes also sum up the gradient of a dense W; False stops that and frees it."""
        shape = (self.out_features, self.in_features)
        self._probe = new_probe(shape, self.values) if enabled else None

    def dense_grad(self) -> Tensor:
        """(m, k) float32, of a float64 layer float64: dL/dW of a dense W, summed since `collect_dense_grad()`.

        PlanError if it is not being collected, or no backward pass has come through since.
        """
        if self._probe is None or self._probe.grad is None:
            reason = "is not being collected" if self._probe is None else "has seen no backward pass yet"
            raise PlanError(
                f"the dense gradient {reason}: call collect_dense_grad(), then run forward and backward, then ask"
            )
        return self._probe.grad

    def extra_repr(self) -> str:
        """Sizes, density, block size, target and capacity."""
        return f"{super().extra_repr()}, capacity={self.capacity}"

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *rest: Any) -> None:
        errors: List[str] = rest[-1]
        names = ("values", "row", "col", "nnz")
        if all(f"{prefix}{name}" in state_dict for name in names):
            try:
                fitting = self._fitted(*(state_dict[f"{prefix}{name}"] for name in names))
            except PopsparseError as error:
                errors.append(f"{prefix[:-1] or type(self).__name__}: the state dict does not fit: {error}")
                return
            state_dict = {**state_dict, **{f"{prefix}{name}": tensor for name, tensor in zip(names[:3], fitting)}}
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _fitted(self, values: Tensor, row: Tensor, col: Tensor, nnz: Tensor) -> List[Tensor]:
        """values, row, col of a saved pattern in the slots of this layer; PatternError, CapacityError."""
        used, b = int(nnz), self.block_size
        if values.dim() != 3 or tuple(values.shape[1:]) != (b, b) or not 0 <= used <= len(values):
            raise PatternError(f"values have shape {tuple(values.shape)}, nnz is {used}: expected blocks of {b} x {b}")
        check_room(pattern_of(row[:used], col[:used], (self.out_features, self.in_features), b), self.capacity)
        if len(values) == self.capacity:
            return [values, row, col]
        tensors = []
        for tensor in (values, row, col):
            fitted = tensor.new_zeros((self.capacity, *tensor.shape[1:]))
            fitted[:used] = tensor[:used]
            tensors.append(fitted)
        return tensors
