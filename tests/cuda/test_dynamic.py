"""Products with patterns encoded on the emulated GPU: what was started once may be started again, as a graph does."""

from typing import Any, List, NamedTuple

import numpy as np
import pytest
from cuda.emulated import Emulated
from cuda.encoding import Memory, indices
from cuda.operands import assert_product, case

from popsparse_planner.cuda_dynamic import Frame
from popsparse_planner.cuda_dynamic_plan import plan_cuda_dynamic
from popsparse_planner.cuda_dynamic_sampled import cell_sizes
from popsparse_py.backends.cuda_dynamic import CudaDynamicProduct
from popsparse_py.backends.cuda_dynamic_sampled import CudaDynamicSampler
from popsparse_py.backends.cuda_product import Operands


class Recorder:
    """The native device, and every launch that it was asked for."""

    def __init__(self, native: Any) -> None:
        self._native = native
        self.launches: List[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def launch(self, *inputs: Any) -> None:
        """Start a kernel and remember it."""
        self.launches.append(inputs)
        self._native.launch(*inputs)

    def replay(self) -> None:
        """Start the same again."""
        for inputs in self.launches:
            self._native.launch(*inputs)


class Problem(NamedTuple):
    kernel: str
    machine: str
    b: int
    n: int
    dtype: str = "float16"
    transposed: bool = False


PROBLEMS = [
    Problem("rows", "Hopper", 16, 24),
    Problem("rows", "Ampere", 32, 24, transposed=True),
    Problem("blocks", "Hopper", 64, 24, transposed=True),
    Problem("vectors", "Hopper", 4, 24),
    Problem("vectors", "Blackwell", 1, 24, transposed=True),
    Problem("vectors", "Ampere", 12, 24, transposed=True),
    Problem("decode", "Hopper", 16, 8),
    Problem("elements", "Ampere", 4, 24, "float32", transposed=True),
    Problem("elements", "Ampere", 1, 24),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: f"{one.kernel}{one.b}")
def test_replays_follow_what_lies_there(emulated: Emulated, problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, machine, b, n, dtype, transposed = problem
    device, shape, slots = emulated.device(machine, seed=b), (150, 330), 1 + (-(-150 // b) * -(-330 // b)) // 3
    plan = plan_cuda_dynamic(
        shape, b, slots, n, dtype=dtype, transposed=transposed, machine=device.machine, kernel=kernel
    )
    memory, recorder = Memory(device), Recorder(device.native)
    product = CudaDynamicProduct(device, plan, memory)
    m, k = plan.product.shape
    row, col, nnz = (memory(4 * count) for count in (slots, slots, 1))
    size = np.dtype(dtype).itemsize
    values, x, y = memory(size * slots * b * b), memory(size * k * n), memory(size * m * n)

    def fill(seed: int, density: float) -> Any:
        made = case(shape, n, b, dtype, density=density, seed=seed)
        order = np.random.default_rng(seed).permutation(made.a.pattern.nnz_blocks)
        for pointer, array in zip((row, col, nnz), indices(made.a.pattern, slots, order)):
            memory.write(pointer, array)
        stored = np.full((slots, b, b), np.nan, dtype)  # in slots that do not count
        stored[: len(order)] = made.a.values[order]
        memory.write(values, stored)
        memory.write(x, made.dy if transposed else made.x)
        return made

    def check(made: Any) -> None:
        found = memory.get(y, np.zeros((m, n), dtype))
        w, right = (made.dense.T, made.dy) if transposed else (made.dense, made.x)
        assert_product(found, w, right, dtype)

    made = fill(1, 0.2)
    monkeypatch.setattr(device, "native", recorder)
    product.encode((row, col, nnz), 0)
    product.set_values(values)
    product.enqueue(Operands(x, n, y, n, n, fault=product.fault), 0, memory)
    check(made)
    for seed, density in ((2, 0.3), (3, 0.02)):
        made = fill(seed, density)
        recorder.replay()
        check(made)
    memory.write(nnz, np.array([slots + 1], np.int32))
    recorder.replay()
    assert np.isnan(memory.get(y, np.zeros((m, n), dtype))).all()
    assert emulated.error == ""


@pytest.mark.parametrize(("b", "dtype"), [(16, "float16"), (32, "float32"), (4, "float16"), (12, "float32")])
def test_replays_sample_at_what_lies_there(emulated: Emulated, b: int, dtype: str) -> None:
    device, (m, k), n, slots = emulated.device("Hopper", seed=b), (200, 330), 40, 1 + -(-200 // b) * -(-330 // b) // 3
    memory, recorder, size = Memory(device), Recorder(device.native), np.dtype(dtype).itemsize
    sampler = CudaDynamicSampler(device, cell_sizes(Frame((m, k), b, slots), dtype, 50000), dtype, memory)
    row, col, nnz = (memory(4 * count) for count in (slots, slots, 1))
    dy, x, values = memory(size * m * n), memory(size * k * n), memory(size * slots * b * b)
    empty = np.zeros((slots, b, b), dtype)

    def check(seed: int, density: float) -> None:
        made = case((m, k), n, b, dtype, density=density, seed=seed)
        order = np.random.default_rng(seed).permutation(made.a.pattern.nnz_blocks)
        arrays = [*indices(made.a.pattern, slots, order), made.dy, made.x, empty]
        for pointer, array in zip((row, col, nnz, dy, x, values), arrays):
            memory.write(pointer, array)
        if recorder.launches:
            recorder.replay()
        else:
            device.native = recorder
            sampler.encode((row, col, nnz), 0)
            sampler.enqueue((dy, n), (x, n), n, values, 0)
        whole = np.zeros([-(-side // b) * b for side in (m, k)])
        whole[:m, :k] = made.dy.astype(float) @ made.x.astype(float).T
        wanted = whole.reshape(-(-m // b), b, -1, b).transpose(0, 2, 1, 3)[made.a.pattern.rows, made.a.pattern.cols]
        found = memory.get(values, empty)
        np.testing.assert_allclose(found[: len(order)], wanted[order], rtol=2.0**-10, atol=1e-4)
        assert not found[len(order) :].any()

    for seed, density in ((1, 0.2), (2, 0.33), (3, 0.01)):
        check(seed, density)
    memory.write(nnz, np.array([slots + 1], np.int32))
    memory.write(values, empty)
    recorder.replay()
    assert not memory.get(values, empty).any()
    assert emulated.error == ""


def test_results_are_repeatable_whatever_the_order_of_blocks(emulated: Emulated) -> None:
    for b in (16, 4):
        made = case((96, 400), 24, b, "float16", density=0.2)
        found = set()
        for seed in (0, 1, 2):
            device = emulated.device("Hopper", seed=seed)
            memory, slots = Memory(device), made.a.pattern.nnz_blocks
            kernel = "rows" if b == 16 else "vectors"
            plan = plan_cuda_dynamic((96, 400), b, slots, 24, dtype="float16", machine=device.machine, kernel=kernel)
            product = CudaDynamicProduct(device, plan, memory)
            order = np.random.default_rng(seed).permutation(slots)
            places = [memory.put(array) for array in indices(made.a.pattern, slots, order)]
            product.encode((places[0], places[1], places[2]), 0)
            product.set_values(memory.put(made.a.values[order]))
            y = memory(2 * 96 * 24)
            product.enqueue(Operands(memory.put(made.x), 24, y, 24, 24, fault=product.fault), 0, memory)
            found.add(memory.get(y, np.zeros((96, 24), np.float16)).tobytes())
        assert len(found) == 1
