"""The layer whose pattern is fixed when it is built."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Dict, List, Optional

from popsparse_planner.errors import PatternError
from popsparse_planner.pattern import BlockPattern

from .arguments import checked_features, layer_pattern
from .layer import BlockSparseLinear, pattern_of


class StaticSparseLinear(BlockSparseLinear):
    """y = x W^T + bias with a fixed block pattern; every slot of values holds a block of it.

    density: of uniform random blocks, 1/16 by default; block_size: 16 by default; pattern: instead of both.
    Raises ShapeError, PatternError, DTypeError.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        density: Any = None,
        block_size: Optional[int] = None,
        pattern: Optional[BlockPattern] = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        m, k = checked_features(out_features, "out_features"), checked_features(in_features, "in_features")
        fixed = layer_pattern(m, k, density, block_size, pattern)
        super().__init__(fixed, fixed.nnz_blocks, bias, device, dtype)
        self._pattern = fixed
        self._reset(fixed)

    @property
    def pattern(self) -> BlockPattern:
        """Where the blocks lie: what the buffers say, which DistributedDataParallel takes from rank 0.

        Buffers without content (device meta, `to_empty`) say nothing: then the pattern that the layer was built with.
        """
        if not self.row.is_meta:
            with suppress(PatternError):
                self._pattern = pattern_of(self.row, self.col, self._pattern.shape, self.block_size)
        return self._pattern

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *rest: Any) -> None:
        errors: List[str] = rest[-1]
        row, col, values = (state_dict.get(f"{prefix}{name}") for name in ("row", "col", "values"))
        if row is not None and col is not None:
            problem = self._difference(row, col, values)
            if problem:
                errors.append(f"{prefix[:-1] or type(self).__name__}: {problem}")
                return
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _difference(self, row: Any, col: Any, values: Any) -> str:
        """What is wrong with blocks at row, col for this layer, "" if they are its pattern."""
        mine, b = self.pattern, self.block_size
        if values is not None and tuple(values.shape[1:]) != (b, b):
            return f"the state dict has values of shape {tuple(values.shape)}, this layer blocks of {b} x {b}"
        try:
            theirs = pattern_of(row, col, mine.shape, b)
        except PatternError as error:
            return f"the state dict's row and col are no pattern of {mine.shape} in blocks of {b}: {error}"
        if theirs == mine:
            return ""
        return (
            f"the state dict has another pattern: {theirs.nnz_blocks} blocks, {(theirs & mine).nnz_blocks} of them "
            f"among the {mine.nnz_blocks} of this layer, and a static layer keeps its own. Build it with "
            f"pattern=BlockPattern({mine.shape}, {b}, row, col), or load into a DynamicSparseLinear"
        )
