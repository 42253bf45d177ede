"""Whole models: gradients through three layers against masked dense ones, and the memory of training."""

from typing import Any, Tuple

import pytest

import popsparse_py as ps

torch = pytest.importorskip("torch", reason="torch is not installed")

from nn.masked import EPS, blocks_of, dense  # noqa: E402

from popsparse_py.torch_ops.kept import kept_pattern  # noqa: E402

SIZES = (40, 52, 36, 20)


def three_layers(b: int, dtype: Any) -> Any:
    torch.manual_seed(b)
    types = (ps.StaticSparseLinear, ps.DynamicSparseLinear, ps.StaticSparseLinear)
    return torch.nn.ModuleList(
        layer(k, m, density=0.4, block_size=b, dtype=dtype) for layer, k, m in zip(types, SIZES, SIZES[1:])
    )


@pytest.mark.parametrize("b", [1, 4, 8, 16])
@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "float64"])
def test_gradients_match_masked_dense_layers(b: int, name: str) -> None:
    dtype = getattr(torch, name)
    layers, x = three_layers(b, dtype), torch.randn(2, 5, SIZES[0], dtype=dtype, requires_grad=True)
    patterns = [layer.pattern for layer in layers]
    weights = [dense(p, layer.values.detach()).requires_grad_() for p, layer in zip(patterns, layers)]
    biases = [layer.bias.detach().double().requires_grad_() for layer in layers]
    y, exact = x, x.detach().double().requires_grad_()
    first = exact
    for layer, weight, bias in zip(layers, weights, biases):
        y, exact = torch.tanh(layer(y)), torch.tanh(torch.nn.functional.linear(exact, weight, bias))
    y.sum().backward()
    exact.sum().backward()
    pairs = [(x.grad, first.grad), (y, exact)]
    for pattern, layer, weight, bias in zip(patterns, layers, weights, biases):
        pairs += [
            (layer.values.grad[: pattern.nnz_blocks], blocks_of(pattern, weight.grad)),
            (layer.bias.grad, bias.grad),
        ]
    for found, wanted in pairs:
        worst = float((found.detach().double() - wanted.detach()).abs().max())
        assert worst <= 8 * EPS[dtype] * float(wanted.detach().abs().max())


def training_bytes(layer: Any, optimizer_type: Any) -> Tuple[int, int]:
    """Bytes after two steps: of parameters, buffers, gradients and optimizer state; of matrices packed for kernels."""
    optimizer = optimizer_type(layer.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        layer(torch.randn(4, 512)).square().mean().backward()
        optimizer.step()
    tensors = [*layer.parameters(), *layer.buffers(), *(p.grad for p in layer.parameters())]
    tensors += [t for state in optimizer.state.values() for t in state.values() if isinstance(t, torch.Tensor)]
    packed = 0
    if not isinstance(layer, torch.nn.Linear):
        places = (layer.row, layer.col, dict(layer.named_buffers()).get("nnz"))
        packed = kept_pattern(*places, layer.pattern.shape, layer.block_size).packed_bytes
        assert packed > 0
    return sum(t.untyped_storage().nbytes() for t in tensors), packed


@pytest.mark.parametrize("layer_type", [ps.StaticSparseLinear, ps.DynamicSparseLinear])
@pytest.mark.parametrize("b", [1, 4, 16])
def test_memory_of_training_at_a_sixteenth(layer_type: Any, b: int) -> None:
    whole, _ = training_bytes(torch.nn.Linear(512, 768), torch.optim.AdamW)
    sparse, packed = training_bytes(layer_type(512, 768, density=1 / 16, block_size=b), torch.optim.AdamW)
    assert whole >= 4 * 4 * 512 * 768
    assert sparse <= whole / 8
    if b > 1:  # single elements have indices as large as their values
        assert sparse + packed <= whole / 8


def test_a_model_learns() -> None:
    torch.manual_seed(0)
    teacher, x = torch.randn(8, 32), torch.randn(256, 32)
    target = torch.tanh(x @ teacher.T)
    model = torch.nn.Sequential(
        ps.DynamicSparseLinear(32, 64, density=0.5, block_size=4),
        torch.nn.GELU(),
        ps.StaticSparseLinear(64, 8, density=0.5, block_size=4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = (model(x) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.25 * losses[0]
