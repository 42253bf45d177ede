"""How a density is spread over layers, and how blocks are ranked."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")

from torch import nn  # noqa: E402

from popsparse_planner.errors import ModelError, PatternError, ShapeError  # noqa: E402
from popsparse_py.nn import StaticSparseLinear  # noqa: E402
from popsparse_py.training import block_scores, erk_densities  # noqa: E402
from popsparse_py.training.criteria import dense_block_scores  # noqa: E402


def test_erk_spreads_the_density_by_the_sum_of_sides() -> None:
    found = erk_densities({"wide": (3000, 100), "small": (10, 30), "kernel": (8, 4, 3, 3)}, 0.1)
    sizes = {"wide": 300000, "small": 300, "kernel": 288}
    assert found["small"] == 1.0  # 40/300 is more than ten times wide's 3100/300000
    assert 0.1 > found["wide"] > 0.09
    assert sum(found[name] * sizes[name] for name in sizes) == pytest.approx(0.1 * sum(sizes.values()))
    even = erk_densities({"a": (100, 50), "b": (50, 100), "c": (25, 100)}, 0.1)
    assert even["a"] == even["b"]
    assert even["c"] / even["a"] == pytest.approx((125 / 2500) / (150 / 5000))
    kernels = erk_densities({"a": (64, 64, 3, 3), "b": (64, 64)}, 0.01)
    assert kernels["b"] / kernels["a"] == pytest.approx((128 / 4096) / (134 / 36864))
    assert erk_densities({"a": (4, 4), "b": (8, 8)}, 1) == {"a": 1.0, "b": 1.0}


def test_erk_reads_models() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Linear(32, 16), StaticSparseLinear(16, 32, density=1.0), nn.ReLU())
    assert erk_densities(model, 0.5) == pytest.approx(
        erk_densities({"0": (8, 4, 3, 3), "1": (16, 32), "2": (32, 16)}, 0.5)
    )
    with pytest.raises(ModelError, match="no layer to spread the density over"):
        erk_densities(nn.ReLU(), 0.5)
    with pytest.raises(ShapeError, match=r"a has shape \(3,\): expected at least two sides"):
        erk_densities({"a": (3,)}, 0.5)
    with pytest.raises(PatternError, match=r"density must be a number in \(0, 1\]"):
        erk_densities({"a": (3, 3)}, 0)


def test_scores_are_norms_of_blocks() -> None:
    w = torch.randn(6, 10, generator=torch.Generator().manual_seed(3))
    padded = np.zeros((8, 12))
    padded[:6, :10] = w.numpy()
    blocks = padded.reshape(2, 4, 3, 4).transpose(0, 2, 1, 3).reshape(2, 3, 16)
    expected = {"l2": np.sqrt((blocks**2).sum(-1)), "l1": np.abs(blocks).sum(-1), "linf": np.abs(blocks).max(-1)}
    for criterion, norms in expected.items():
        np.testing.assert_allclose(dense_block_scores(w, 4, criterion).numpy(), norms, rtol=1e-6)
    assert block_scores(torch.full((2, 3, 3), 300.0, dtype=torch.float16)).tolist() == [900.0, 900.0]
    with pytest.raises(PatternError, match="criterion 'l3' is unknown"):
        block_scores(w[None], "l3")
