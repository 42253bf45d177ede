"""What one call of a CUDA kernel works on, by address."""

from __future__ import annotations

from typing import Callable, Tuple

from popsparse_planner.errors import PlanError

ACTIVATIONS = ("none", "relu", "gelu")
Scratch = Callable[[int], int]  # address of so many bytes, which live until the stream has used them


class Operands:
    """Addresses of one call. x (k, n), y (m, n): pitches in elements, x's a multiple of 16 bytes; bias, and fault, an
    int32 that is not 0 where y has to be NaN, may be 0: none.
    """

    def __init__(
        self,
        x: int,
        x_pitch: int,
        y: int,
        y_pitch: int,
        n: int,
        bias: int = 0,
        activation: str = "none",
        fault: int = 0,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise PlanError(f"activation {activation!r} is unknown: expected one of {', '.join(ACTIVATIONS)}")
        self.x, self.x_pitch, self.y, self.y_pitch, self.n = x, x_pitch, y, y_pitch, n
        self.bias, self.activation, self.fault = bias, ACTIVATIONS.index(activation), fault

    def product(self, values: int, shape: Tuple[int, int]) -> Tuple[int, ...]:
        """What every kernel's arguments begin with, for W or W's transpose of this shape."""
        return (
            *(self.x, values, self.y, self.bias, self.x_pitch, self.y_pitch),
            *(*shape, self.n, self.activation, self.fault),
        )
