"""The thread pool: forks, several Python threads, values exchanged while products run."""

import multiprocessing
import os
import sys
import threading

import numpy as np
import pytest

import popsparse_py as ps
from popsparse_py.backends.cpu import CpuBackend

PATTERN = ps.BlockPattern.random((512, 512), density=0.25, block_size=8)


def operands() -> "tuple[ps.BlockSparseMatrix, np.ndarray]":
    rng = np.random.default_rng(0)
    values = rng.standard_normal((PATTERN.nnz_blocks, 8, 8)).astype(np.float32)
    return ps.BlockSparseMatrix(PATTERN, values), rng.standard_normal((512, 200)).astype(np.float32)


def product(threads: int) -> np.ndarray:
    a, x = operands()
    backend = CpuBackend(threads)
    kernel = backend.compile(backend.plan(PATTERN, 200, "float32"))
    kernel.load(a)
    return kernel.multiply(x)


def child(queue: "multiprocessing.Queue[bytes]") -> None:
    queue.put(product(3).tobytes())


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_threads_of_its_own() -> None:
    expected = product(3)  # the parent's helpers stand now; a child has none of them
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=child, args=(queue,))
    worker.start()
    found = queue.get(timeout=60)
    worker.join(timeout=60)
    assert worker.exitcode == 0
    assert found == expected.tobytes()


def test_python_threads_share_the_pool() -> None:
    expected, wrong = product(1), []

    def work(index: int) -> None:
        if not all(np.array_equal(product(2), expected) for _ in range(10)):
            wrong.append(index)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_new_values_arrive_whole_while_products_run() -> None:
    a, x = operands()
    double = ps.BlockSparseMatrix(PATTERN, 2 * np.asarray(a.values))
    backend = CpuBackend(2)
    kernel = backend.compile(backend.plan(PATTERN, 200, "float32"))
    kernel.load(a)
    once = kernel.multiply(x)
    mixed, stop = [], threading.Event()

    def multiply() -> None:
        while not stop.is_set():
            y = kernel.multiply(x)
            if not (np.array_equal(y, once) or np.array_equal(y, 2 * once)):
                mixed.append(1)

    worker = threading.Thread(target=multiply)
    worker.start()
    for i in range(40):
        kernel.load(double if i % 2 else a)
    stop.set()
    worker.join()
    assert mixed == []


def test_set_num_threads_reaches_the_kernel() -> None:
    a, x = operands()
    ps.set_num_threads(1)
    try:
        one = ps.spmm(a, x, target="cpu")
        ps.set_num_threads(3)
        assert np.array_equal(ps.spmm(a, x, target="cpu"), one)
        assert {key[2] for key in a._kernels} == {1, 3}
    finally:
        ps.set_num_threads(0)
