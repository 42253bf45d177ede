"""A pattern that was found unsound: every kernel gives NaN, never numbers that look like a product."""

from typing import List

import numpy as np
import pytest
from cuda.emulated import Emulated
from cuda.operands import case

from popsparse_planner.cuda_plan import plan_cuda
from popsparse_py.backends.cuda_device import DeviceArray
from popsparse_py.backends.cuda_product import CudaProduct, Operands


@pytest.mark.parametrize(
    ("kernel", "machine", "k", "b", "n"),
    [
        ("rows", "Ampere", 160, 32, 24),
        ("blocks", "Hopper", 160, 64, 24),
        ("vectors", "Ampere", 160, 8, 24),
        ("decode", "Hopper", 160, 16, 8),
        ("decode", "Ampere", 6144, 16, 24),  # ranges of k, then their sum
        ("elements", "Ampere", 160, 4, 24),
    ],
)
def test_a_fault_makes_all_of_y_nan(emulated: Emulated, kernel: str, machine: str, k: int, b: int, n: int) -> None:
    dtype = "float32" if kernel == "elements" else "float16"
    made, device = case((40, k), n, b, dtype, density=0.1), emulated.device(machine, 1)
    plan = plan_cuda(made.a.pattern, n, dtype=dtype, machine=device.machine, kernel=kernel)
    product, values, x = CudaProduct(device, plan, made.a.pattern), device.put(made.a.values), device.put(made.x)
    product.set_values(values.pointer)
    kept: List[DeviceArray] = []

    def scratch(num_bytes: int) -> int:
        kept.append(device.empty(num_bytes))
        return kept[-1].pointer

    for fault in (0, 4):
        word, y = device.put(np.array([fault], np.int32)), np.zeros((40, n), made.x.dtype)
        out = device.put(y)
        operands = Operands(x.pointer, n, out.pointer, n, n, activation="relu", fault=word.pointer)
        product.enqueue(operands, 0, scratch)
        device.get(out, y)
        if fault:
            assert np.isnan(y).all()
        else:
            wanted = np.maximum(made.dense @ made.x.astype(np.float64), 0)
            np.testing.assert_allclose(y, wanted, rtol=2.0**-10, atol=1e-4)
