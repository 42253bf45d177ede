"""StaticSparseLinear and DynamicSparseLinear: what goes in and out, state dicts, conversions, bad input."""

import copy
import io
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import popsparse_py as ps

torch = pytest.importorskip("torch", reason="torch is not installed")

from nn.masked import assert_near  # noqa: E402

from popsparse_py.torch_ops.version import check_version  # noqa: E402

LAYERS = [ps.StaticSparseLinear, ps.DynamicSparseLinear]
both = pytest.mark.parametrize("layer_type", LAYERS, ids=["static", "dynamic"])


def layer_of(layer_type: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return layer_type(44, 30, **{"density": 0.4, "block_size": 4, **options})


def product(layer: Any, x: Any) -> Any:
    """What a dense layer of the same weight gives, in float64."""
    return copy.deepcopy(layer.to_linear()).double()(x.double())


@both
@pytest.mark.parametrize("shape", [(44,), (5, 44), (2, 3, 44), (2, 1, 3, 44), (0, 44), (2, 0, 44)])
def test_any_leading_dimensions(layer_type: Any, shape: Any) -> None:
    layer, x = layer_of(layer_type), torch.randn(shape)
    assert_near(layer(x), product(layer, x))


@both
def test_strided_input(layer_type: Any) -> None:
    layer, x = layer_of(layer_type), torch.randn(44, 3, 7).permute(2, 1, 0)
    assert_near(layer(x), product(layer, x))


@both
@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "float64"])
def test_dtypes_and_parts(layer_type: Any, name: str) -> None:
    layer, dtype = layer_of(layer_type, dtype=getattr(torch, name)), getattr(torch, name)
    blocks = round(0.4 * 8 * 11)
    slots = blocks if layer_type is ps.StaticSparseLinear else int(blocks * 1.25)
    assert {n: (tuple(p.shape), p.dtype) for n, p in layer.named_parameters()} == {
        "values": ((slots, 4, 4), dtype), "bias": ((30,), dtype)
    }  # fmt: skip
    assert all(buffer.dtype == torch.int32 for buffer in layer.buffers())
    assert (layer.num_blocks, layer.density) == (blocks, blocks / 88)
    for n in (3, 0):
        x = torch.randn(n, 44, dtype=dtype)
        assert_near(layer(x), product(layer, x))


@both
def test_repr_says_density_block_size_and_target(layer_type: Any) -> None:
    text = repr(layer_of(layer_type))
    for part in ("in_features=44, out_features=30", "density=0.3977 (35 of 88 blocks)", "block_size=4", "target=cpu"):
        assert part in text
    assert ("capacity=43" in text) == (layer_type is ps.DynamicSparseLinear)
    assert "target=meta" in repr(layer_type(32, 32, density=1, device="meta"))


@both
def test_initial_values_follow_the_fan_in(layer_type: Any) -> None:
    layer = layer_of(layer_type)
    bound = (44 * layer.density) ** -0.5
    largest = float(layer.to_linear().weight.detach().abs().max())
    assert 0.9 * bound < largest <= bound
    edge = layer.values[: layer.num_blocks][layer.row[: layer.num_blocks] == 7]
    assert len(edge) > 0
    assert not edge[:, 2:].any(), "values in the padding of 30 rows must be 0"
    torch.manual_seed(0)
    assert layer_type(44, 30, density=0.4, block_size=4).pattern == layer.pattern
    before = layer.values.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.values, before)


@both
def test_from_linear_keeps_the_largest_blocks(layer_type: Any) -> None:
    torch.manual_seed(1)
    dense = torch.nn.Linear(44, 30).eval()
    layer = layer_type.from_linear(dense, density=Fraction(1, 2), block_size=4)
    assert layer.pattern == ps.magnitude_prune(dense.weight.detach(), 4, 0.5).pattern
    assert not layer.training
    mask = layer.to_linear().weight != 0
    assert torch.equal(layer.to_linear().weight[mask], dense.weight[mask])
    assert torch.equal(layer.bias, dense.bias)
    assert layer.bias.data_ptr() != dense.bias.data_ptr()
    whole = layer_type.from_linear(dense, pattern=ps.BlockPattern.random((30, 44), density=1, block_size=8))
    assert torch.equal(whole.to_linear().weight, dense.weight)
    with torch.no_grad():
        dense.weight[0, 0] = float("nan")
    with pytest.raises(ps.FormatError, match="holds 1 value that is NaN"):
        layer_type.from_linear(dense, density=0.5)


@both
def test_from_weight_and_back(layer_type: Any) -> None:
    a = ps.magnitude_prune(torch.randn(30, 44, dtype=torch.float64).numpy(), 4, 0.3)
    layer = layer_type.from_weight(a)
    assert layer.bias is None
    assert layer.values.dtype == torch.float64
    back = layer.to_block_sparse()
    assert back.pattern == a.pattern
    assert torch.equal(back.values, torch.tensor(a.values))
    assert layer_type.from_weight(back, torch.ones(30)).bias.sum() == 30
    with pytest.raises(ps.ShapeError, match=r"bias has shape \(44,\): expected \(30,\)"):
        layer_type.from_weight(a, torch.ones(44))


def copies(layer: Any, folder: Path) -> Any:
    """The layer after deepcopy, pickle, torch.save of the whole, and its state dict by torch.save and safetensors."""
    from safetensors.torch import load_model, save_model

    yield copy.deepcopy(layer)
    yield pickle.loads(pickle.dumps(layer))
    whole = io.BytesIO()
    torch.save(layer, whole)
    yield torch.load(io.BytesIO(whole.getvalue()), weights_only=False)
    torch.save(layer.state_dict(), folder / "state.pt")
    fresh = type(layer)(44, 30, pattern=layer.pattern)
    fresh.load_state_dict(torch.load(folder / "state.pt", weights_only=True))
    yield fresh
    save_model(layer, str(folder / "model.safetensors"))
    fresh = type(layer)(44, 30, pattern=layer.pattern)
    load_model(fresh, str(folder / "model.safetensors"))
    yield fresh
    with torch.device("meta"):
        fresh = type(layer)(44, 30, pattern=layer.pattern)
    fresh.load_state_dict(layer.state_dict(), assign=True)
    yield fresh


@both
def test_copies_and_files(layer_type: Any, tmp_path: Path) -> None:
    layer, x = layer_of(layer_type), torch.randn(3, 44)
    y = layer(x)
    for other in copies(layer, tmp_path):
        assert torch.equal(other(x), y)
        assert other.pattern == layer.pattern
        other(x).sum().backward()
        assert other.values.grad.any()
    assert layer.values.grad is None


def test_state_dict_of_another_pattern() -> None:
    other = layer_of(ps.DynamicSparseLinear, capacity=50, pattern=None)
    state = other.state_dict()
    dynamic = ps.DynamicSparseLinear(44, 30, density=0.1, block_size=4, capacity=50)
    dynamic.load_state_dict(state)
    x = torch.randn(3, 44)
    assert torch.equal(dynamic(x), other(x))
    roomier = ps.DynamicSparseLinear(44, 30, density=0.1, block_size=4, capacity=60)
    roomier.load_state_dict(state)
    assert torch.equal(roomier(x), other(x))
    small = ps.DynamicSparseLinear(44, 30, density=0.1, block_size=4, capacity=34)
    kept = small.pattern
    with pytest.raises(
        RuntimeError, match="pattern has 35 blocks, capacity is 34: build the layer with capacity >= 35"
    ):
        small.load_state_dict(state)
    assert small.pattern == kept
    static = layer_of(ps.StaticSparseLinear)
    torch.manual_seed(5)
    stranger = ps.StaticSparseLinear(44, 30, density=0.4, block_size=4)
    with pytest.raises(RuntimeError, match=r"another pattern: 35 blocks, \d+ of them among the 35 of this layer"):
        static.load_state_dict(stranger.state_dict())
    torch.nn.Sequential(static).load_state_dict({f"0.{k}": v for k, v in static.state_dict().items()})


def test_a_static_layer_says_what_its_buffers_say() -> None:
    layer = layer_of(ps.StaticSparseLinear)
    torch.manual_seed(5)
    other = ps.StaticSparseLinear(44, 30, density=0.4, block_size=4)
    with torch.no_grad():
        layer.row.copy_(other.row)  # as DistributedDataParallel does on all ranks but the first
        layer.col.copy_(other.col)
    assert layer.pattern == other.pattern
    x = torch.randn(3, 44)
    assert_near(layer(x), product(layer, x))
    layer.load_state_dict(other.state_dict())
    assert torch.equal(layer(x), other(x))
    empty = layer.to_empty(device="meta").to_empty(device="cpu")
    empty.row.fill_(99)  # whatever the memory held
    assert empty.pattern == other.pattern
    empty.load_state_dict(other.state_dict())
    assert torch.equal(empty(x), other(x))


def test_damaged_state_dicts_are_refused() -> None:
    for layer_type in LAYERS:
        layer = layer_of(layer_type)
        state = {**layer.state_dict(), "row": layer.row.flip(0)}
        with pytest.raises(RuntimeError, match=r"Error.* in loading state_dict"):
            layer.load_state_dict(state)
    with pytest.raises(RuntimeError, match="expected blocks of 4 x 4"):
        layer.load_state_dict({**layer.state_dict(), "values": torch.zeros(43, 8, 8)})
    with pytest.raises(RuntimeError, match=r"has values of shape \(10, 8, 8\), this layer blocks of 4 x 4"):
        layer_of(ps.StaticSparseLinear).load_state_dict(layer_of(ps.StaticSparseLinear, block_size=8).state_dict())


@both
def test_made_within_a_device_context(layer_type: Any) -> None:
    with torch.device("meta"):
        layer = layer_of(layer_type)
    assert {tensor.device.type for tensor in layer.state_dict().values()} == {"meta"}
    layer.to_empty(device="cpu").load_state_dict(layer_of(layer_type).state_dict())
    x = torch.randn(3, 44)
    assert_near(layer(x), product(layer, x))
    with torch.device("meta"):
        assert layer_of(layer_type, device="cpu").row.device.type == "cpu"


@both
def test_bad_arguments(layer_type: Any) -> None:
    for density in (0, 1.01, -1, float("nan"), "half"):
        with pytest.raises(ps.PatternError, match=r"density must be a number in \(0, 1\]"):
            layer_type(64, 64, density=density)
    with pytest.raises(ps.PatternError, match=r"density 0.01 of 4 x 4 blocks of 16 is no block: use density >= 0.0625"):
        layer_type(64, 64, density=0.01)
    with pytest.raises(ps.PatternError, match=r"density 0.01 of 4 x 4 blocks of 16 is no block"):
        layer_type.from_linear(torch.nn.Linear(64, 64), density=0.01)
    with pytest.raises(ps.PatternError, match="block size must be a whole number"):
        layer_type(64, 64, block_size=0)
    with pytest.raises(ps.ShapeError, match="in_features must be a whole number of at least 1, got 0"):
        layer_type(0, 64)
    with pytest.raises(ps.DTypeError, match=r"a layer has no dtype torch.int8"):
        layer_type(64, 64, dtype=torch.int8)
    pattern = ps.BlockPattern.random((32, 64), density=0.5, block_size=8)
    with pytest.raises(ps.ShapeError, match=r"pattern has shape \(32, 64\).*is \(64, 32\): did you mean"):
        layer_type(32, 64, pattern=pattern)
    with pytest.raises(ps.PatternError, match="pattern has blocks of 8, the layer blocks of 16"):
        layer_type(64, 32, pattern=pattern, block_size=16)
    with pytest.raises(ps.PatternError, match="give density or pattern, not both"):
        layer_type(64, 32, pattern=pattern, density=0.5)
    with pytest.raises(ps.PatternError, match="pattern must be a BlockPattern, got ndarray"):
        layer_type(64, 32, pattern=pattern.to_mask())


@both
def test_bad_input(layer_type: Any) -> None:
    layer = layer_of(layer_type)
    with pytest.raises(ps.ShapeError, match=r"x has shape \(3, 40\): expected \(..., 44\), as W is 30 x 44"):
        layer(torch.randn(3, 40))
    with pytest.raises(ps.DTypeError, match=r"x has dtype torch.float64, the layer torch.float32: use x.to\("):
        layer(torch.randn(3, 44, dtype=torch.float64))
    with pytest.raises(ps.TargetUnavailableError, match="x is on meta, the layer on cpu"):
        layer(torch.randn(3, 44, device="meta"))


def test_capacity_of_a_new_layer() -> None:
    assert ps.DynamicSparseLinear(64, 64, density=0.5).capacity == 10
    assert ps.DynamicSparseLinear(64, 64, density=0.5, headroom=0).capacity == 8
    assert ps.DynamicSparseLinear(64, 64, density=0.9).capacity == 16
    assert ps.DynamicSparseLinear(64, 64, density=0.5, capacity=12).capacity == 12
    with pytest.raises(ps.CapacityError, match="pattern has 8 blocks, capacity is 7") as caught:
        ps.DynamicSparseLinear(64, 64, density=0.5, capacity=7)
    assert (caught.value.blocks, caught.value.capacity) == (8, 7)  # type: ignore[attr-defined]
    with pytest.raises(ps.CapacityError, match="from 1 to all 16 blocks, got 17"):
        ps.DynamicSparseLinear(64, 64, density=0.5, capacity=17)
    with pytest.raises(ps.CapacityError, match="headroom must be a number of at least 0"):
        ps.DynamicSparseLinear(64, 64, density=0.5, headroom=-0.1)


def test_old_torch_is_refused() -> None:
    check_version("2.4.0+cpu")
    check_version("2.13.0")
    with pytest.raises(ImportError, match=r"needs torch >= 2.4, found 2.0.1: upgrade torch, or use spmm"):
        check_version("2.0.1")
