"""What is asked for: the product's sizes, its data types, and the options of a search."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from .errors import DTypeError, PlanError, ShapeError
from .ideas import IDEAS

DTYPES = ("float16", "float32")
BLOCK_SIZES = (1, 4, 8, 16)  # those with a codelet on the IPU
_ITEM_BYTES = {"float16": 2, "float32": 4}


def item_bytes(dtype: str) -> int:
    """Bytes of one element of `dtype` ("float16" or "float32"); DTypeError for any other."""
    if dtype not in _ITEM_BYTES:
        raise DTypeError(
            f"dtype {dtype!r} is not supported on an IPU: expected one of {', '.join(DTYPES)}", dtype=dtype
        )
    return _ITEM_BYTES[dtype]


def column_grain(dtype: str) -> int:
    """Columns of X in 8 bytes: 4 for float16, 2 for float32 (vector width of a tile; popsparse-static section 2)."""
    return 8 // item_bytes(dtype)


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or int(value) != value or int(value) < least:
        raise ShapeError(f"{name} must be a whole number of at least {least}, got {value!r}", name=name, value=value)
    return int(value)


@dataclass(frozen=True)
class Problem:
    """Y (m, n) = W (m, k) X (k, n), W in blocks of block_size x block_size; padding to whole blocks is logical.

    dtype: of W, X and Y; partials_dtype: of the unreduced sums in a tile's memory.
    """

    m: int
    k: int
    n: int
    block_size: int
    dtype: str = "float16"
    partials_dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("m", "k", "n"):
            object.__setattr__(self, name, _whole(name, getattr(self, name), 1))
        if self.block_size not in BLOCK_SIZES:
            raise PlanError(
                f"block size {self.block_size} has no codelet on the IPU: expected one of {BLOCK_SIZES}",
                block_size=self.block_size,
            )
        if item_bytes(self.partials_dtype) < item_bytes(self.dtype):
            raise PlanError(
                f"partials_dtype {self.partials_dtype} is narrower than dtype {self.dtype}: use {self.dtype}"
            )

    @property
    def block_grid(self) -> Tuple[int, int]:
        """(mb, kb): block rows and block columns, the last ones padded with zeros where m or k is ragged."""
        b = self.block_size
        return (-(-self.m // b), -(-self.k // b))

    @property
    def n_padded(self) -> int:
        """n rounded up to whole 8-byte grains of the data type."""
        grain = column_grain(self.dtype)
        return -(-self.n // grain) * grain

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        return asdict(self)


@dataclass(frozen=True)
class PlanOptions:
    """Options of a search; the names are those of the published library where it has them.

    available_memory_proportion: share of a tile's bytes that the popsparse strategies let their estimate use.
    meta_info_oversize_proportion: slack of the popsparse dynamic buckets.
    grad_input, grad_weight: passes planned besides the forward one (dynamic).
    max_serial_passes: most passes over n that the balanced strategy may make; None: as many as n has grains.
    seed: of every random choice of a search.
    without: ideas of the balanced static plan to do without, names of IDEAS (ideas.py); an ablation leaves them out.
    """

    available_memory_proportion: float = 0.6
    meta_info_oversize_proportion: float = 0.3
    grad_input: bool = False
    grad_weight: bool = False
    max_serial_passes: Optional[int] = None
    seed: int = 0
    without: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        share = self.available_memory_proportion
        if not 0.0 < share <= 1.0:
            raise PlanError(f"available_memory_proportion must lie in (0, 1], got {share}", value=share)
        if self.meta_info_oversize_proportion < 0.0:
            raise PlanError(
                f"meta_info_oversize_proportion must be at least 0, got {self.meta_info_oversize_proportion}"
            )
        if self.max_serial_passes is not None and self.max_serial_passes < 1:
            raise PlanError(f"max_serial_passes must be at least 1, got {self.max_serial_passes}")
        object.__setattr__(self, "without", tuple(self.without))
        unknown = sorted(set(self.without) - set(IDEAS))
        if unknown:
            raise PlanError(f"without: unknown {', '.join(map(repr, unknown))}; expected some of {', '.join(IDEAS)}")

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        return dict(asdict(self), without=list(self.without))

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> PlanOptions:
        """The options that `to_dict` wrote."""
        return cls(**fields)
