"""popsparse::linear, ::linear_transposed, ::sampled: products, gradients, and what torch asks of an operator."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

import popsparse_py as ps

torch = pytest.importorskip("torch", reason="torch is not installed")

from nn.masked import assert_near, blocks_of, dense, parts  # noqa: E402

from popsparse_py.torch_ops import linear, operators  # noqa: E402
from popsparse_py.torch_ops.batching import by_rows  # noqa: E402

SHAPES = [(16, (70, 90)), (8, (64, 24)), (4, (18, 35)), (1, (7, 9)), (5, (11, 26))]
DTYPES = ["float32", "float16", "bfloat16", "float64"]


def inputs(b: int, shape: Any, dtype: Any, n: int = 6) -> Any:
    torch.manual_seed(b)
    pattern = ps.BlockPattern.random(shape, density=0.4, block_size=b, seed=1)
    values, row, col, nnz = parts(pattern, dtype, pattern.nnz_blocks + 2)
    x = torch.randn(n, shape[1], dtype=torch.float64).to(dtype)
    bias = torch.randn(shape[0], dtype=torch.float64).to(dtype)
    return pattern, x, values, bias, (row, col, nnz)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize(("b", "shape"), SHAPES)
@pytest.mark.parametrize("watched", [False, True], ids=["eager", "operator"])
def test_product_and_gradients_match_a_masked_dense_weight(b: int, shape: Any, name: str, watched: bool) -> None:
    pattern, x, values, bias, places = inputs(b, shape, getattr(torch, name))
    leaves = [tensor.requires_grad_() for tensor in (x, values, bias)]
    y = (
        operators.linear.operator(x, values, bias, *places, shape[0])
        if watched
        else linear(x, values, bias, *places, shape)
    )
    exact = torch.nn.functional.linear(x.double(), dense(pattern, values), bias.double())
    assert_near(y, exact)
    dy = torch.randn_like(y)
    found = torch.autograd.grad(y, leaves, dy)
    expected = torch.autograd.grad(exact, leaves, dy.double())
    for gradient, wanted in zip(found, expected):
        assert_near(gradient, wanted, scale=2)
    assert not found[1][pattern.nnz_blocks :].any()
    assert_near(found[1][: pattern.nnz_blocks], blocks_of(pattern, dy.double().T @ x.detach().double()), scale=2)


@pytest.mark.parametrize("pattern", [
    ps.BlockPattern.from_indices([], [], shape=(20, 12), block_size=4),
    ps.BlockPattern.from_indices([2], [1], shape=(20, 12), block_size=4),
    ps.BlockPattern.random((20, 12), density=1, block_size=4),
    ps.BlockPattern.from_indices([1, 1, 1], [0, 1, 2], shape=(20, 12), block_size=4),
], ids=["empty", "one block", "full", "one row"])  # fmt: skip
@pytest.mark.parametrize("n", [0, 1, 17])
def test_extreme_patterns_and_batches(pattern: Any, n: int) -> None:
    torch.manual_seed(0)
    values, row, col, nnz = parts(pattern, torch.float32, pattern.nnz_blocks + 1)
    x = torch.randn(n, 12, requires_grad=True)
    values.requires_grad_()
    y = linear(x, values, None, row, col, nnz, pattern.shape)
    exact = x.double() @ dense(pattern, values).T
    assert_near(y, exact)
    for gradient, wanted in zip(
        torch.autograd.grad(y.sum(), (x, values)), torch.autograd.grad(exact.sum(), (x, values))
    ):
        assert_near(gradient, wanted, scale=4)


@pytest.mark.parametrize("b", [1, 4])
def test_gradcheck_in_float64(b: int) -> None:
    _, x, values, bias, places = inputs(b, (6, 9), torch.float64, n=3)
    leaves = tuple(tensor.requires_grad_() for tensor in (x, values, bias))

    def function(*tensors: Any) -> Any:
        return linear(*tensors, *places, (6, 9))

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@pytest.mark.filterwarnings("ignore:Input #:UserWarning")  # gradcheck's advice to use float64
def test_gradcheck_of_the_float32_kernels() -> None:
    _, x, values, bias, places = inputs(4, (8, 12), torch.float32, n=3)
    leaves = tuple(tensor.requires_grad_() for tensor in (x, values, bias))
    # Products are linear in each argument, so a step as large as 0.5 has no truncation error, only float32 rounding.
    assert torch.autograd.gradcheck(
        lambda *tensors: linear(*tensors, *places, (8, 12)), leaves, eps=0.5, atol=2e-5, rtol=2e-5, nondet_tol=0.0
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own tracing
def test_opcheck() -> None:
    _, x, values, bias, places = inputs(4, (8, 12), torch.float32)
    leaves = [tensor.requires_grad_() for tensor in (x, values, bias)]
    dy = torch.randn(6, 8, requires_grad=True)
    for product, arguments in (
        (operators.linear, (*leaves, *places, 8)),
        (operators.linear_transposed, (dy, values, *places, 12)),
        (operators.sampled, (dy, x, *places, 4)),
    ):
        assert set(torch.library.opcheck(product.operator, arguments).values()) == {"SUCCESS"}


def test_vmap_over_samples_and_over_weights() -> None:
    pattern, _, values, bias, places = inputs(4, (8, 12), torch.float32)
    x = torch.randn(5, 12, 3)
    w = dense(pattern, values)

    def product(sample: Any, weight: Any) -> Any:
        return linear(sample, weight, bias, *places, (8, 12))

    y = torch.vmap(product, in_dims=(2, None))(x, values)
    assert_near(y, torch.einsum("nks,mk->snm", x.double(), w) + bias.double())
    several = torch.stack([values, 2 * values, -values])
    y = torch.vmap(product, in_dims=(2, 0))(x, several)
    scaled = torch.stack([w, 2 * w, -w])
    assert_near(y, torch.einsum("nks,smk->snm", x.double(), scaled) + bias.double())


def test_per_sample_gradients() -> None:
    pattern, x, values, _, places = inputs(4, (8, 12), torch.float32)

    def loss(weight: Any, sample: Any) -> Any:
        return linear(sample[None], weight, None, *places, (8, 12)).square().sum()

    found = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(values, x)
    for one, sample in zip(found, x):
        y = linear(sample[None], values, None, *places, (8, 12))
        assert_near(one[: pattern.nnz_blocks], blocks_of(pattern, 2 * y.double().T @ sample[None].double()), scale=2)


def test_autocast_converts_like_a_dense_layer() -> None:
    _, x, values, bias, places = inputs(4, (8, 12), torch.float32)
    values.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = linear(x, values, bias, *places, (8, 12))
        assert y.dtype == torch.nn.functional.linear(x, torch.randn(8, 12), bias).dtype == torch.bfloat16
        assert linear(x.bfloat16(), values, bias, *places, (8, 12)).dtype == torch.bfloat16
    y.sum().backward()
    assert values.grad.dtype == torch.float32
    assert values.grad.any()
    with torch.autocast("cpu", torch.bfloat16):  # which leaves float64 alone
        assert linear(x.double(), values.double(), bias.double(), *places, (8, 12)).dtype == torch.float64
        with pytest.raises(ps.DTypeError, match=r"x has dtype torch.int64"):
            linear(x.long(), values, bias, *places, (8, 12))


def test_changed_values_and_patterns_are_seen() -> None:
    pattern, x, values, _, (row, col, nnz) = inputs(4, (8, 12), torch.float32)

    def product() -> Any:
        return linear(x, values, None, row, col, nnz, (8, 12))

    before = product()
    values.mul_(2)  # constant values are packed once, and again when torch says that they changed
    assert torch.equal(product(), 2 * before)
    values.requires_grad_()
    product()
    values.data.mul_(2)  # past torch's counter, as some optimizers write
    assert torch.equal(product(), 4 * before)
    with torch.no_grad():
        values.data.mul_(0.5)
        assert torch.equal(product(), 2 * before)
    values.requires_grad_(False)
    assert torch.equal(product(), 2 * before)
    for _ in range(2):
        values.data.mul_(2)  # of constant values too, as averages of models are written
    assert torch.equal(product(), 8 * before)
    nnz.fill_(1)
    one = ps.BlockPattern.from_indices(row[:1].tolist(), col[:1].tolist(), shape=pattern.shape, block_size=4)
    assert_near(product(), x.double() @ dense(one, values).T)


def test_values_trained_in_between_are_seen_when_they_are_frozen_again() -> None:
    _, x, values, _, places = inputs(4, (8, 12), torch.float32)
    linear(x, values, None, *places, (8, 12))
    values.requires_grad_()
    linear(x, values, None, *places, (8, 12))
    values.data[2:] = 3.0  # no counter tells of it, nor do the first values
    values.requires_grad_(False)
    frozen, fresh = (linear(x, one, None, *places, (8, 12)) for one in (values, values.clone()))
    assert torch.equal(frozen, fresh)


def test_a_new_tensor_at_an_old_address_is_not_taken_for_it() -> None:
    _, x, values, _, places = inputs(4, (8, 12), torch.float32)
    results = [linear(x, values * factor, None, *places, (8, 12)) for factor in (1.0, 2.0, 4.0)]  # freed at once
    assert torch.equal(results[1], 2 * results[0])
    assert torch.equal(results[2], 4 * results[0])


def test_a_pattern_is_read_once() -> None:
    from popsparse_py.torch_ops.kept import kept_pattern

    _, x, values, _, (row, col, nnz) = inputs(4, (8, 12), torch.float32)
    values.requires_grad_()
    linear(x, values, None, row, col, nnz, (8, 12)).sum().backward()
    kept = kept_pattern(row, col, nnz, (8, 12), 4)
    linear(x, values, None, row, col, nnz, (8, 12)).sum().backward()
    assert kept_pattern(row, col, nnz, (8, 12), 4) is kept
    col.copy_(col.clone())  # the same numbers written again, as DistributedDataParallel does with buffers
    assert kept_pattern(row, col, nnz, (8, 12), 4) is kept


def test_what_is_kept_goes_with_the_index_tensors() -> None:
    from popsparse_py.torch_ops import kept

    _, x, values, _, (row, col, nnz) = inputs(4, (8, 12), torch.float32)
    linear(x, values, None, row, col, nnz, (8, 12))
    key = id(col)
    assert kept._entries[key].col() is col
    del col
    assert key not in kept._entries


@pytest.mark.parametrize("constant", [False, True])
def test_threads_share_a_pattern(constant: bool) -> None:
    _, x, values, _, places = inputs(4, (70, 90), torch.float32, n=40)
    several = [(values * scale).requires_grad_(not constant) for scale in (1, 2, 4, 8)]
    expected = linear(x, values, None, *places, (70, 90))

    def work(which: int) -> bool:
        products = (linear(x, several[which], None, *places, (70, 90)) for _ in range(60))
        return all(torch.equal(y, 2**which * expected) for y in products)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, [0, 1, 2, 3, 3, 0]))


def test_views_that_torch_negates_when_it_reads_them() -> None:
    _, x, values, bias, places = inputs(4, (8, 12), torch.float32)
    expected = linear(-x, -values, -bias, *places, (8, 12))
    negated = [torch.complex(t * 0, t).conj().imag for t in (x, values, bias)]
    assert all(t.is_neg() for t in negated)
    assert torch.equal(linear(*negated, *places, (8, 12)), expected)


def test_bad_input_is_refused() -> None:
    _, x, values, bias, (row, col, nnz) = inputs(4, (8, 12), torch.float32)
    for x_bad, error, message in (
        (x[:, :11], ps.ShapeError, r"expected \(..., 12\)"),
        (x.half(), ps.DTypeError, "x has dtype torch.float16, the layer torch.float32"),
        (x.to("meta"), ps.TargetUnavailableError, "x is on meta, the layer on cpu"),
    ):
        with pytest.raises(error, match=message):
            linear(x_bad, values, bias, row, col, nnz, (8, 12))
    for row_bad, message in (
        (row.flip(0), "lies outside the 2 x 3 blocks"),
        (row[:3], "expected row and col of one length"),
    ):
        with pytest.raises(ps.PatternError, match=message):
            linear(x, values, bias, row_bad, col, nnz, (8, 12))
    with pytest.raises(ps.ShapeError, match="a block for each slot"):
        operators.linear(x, values[:, :, :2].contiguous(), bias, row, col, nnz, 8)
    with pytest.raises(ps.ShapeError, match=r"bias has shape \(7,\): expected \(8,\)"):
        linear(x, values, bias[:7], row, col, nnz, (8, 12))
    with pytest.raises(ps.TargetUnavailableError, match="x is on cpu, values on cpu, bias on meta: move all to one"):
        linear(x, values, bias.to("meta"), row, col, nnz, (8, 12))
    with pytest.raises(ps.ShapeError, match=r"x has shape \(12,\): expected a row for each sample"):
        operators.linear(x[0], values, None, row, col, nnz, 8)
    with pytest.raises(ps.DTypeError, match=r"values torch.int32: expected one of torch.bfloat16"):
        operators.linear(x.int(), values.int(), None, row, col, nnz, 8)
    with pytest.raises(ps.DTypeError, match=r"dy has dtype torch.float64 and x torch.float32: expected one of"):
        operators.sampled(x[:, :8].double(), x, row, col, nnz, 4)


def test_other_devices_get_their_own_kernels() -> None:
    from popsparse_py.torch_ops import functional
    from popsparse_py.torch_ops.product import Product

    elsewhere = SimpleNamespace(device=torch.device("xpu:1"), dtype=torch.float32)
    with pytest.raises(
        ps.TargetUnavailableError, match="no kernels for tensors on xpu:1: expected cpu or cuda or meta"
    ):
        functional._check(elsewhere, elsewhere)
    double = Product(
        "double_for_test", "Tensor x", lambda x: 2 * x, torch.empty_like, lambda *_: None, lambda _, dy: 2 * dy, by_rows
    )
    double.register("xpu", lambda x: x + x)
    assert double.devices == {"cpu", "meta", "xpu"}
    assert torch._C._dispatch_has_kernel_for_dispatch_key("popsparse::double_for_test", "XPU")
    x = torch.ones(3, 2, requires_grad=True)
    double(x).sum().backward()
    assert torch.equal(x.grad, torch.full((3, 2), 2.0))
