"""Whole models made sparse, planned for and made dense again."""

from __future__ import annotations

import json
import logging
from fractions import Fraction
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")

from torch import nn  # noqa: E402

from popsparse_planner.errors import DTypeError, FormatError, ModelError, PatternError, PlanError  # noqa: E402
from popsparse_py import magnitude_prune  # noqa: E402
from popsparse_py.layer_plans import LayerPlan  # noqa: E402
from popsparse_py.nn import DynamicSparseLinear, StaticSparseLinear  # noqa: E402
from popsparse_py.sparsify import BlockSparseConfig, ModelPlan, densify_, plan, plan_model, sparsify_  # noqa: E402
from popsparse_py.training import erk_densities  # noqa: E402


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def sparse_names(model: nn.Module) -> list:
    return [name for name, one in model.named_modules() if isinstance(one, (StaticSparseLinear, DynamicSparseLinear))]


@pytest.mark.parametrize("mode", ["static", "dynamic"])
def test_the_largest_blocks_stay(mode: str) -> None:
    model = mlp().eval()
    weights = {name: one.weight.detach().clone() for name, one in model.named_modules() if isinstance(one, nn.Linear)}
    biases = [one.bias.detach().clone() for one in model if isinstance(one, nn.Linear)]
    model[0].weight.requires_grad_(False)
    assert sparsify_(model, BlockSparseConfig(Fraction(1, 4), block_size=4, mode=mode)) is model
    assert sparse_names(model) == ["0", "2", "4"]
    for name, bias in zip(weights, biases):
        layer = model.get_submodule(name)
        expected = magnitude_prune(weights[name], 4, 0.25)
        assert layer.pattern == expected.pattern
        torch.testing.assert_close(layer.to_linear().weight, expected.to_dense(), rtol=0, atol=0)
        torch.testing.assert_close(layer.bias, bias, rtol=0, atol=0)
        assert not layer.training
    assert [one.values.requires_grad for one in (model[0], model[2])] == [False, True]
    x = torch.randn(5, 32)
    y = model(x)
    densify_(model)
    assert [type(one) for one in model[::2]] == [nn.Linear] * 3
    assert [one.weight.requires_grad for one in (model[0], model[2])] == [False, True]
    torch.testing.assert_close(model(x), y, rtol=1e-5, atol=1e-6)


def test_filter_and_densities_by_name() -> None:
    model = mlp()
    densities = erk_densities(model, 0.25)
    sparsify_(model, BlockSparseConfig(densities, block_size=2), lambda module, name: name != "4")
    assert sparse_names(model) == ["0", "2"]
    for name in ("0", "2"):
        assert model.get_submodule(name).density == pytest.approx(densities[name], abs=0.01)
    with pytest.raises(ModelError, match="no density is given for layer 2: got 0"):
        sparsify_(mlp(), BlockSparseConfig({"0": 0.5}, block_size=2))


def test_a_module_in_two_places_stays_one() -> None:
    shared = nn.Linear(16, 16)
    model = nn.ModuleDict({"a": nn.Sequential(shared, nn.ReLU()), "b": shared})
    sparsify_(model, BlockSparseConfig(1 / 4, block_size=4))
    assert isinstance(model["b"], StaticSparseLinear)
    assert model["a"][0] is model["b"]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(20, 16), nn.Linear(16, 16), nn.Linear(16, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.embed(tokens)))


def test_tied_weight_is_refused_and_may_be_left_out() -> None:
    model, config = Tied(), BlockSparseConfig(1 / 4, block_size=4)
    with pytest.raises(ModelError, match=r"weight of layer head is shared by embed.weight, head.weight: .* filter_fn"):
        sparsify_(model, config)
    assert sparse_names(model) == []
    sparsify_(model, config, lambda module, name: name == "body")
    assert sparse_names(model) == ["body"]
    assert model.head.weight is model.embed.weight


def test_errors_leave_the_model_as_it_was() -> None:
    model, config = mlp(), BlockSparseConfig(1 / 4, block_size=4)
    with torch.no_grad():
        model[4].weight[3, 5] = float("nan")
    with pytest.raises(FormatError, match=r"layer 4: w holds 1 value that is NaN or infinite, the first at \(3, 5\)"):
        sparsify_(model, config)
    assert sparse_names(model) == []
    with pytest.raises(PatternError, match=r"layer 0: density 0.001 of \d+ x \d+ blocks of 4 is no block: use density"):
        sparsify_(mlp(), BlockSparseConfig(0.001, block_size=4))
    parametrized = mlp()
    nn.utils.parametrizations.weight_norm(parametrized[2])
    with pytest.raises(ModelError, match="layer 2 computes its weight by a parametrization"):
        sparsify_(parametrized, config)
    assert sparse_names(parametrized) == []


def test_no_layer_is_told() -> None:
    config = BlockSparseConfig()
    with pytest.raises(ModelError, match=r"^Sequential has no linear layer$"):
        sparsify_(nn.Sequential(nn.ReLU()), config)
    with pytest.raises(ModelError, match=r"^Sequential has no linear layer that the filter takes: there are 0, 2, 4$"):
        sparsify_(mlp(), config, lambda module, name: False)
    with pytest.raises(ModelError, match=r"^Sequential has no sparse layer$"):
        densify_(mlp())
    with pytest.raises(ModelError, match="itself a Linear, which cannot be replaced in place: use from_linear"):
        sparsify_(nn.Linear(16, 16), config)


def test_bad_configs_are_told() -> None:
    for density in (0, 1.5, float("nan")):
        with pytest.raises(PatternError, match=r"density must be a number in \(0, 1\]"):
            BlockSparseConfig(density)
    with pytest.raises(PatternError, match="block size must be a whole number of at least 1, got 0"):
        BlockSparseConfig(block_size=0)
    with pytest.raises(PlanError, match="mode 'auto' is unknown: expected 'static' or 'dynamic'"):
        BlockSparseConfig(mode="auto")
    with pytest.raises(PatternError, match="layer 0: criterion 'l3' is unknown"):
        sparsify_(mlp(), BlockSparseConfig(criterion="l3"))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_transformer_encoders_of_torch_run_in_inference() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    x, padding = torch.randn(2, 6, 32), torch.zeros(2, 6, dtype=torch.bool)
    padding[0, 4:] = True
    with torch.no_grad():
        dense = model(x, src_key_padding_mask=padding)
        sparsify_(model, BlockSparseConfig(1.0, block_size=4))
        assert sparse_names(model) == ["layers.0.linear1", "layers.0.linear2", "layers.1.linear1", "layers.1.linear2"]
        sparse = model(x, src_key_padding_mask=padding)
        torch.testing.assert_close(sparse[~padding], dense[~padding], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(densify_(model)(x), model(x))


def faster_where(names: tuple) -> Any:
    """A plan_layer whose verdict is by name, with the number of rows that it was asked for."""

    def plan_layer(name: str, pattern: Any, n: int, dtype: str, **options: Any) -> LayerPlan:
        sizes = (name, pattern.shape, n, dtype, pattern.block_size, pattern.density)
        return LayerPlan(*sizes, "cpu", "us", 2.0, 1.0 if name in names else 4.0, name in names, "as told")

    return plan_layer


def test_only_if_faster_leaves_the_rest_dense(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(plan, "plan_layer", faster_where(("2",)))
    model = mlp()
    with caplog.at_level(logging.INFO):
        sparsify_(model, BlockSparseConfig(1 / 4, block_size=4), only_if_faster=True)
    assert sparse_names(model) == ["2"]
    assert [record.getMessage() for record in caplog.records] == [
        "0: left dense, as told",
        "2: sparse, as told",
        "4: left dense, as told",
    ]


class Branches(nn.Module):
    """One layer that gets rows twice, one that gets none, dropout that must not act, a mapping of inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.drop = nn.Linear(16, 16), nn.Linear(16, 16), nn.Dropout(1.0)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        assert bool(self.drop(left).any())
        return self.used(left).sum() + self.used(right).sum()


def test_plan_counts_the_rows_of_each_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "plan_layer", faster_where(("used",)))
    model = Branches()
    inputs = {"left": torch.ones(2, 3, 16), "right": torch.ones(5, 16)}
    for given in (inputs, tuple(inputs.values())):
        found = plan_model(model, given, density=1 / 4, block_size=4)
        assert [(one.name, one.n) for one in found.layers] == [("used", 6), ("unused", 0)]
        assert found.faster == ("used",)
        assert found.layers[1].reason == "not used: the example inputs never come here"
    assert model.training
    assert model.drop.training
    assert not model.used._forward_pre_hooks


def test_plan_prints_a_table_and_json() -> None:
    found = plan_model(mlp(), torch.zeros(8, 32), density=1 / 4, block_size=4, target="ipu_model")
    assert [(one.name, one.shape, one.n, one.unit) for one in found.layers] == [
        ("0", (64, 32), 8, "cycles"),
        ("2", (64, 64), 8, "cycles"),
        ("4", (10, 64), 8, "cycles"),
    ]
    fields = json.loads(found.to_json())
    assert fields["schema"] == "popsparse.model-plan/1"
    for one, told in zip(found.layers, fields["layers"]):
        assert one.dense is not None and one.sparse is not None
        assert one.faster == (one.sparse < one.dense)
        assert told["speedup"] == pytest.approx(one.dense / one.sparse)
    text = str(found)
    assert "on bow (predicted)" in text
    assert "64 x 32" in text
    assert "the faster ones only" in text


def test_plan_for_a_gpu_predicts_both() -> None:
    found = plan_model(mlp().bfloat16(), torch.zeros(8, 32).bfloat16(), density=1 / 4, block_size=16, target="cuda")
    assert {(one.target, one.unit) for one in found.layers} == {("cuda", "us")}
    assert all(one.faster == (one.sparse < one.dense) for one in found.layers)
    assert "on cuda (predicted)" in str(found)


def test_plan_on_this_processor_times_the_dense_layers() -> None:
    found = plan_model(mlp(), torch.zeros(8, 32), density=1 / 4, block_size=4)
    assert {one.target for one in found.layers} == {"cpu"}
    assert all(one.dense is not None and one.dense > 0 for one in found.layers)
    assert "dense measured, sparse predicted, one thread" in str(found)
    assert isinstance(found, ModelPlan)
    with pytest.raises(DTypeError, match="layer 0: dtype float64 has no kernel on the cpu"):
        plan_model(mlp().double(), torch.zeros(8, 32).double(), density=1 / 4)
