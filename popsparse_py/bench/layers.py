"""Time of one call of a small sparse layer beside that of nn.Linear, and of one new pattern."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, NamedTuple

import torch

from popsparse_planner import BlockPattern

from ..nn import DynamicSparseLinear, StaticSparseLinear

DENSITY, BLOCK_SIZE = 1 / 16, 16
BATCHES = (1, 16, 64)
PATTERN_SIDES = (512, 1024, 2048)  # each has four times the blocks of the one before
_ROUNDS, _REPEATS = 15, 200


class Call(NamedTuple):
    """Least CPU seconds of one call of each layer, on one thread; what: forward alone, recorded, with backward."""

    what: str
    batch: int
    dense_seconds: float
    static_seconds: float
    dynamic_seconds: float


class NewPattern(NamedTuple):
    """Least CPU seconds of set_pattern on a square layer with Adam's state, and of the first product after it."""

    side: int
    blocks: int
    set_seconds: float
    product_seconds: float


def calls(side: int) -> List[Call]:
    """Layers side x side, density 1/16, blocks of 16; in turns in one process."""
    torch.set_num_threads(1)
    shape = (side, side)
    options: Dict[str, Any] = {"density": DENSITY, "block_size": BLOCK_SIZE}
    layers = (torch.nn.Linear(*shape), StaticSparseLinear(*shape, **options), DynamicSparseLinear(*shape, **options))
    found = []
    for what, wrap in _CALLS.items():
        for batch in BATCHES:
            x = torch.randn(batch, side, requires_grad=what == "backward")
            found.append(Call(what, batch, *_in_turns([wrap(layer, x) for layer in layers], _REPEATS)))
    return found


def new_patterns() -> List[NewPattern]:
    """What a dynamic layer's new pattern costs, by size."""
    torch.set_num_threads(1)
    return [_new_pattern(side) for side in PATTERN_SIDES]


def _new_pattern(side: int) -> NewPattern:
    patterns = [BlockPattern.random((side, side), density=DENSITY, block_size=BLOCK_SIZE, seed=s) for s in (0, 1)]
    layer = DynamicSparseLinear(side, side, pattern=patterns[0])
    optimizer, x = torch.optim.Adam(layer.parameters()), torch.randn(16, side)
    layer(x).sum().backward()
    optimizer.step()
    sets, products = [], []
    for turn in range(_ROUNDS):
        start = time.thread_time()
        layer.set_pattern(patterns[(turn + 1) % 2], optimizer=optimizer)
        middle = time.thread_time()
        layer(x)
        sets.append(middle - start)
        products.append(time.thread_time() - middle)
    return NewPattern(side, patterns[0].nnz_blocks, min(sets), min(products))


def _forward(layer: Any, x: Any) -> Callable[[], Any]:
    def call() -> Any:
        with torch.no_grad():
            return layer(x)

    return call


def _recorded(layer: Any, x: Any) -> Callable[[], Any]:
    return lambda: layer(x)


def _backward(layer: Any, x: Any) -> Callable[[], Any]:
    dy = torch.randn_like(layer(x))
    return lambda: layer(x).backward(dy)


_CALLS: Dict[str, Callable[[Any, Any], Callable[[], Any]]] = {
    "forward": _forward,
    "recorded": _recorded,
    "backward": _backward,
}


def _in_turns(candidates: List[Callable[[], Any]], repeats: int) -> List[float]:
    least = [float("inf")] * len(candidates)
    for call in candidates:
        call()
    for _ in range(_ROUNDS):
        for i, call in enumerate(candidates):
            start = time.thread_time()
            for _ in range(repeats):
                call()
            least[i] = min(least[i], (time.thread_time() - start) / repeats)
    return least
