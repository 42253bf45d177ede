"""Products of every kernel on the emulated GPU, through the launcher, against float64."""

import gc
from typing import Tuple

import numpy as np
import pytest
from cuda.emulated import MACHINES, Emulated
from cuda.operands import assert_product, case, exact

from popsparse_planner import BlockPattern
from popsparse_planner.cuda_decode import decode_blocks_cut
from popsparse_planner.cuda_decode_vectors import decode_steps
from popsparse_planner.cuda_plan import kernel_takes_rows, kernels_for, plan_cuda
from popsparse_planner.cuda_tiles import tiles
from popsparse_py import BlockSparseMatrix

pytest.importorskip("torch", reason="torch, for bfloat16, is not installed")


def run(
    emulated: Emulated, machine: str, seed: int, kernel: str, shape: Tuple[int, int], n: int, b: int, dtype: str
) -> None:
    """W x and W^T dy by one kernel, where it takes them; in PyTorch's orientation too if that has its own kernels."""
    backend, made = emulated.backend(machine, seed), case(shape, n, b, dtype, seed=seed)
    taken = [t for t in (False, True) if kernel in kernels_for(b, n, dtype, transposed=t)]
    assert taken
    for transposed in taken:
        w, x, bias = (made.dense.T, made.dy, None) if transposed else (made.dense, made.x, made.bias)
        for by_rows in (False, True)[: 1 + kernel_takes_rows(kernel, b, dtype)]:
            machine_here = backend.device.machine
            asked = {"transposed": transposed, "by_rows": by_rows, "machine": machine_here, "kernel": kernel}
            plan = plan_cuda(made.a.pattern, n, dtype=dtype, **asked)
            ready = backend.compile(plan, transposed=transposed)
            ready.load(made.a)
            if by_rows:
                assert_product(ready.multiply_rows(x.T, bias).T, w, x, dtype, 0.0 if bias is None else bias[:, None])
            else:
                assert_product(ready.multiply(x), w, x, dtype)
            del ready
    gc.collect()
    assert emulated.error == ""


@pytest.mark.parametrize("machine", sorted(MACHINES))
@pytest.mark.parametrize("b", [16, 32, 48])
def test_row_kernels_multiply(emulated: Emulated, machine: str, b: int) -> None:
    run(emulated, machine, b, "rows", (150, 270), 71, b, "bfloat16")


@pytest.mark.parametrize(("kernel", "b"), [("rows", 16), ("rows", 32), ("vectors", 4), ("blocks", 64)])
def test_tiles_of_every_width_and_cluster(emulated: Emulated, kernel: str, b: int) -> None:
    """Each width of tile alone and in clusters of 2 and 4, with all slots and with few, rows mixed and together."""
    (m, k), n = (1000, 900), 70
    made = case((m, k), n, b, "float16", density=0.01 if b == 64 else 0.0004, seed=b)
    backend = emulated.backend("Hopper", b)
    choices = tiles(kernel, b, m, backend.device.machine)
    seen = set()
    for tile in choices:
        key = (tile.columns, tile.cluster, tile.together)
        if key in seen or tile.used == tile.slots > 4:
            continue
        seen.add(key)
        by_rows = kernel_takes_rows(kernel, b, "float16") and tile.together
        machine = backend.device.machine
        plan = plan_cuda(made.a.pattern, n, dtype="float16", machine=machine, kernel=kernel, tile=tile, by_rows=by_rows)
        assert plan.count.slabs_copied < plan.count.slabs  # only those that some warp of the cluster needs
        ready = backend.compile(plan)
        ready.load(made.a)
        y = ready.multiply_rows(made.x.T).T if by_rows else ready.multiply(made.x)
        assert_product(y, made.dense, made.x, "float16")
    assert {cluster for _, cluster, _ in seen} >= {1, 2, 4}


@pytest.mark.parametrize("b", [16, 32])
def test_wide_tiles_in_every_orientation(emulated: Emulated, b: int) -> None:
    made, backend = case((150, 270), 90, b, "bfloat16", seed=b), emulated.backend("Hopper", b)
    for transposed in (False, True):
        w, x = (made.dense.T, made.dy) if transposed else (made.dense, made.x)
        tile = next(tile for tile in tiles("rows", b, w.shape[0], backend.device.machine) if tile.columns == 128)
        for by_rows in (False, True):
            plan = plan_cuda(made.a.pattern, 90, kernel="rows", tile=tile, transposed=transposed, by_rows=by_rows)
            ready = backend.compile(plan, transposed=transposed)
            ready.load(made.a)
            assert_product(ready.multiply_rows(x.T).T if by_rows else ready.multiply(x), w, x, "bfloat16")


@pytest.mark.parametrize(("b", "dtype"), [(64, "bfloat16"), (128, "float16"), (192, "bfloat16")])
def test_warpgroup_kernels_multiply(emulated: Emulated, b: int, dtype: str) -> None:
    run(emulated, "Hopper", b, "blocks", (700, 1100), 71, b, dtype)


@pytest.mark.parametrize("machine", sorted(MACHINES))
@pytest.mark.parametrize("b", [1, 4, 8, 12])
def test_gathered_kernels_multiply(emulated: Emulated, machine: str, b: int) -> None:
    run(emulated, machine, b, "vectors", (90, 270), 70, b, "float16")


@pytest.mark.parametrize("b", [16, 32, 128])
@pytest.mark.parametrize("n", [1, 9, 32])
def test_decode_kernels_multiply(emulated: Emulated, b: int, n: int) -> None:
    run(emulated, "Hopper", n, "decode", (150, 270), n, b, "bfloat16")


@pytest.mark.parametrize(
    ("machine", "b", "n"),
    [("Hopper", 1, 1), ("Ampere", 4, 17), ("Hopper", 8, 9), ("Ampere", 12, 32), ("Blackwell", 1, 20)],
)
def test_decode_kernels_of_packed_values_multiply(emulated: Emulated, machine: str, b: int, n: int) -> None:
    run(emulated, machine, b, "decode_vectors", (150, 270), n, b, "float16")


def test_transposed_blocks_are_packed_for_few_columns(emulated: Emulated) -> None:
    run(emulated, "Hopper", 7, "decode_vectors", (150, 270), 20, 16, "bfloat16")


@pytest.mark.parametrize("b", [1, 3, 4, 8, 16, 32])
def test_float32_is_multiplied_in_float32(emulated: Emulated, b: int) -> None:
    run(emulated, "Ampere", b, "elements", (70, 130), 133, b, "float32")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_single_elements_by_multiply_adds(emulated: Emulated, dtype: str) -> None:
    run(emulated, "Hopper", 1, "elements", (70, 130), 133, 2, dtype)


@pytest.mark.parametrize(("kernel", "b", "n"), [("rows", 16, 64), ("vectors", 8, 64), ("decode", 16, 8)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_both_short_types(emulated: Emulated, kernel: str, b: int, n: int, dtype: str) -> None:
    run(emulated, "Hopper", 5, kernel, (64, 128), n, b, dtype)


def test_long_k_goes_round_the_ring(emulated: Emulated) -> None:
    run(emulated, "Hopper", 3, "rows", (32, 2048), 8, 16, "float16")  # 16 slabs in a ring of 12
    run(emulated, "Ampere", 4, "vectors", (16, 2048), 8, 8, "float16")


def test_decode_cuts_k_where_x_is_too_large(emulated: Emulated) -> None:
    run(emulated, "Ampere", 2, "decode", (32, 6144), 30, 16, "bfloat16")
    assert emulated.launches == 2  # the ranges, then their sum
    run(emulated, "Ampere", 2, "decode_vectors", (32, 6144), 30, 8, "bfloat16")
    assert emulated.launches == 5  # values packed, ranges and their sum; of W's transpose values packed and one range


@pytest.mark.parametrize(
    ("k", "ranges", "b", "n"), [(96, 2, 8, 5), (300, 4, 1, 20), (700, 8, 4, 16), (700, 8, 16, 5), (300, 4, 48, 30)]
)
def test_clusters_add_what_their_ranges_give(emulated: Emulated, k: int, ranges: int, b: int, n: int) -> None:
    made = case((90, k), n, b, "bfloat16", seed=ranges)
    backend = emulated.backend("Hopper", ranges)
    device = backend.device
    device.facts["multiprocessors"] = 16  # the emulator's 4 are too few for clusters of 8
    if b % 16:
        cut = decode_steps(made.a.pattern, n, device.machine, 16).cut
    else:
        cut = decode_blocks_cut(made.a.pattern, n, device.machine, 16)
    assert (cut.ranges, cut.clustered) == (ranges, True)
    kernel = "decode_vectors" if b % 16 else "decode"
    plan = plan_cuda(made.a.pattern, n, machine=device.machine, kernel=kernel)
    ready = backend.compile(plan)
    ready.load(made.a)
    found = exact(ready.multiply(made.x, made.bias))
    assert_product(ready.multiply(made.x), made.dense, made.x, "bfloat16")
    assert np.allclose(found, made.dense @ exact(made.x) + made.bias[:, None], rtol=2.0**-7, atol=1e-2)
    assert emulated.launches == (3 if b % 16 else 2)  # values packed, then one kernel for each product
    assert emulated.error == ""


@pytest.mark.parametrize("kind", ["row_skew", "hot_corner"])
@pytest.mark.parametrize("b", [8, 16])
def test_skewed_patterns(emulated: Emulated, b: int, kind: str) -> None:
    made = case((256, 256), 40, b, "float16", density=0.1, kind=kind)
    backend = emulated.backend("Hopper", 8)
    ready = backend.compile(backend.plan(made.a.pattern, 40, "float16"))
    ready.load(made.a)
    assert_product(ready.multiply(made.x), made.dense, made.x, "float16")


@pytest.mark.parametrize("b", [1, 8, 16, 32])
@pytest.mark.parametrize("blocks", ["none", "one", "all"])
def test_extreme_patterns(emulated: Emulated, b: int, blocks: str) -> None:
    grid = {"none": np.zeros((2, 3), bool), "one": np.arange(6).reshape(2, 3) == 4, "all": np.ones((2, 3), bool)}[
        blocks
    ]
    pattern = BlockPattern.from_mask(grid, block_size=b)
    values = np.random.default_rng(0).standard_normal((pattern.nnz_blocks, b, b)).astype(np.float16)
    a, x = BlockSparseMatrix(pattern, values), np.ones((3 * b, 40), np.float16)
    backend = emulated.backend("Hopper", 6)
    ready = backend.compile(backend.plan(pattern, 40, "float16"))
    ready.load(a)
    assert_product(ready.multiply(x), a.to_dense().astype(np.float64), x, "float16")
    dy = np.ones((2 * b, 40), np.float16)
    assert np.array_equal(backend.sampled(pattern, dy, x), np.full((pattern.nnz_blocks, b, b), 40.0, np.float16))


@pytest.mark.parametrize(("b", "dtype"), [(16, "bfloat16"), (8, "float16"), (4, "float32")])
@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
def test_bias_and_activation(emulated: Emulated, b: int, dtype: str, activation: str) -> None:
    import torch

    made = case((64, 96), 40, b, dtype)
    backend = emulated.backend("Hopper", 9)
    for n in (40, 5):
        ready = backend.compile(backend.plan(made.a.pattern, n, dtype))
        ready.load(made.a)
        y = exact(ready.multiply(made.x[:, :n], made.bias, activation))
        wanted = torch.from_numpy(made.dense @ exact(made.x)[:, :n] + made.bias[:, None])
        apply = {"none": lambda z: z, "relu": torch.relu, "gelu": torch.nn.functional.gelu}[activation]
        np.testing.assert_allclose(y, apply(wanted).numpy(), rtol=2.0**-7, atol=2e-3 if dtype != "float32" else 1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("b", [1, 4, 12, 16, 32])
def test_sampled_product(emulated: Emulated, b: int, dtype: str) -> None:
    (m, k), n = (150, 210), 75
    made = case((m, k), n, b, dtype, density=0.15)
    values = exact(emulated.backend("Hopper", b).sampled(made.a.pattern, made.dy, made.x))
    rows, columns = made.a.pattern.block_grid
    wide = np.zeros((rows * b, columns * b))
    wide[:m, :k] = exact(made.dy) @ exact(made.x).T
    wanted = wide.reshape(rows, b, columns, b).transpose(0, 2, 1, 3)[made.a.pattern.rows, made.a.pattern.cols]
    tolerance = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(values, wanted, rtol=1.01 * tolerance, atol=1e-4)
    assert emulated.error == ""


def test_results_are_repeatable_whatever_the_order_of_threads(emulated: Emulated) -> None:
    for b, n in ((16, 64), (8, 64), (16, 16), (8, 16)):
        made = case((128, 512), n, b, "float16")
        found = []
        for seed in (0, 1, 2):
            backend = emulated.backend("Hopper", seed)
            ready = backend.compile(backend.plan(made.a.pattern, n, "float16"))
            ready.load(made.a)
            found.append(ready.multiply(made.x).tobytes())
        assert len(set(found)) == 1


def test_not_a_number_stays_in_its_column(emulated: Emulated) -> None:
    made = case((32, 64), 24, 16, "float16")
    x = made.x.copy()
    x[3, 7] = np.nan
    backend = emulated.backend("Hopper", 1)
    ready = backend.compile(backend.plan(made.a.pattern, 24, "float16"))
    ready.load(made.a)
    found = np.isnan(ready.multiply(x))
    assert not np.delete(found, 7, axis=1).any()
    assert np.array_equal(found[:, 7].reshape(2, 16).any(axis=1), made.dense[:, :16].reshape(2, -1).any(axis=1))
