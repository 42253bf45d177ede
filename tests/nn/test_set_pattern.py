"""DynamicSparseLinear.set_pattern: values, gradients and optimizer state follow their blocks."""

from typing import Any

import numpy as np
import pytest

import popsparse_py as ps

torch = pytest.importorskip("torch", reason="torch is not installed")

from nn.masked import assert_near  # noqa: E402

SHAPE, B = (30, 44), 4


def random_pattern(seed: int, density: float = 0.4) -> Any:
    return ps.BlockPattern.random(SHAPE, density=density, block_size=B, seed=seed)


def new_layer(dtype: Any = None) -> Any:
    torch.manual_seed(0)
    return ps.DynamicSparseLinear(44, 30, pattern=random_pattern(1), capacity=40, dtype=dtype)


def train(layer: Any, optimizer: Any, steps: int = 3) -> None:
    for step in range(steps):
        optimizer.zero_grad()
        torch.manual_seed(step)
        layer(torch.randn(5, 44)).square().mean().backward()
        optimizer.step()


def by_block(pattern: Any, tensor: Any) -> Any:
    """{(row, col): block} of a tensor with a slot per block."""
    return {(int(r), int(c)): tensor[i].clone() for i, (r, c) in enumerate(zip(pattern.rows, pattern.cols))}


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("keep", [True, False])
def test_state_follows_the_blocks(name: str, keep: bool) -> None:
    layer = new_layer()
    optimizer = OPTIMIZERS[name](layer.parameters())
    train(layer, optimizer)
    old, new = layer.pattern, random_pattern(2, 0.45)
    stay = old & new
    assert 5 < stay.nnz_blocks < new.nnz_blocks

    def tensors() -> Any:
        state = optimizer.state[layer.values]
        slots = {key: t for key, t in state.items() if isinstance(t, torch.Tensor) and t.dim() == 3}
        return {"values": layer.values.detach(), "gradient": layer.values.grad, **slots}

    before = {key: by_block(old, tensor) for key, tensor in tensors().items()}
    assert len(before) == {"adam": 5, "adamw": 4, "sgd": 3}[name]
    kept_ids = [id(t) for t in tensors().values()][1:], id(layer.values), optimizer.state[layer.values].get("step")
    layer.set_pattern(new, keep=keep, optimizer=optimizer)
    assert layer.pattern == new
    kept_blocks = set(by_block(stay, layer.values)) if keep else set()
    for key, tensor in tensors().items():
        for place, block in by_block(new, tensor).items():
            expected = before[key][place] if place in kept_blocks else torch.zeros(B, B)
            assert torch.equal(block, expected), (key, place)
        assert not tensor[new.nnz_blocks :].any()
    assert kept_ids == (
        [id(t) for t in tensors().values()][1:], id(layer.values), optimizer.state[layer.values].get("step")
    )  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_equals_a_masked_dense_layer(name: str) -> None:
    """Patterns change every second step; the dense layer's weight and state are masked at the same moments."""
    layer = new_layer(torch.float64)
    dense = layer.to_linear()
    ours, theirs = OPTIMIZERS[name](layer.parameters()), OPTIMIZERS[name](dense.parameters())
    mask = torch.ones(SHAPE)
    for step in range(8):
        if step % 2 == 0:
            layer.set_pattern(random_pattern(step + 10), optimizer=ours)
            wide = np.kron(layer.pattern.to_mask(), np.ones((B, B)))[: SHAPE[0], : SHAPE[1]]
            came, mask = torch.tensor(wide) * (1 - mask), torch.tensor(wide)
            for tensor in [dense.weight.detach(), *theirs.state.get(dense.weight, {}).values()]:
                if isinstance(tensor, torch.Tensor) and tensor.dim():
                    tensor.mul_(mask * (1 - came))
        x = torch.randn(5, 44, dtype=torch.float64)
        for model, optimizer in ((layer, ours), (dense, theirs)):
            optimizer.zero_grad()
            model(x).square().mean().backward()
        dense.weight.grad.mul_(mask)
        ours.step()
        theirs.step()
        assert_near(layer.to_linear().weight, dense.weight)
        assert_near(layer.bias, dense.bias)


def test_uniform_init_fills_new_blocks_only() -> None:
    layer = new_layer()
    old, new = layer.pattern, random_pattern(2)
    before = by_block(old, layer.values.detach())
    layer.set_pattern(new, init="uniform")
    for place, block in by_block(new, layer.values.detach()).items():
        assert torch.equal(block, before[place]) if place in before else block.any()
    assert not layer.values[new.nnz_blocks :].any()


def test_a_refused_pattern_changes_nothing() -> None:
    layer = new_layer()
    optimizer = torch.optim.Adam(layer.parameters())
    train(layer, optimizer)
    state = {k: v.clone() for k, v in layer.state_dict().items()}
    other = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)
    strange = torch.optim.SGD(layer.parameters(), lr=0.1)
    strange.state[layer.values]["factors"] = torch.ones(7, 2)
    good = random_pattern(3)
    for pattern, options, error, message in (
        (random_pattern(1, 0.5), {}, ps.CapacityError, "pattern has 44 blocks, capacity is 40: build the layer with"),
        (good.transpose(), {}, ps.ShapeError, r"did you mean pattern.transpose\(\)\?"),
        (ps.BlockPattern.random(SHAPE, density=0.4, block_size=2), {}, ps.PatternError, "blocks of 2, the layer"),
        (good.to_mask(), {}, ps.PatternError, "must be a BlockPattern, got ndarray"),
        (good, {"init": "ones"}, ps.PlanError, "init 'ones' is unknown: expected one of zeros, uniform"),
        (good, {"optimizer": other}, ps.PlanError, "the optimizer does not have this layer's values"),
        (good, {"optimizer": strange}, ps.PlanError, r"factors has shape \(7, 2\): it cannot follow blocks"),
    ):
        with pytest.raises(error, match=message):
            layer.set_pattern(pattern, **options)
        assert all(torch.equal(v, state[k]) for k, v in layer.state_dict().items())


def test_a_pattern_set_between_forward_and_backward_is_an_error() -> None:
    layer = new_layer()
    y = layer(torch.randn(3, 44))
    layer.set_pattern(random_pattern(2))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float64"])
def test_dense_gradient(name: str) -> None:
    dtype = getattr(torch, name)
    layer = new_layer(dtype)
    with pytest.raises(ps.PlanError, match=r"is not being collected: call collect_dense_grad\(\)"):
        layer.dense_grad()
    layer.collect_dense_grad()
    with pytest.raises(ps.PlanError, match="has seen no backward pass yet"):
        layer.dense_grad()
    exact = torch.zeros(SHAPE, dtype=torch.float64)
    for n in (3, 5):  # summed over passes, as gradients are
        x = torch.randn(2, n, 44, dtype=dtype)
        y = layer(x)
        dy = torch.randn_like(y)
        y.backward(dy)
        exact += torch.einsum("bnm,bnk->mk", dy.double(), x.double())
    found = layer.dense_grad()
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_near(found, exact)
    assert_near(layer.values.grad[: layer.num_blocks], ps.formats.blocks.cut_out(exact, layer.pattern), scale=4)
    layer.collect_dense_grad(False)
    with pytest.raises(ps.PlanError, match="is not being collected"):
        layer.dense_grad()


def test_check_pattern_says_what_is_wrong_with_tensors_written_in_place() -> None:
    layer = new_layer()
    layer.check_pattern()
    used = layer.num_blocks
    order = torch.randperm(used)
    for buffer in (layer.row, layer.col):
        buffer[:used] = buffer[order]
    layer.check_pattern()  # in any order
    layer.col[3] = 11
    with pytest.raises(
        ps.PatternError, match=rf"slot 3 holds block .* 1 of {used} slots lie outside W: .* below 8 and"
    ):
        layer.check_pattern()
    layer.row[3], layer.col[3] = layer.row[5], layer.col[5]
    with pytest.raises(ps.PatternError, match=rf"block \(\d, \d+\) is in 2 of {used} slots: expected distinct blocks"):
        layer.check_pattern()
    layer.nnz.fill_(41)
    with pytest.raises(ps.CapacityError, match=r"nnz is 41, the layer has 40 slots: write at most 40 blocks, or build"):
        layer.check_pattern()
