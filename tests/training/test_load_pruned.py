"""From a model's file through `popsparse prune` back into a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")
storage = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from torch import nn  # noqa: E402

from popsparse_planner.errors import FormatError, ModelError, PlanError  # noqa: E402
from popsparse_py import magnitude_prune  # noqa: E402
from popsparse_py.cli import app  # noqa: E402
from popsparse_py.nn import DynamicSparseLinear, StaticSparseLinear  # noqa: E402
from popsparse_py.sparsify import load_pruned_  # noqa: E402


def model_of(seed: int = 0, hidden: int = 32) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Embedding(9, 16), nn.Linear(16, hidden), nn.GELU(), nn.Linear(hidden, 8, bias=False))


def pruned(model: nn.Module, folder: Path, *words: str) -> Path:
    """The model's file after `popsparse prune`."""
    before, after = folder / "model.safetensors", folder / "sparse.safetensors"
    storage.save_file(model.state_dict(), str(before))
    with pytest.raises(SystemExit) as stopped:
        app(["prune", str(before), "-d", "1/4", "-b", "4", "-o", str(after), "-q", *words])
    assert stopped.value.code == 0
    return after


@pytest.mark.parametrize(("mode", "kind"), [("static", StaticSparseLinear), ("dynamic", DynamicSparseLinear)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pruned_weights_come_back(mode: str, kind: Any, dtype: Any, tmp_path: Path) -> None:
    source = model_of().to(dtype)
    path = pruned(source, tmp_path, "--exclude", "0.*")
    model = load_pruned_(model_of(seed=1).to(dtype).eval(), path, mode=mode)
    for at in (1, 3):
        expected = magnitude_prune(source[at].weight.detach(), 4, 0.25)
        assert type(model[at]) is kind
        assert model[at].pattern == expected.pattern
        assert torch.equal(model[at].to_linear().weight, expected.to_dense())
        assert not model[at].training
    assert torch.equal(model[1].bias, source[1].bias)
    assert torch.equal(model[0].weight, source[0].weight)
    assert model(torch.arange(9)).shape == (9, 8)


def test_tensors_that_the_model_lacks_are_left_out_on_request(tmp_path: Path) -> None:
    source = model_of()
    source.register_buffer("position_ids", torch.arange(9))
    path = pruned(source, tmp_path, "--exclude", "0.*")
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "position_ids"'):
        load_pruned_(model_of(), path)
    model = load_pruned_(model_of(seed=1), path, strict=False)
    assert torch.equal(model[1].bias, source[1].bias)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    source = model_of()
    path = pruned(source, tmp_path, "--exclude", "0.*")
    with pytest.raises(ModelError, match=r"layer 1: the file has a weight of \(32, 16\), the model of \(64, 16\)"):
        load_pruned_(model_of(hidden=64), path)
    with pytest.raises(PlanError, match="mode 'auto' is unknown"):
        load_pruned_(model_of(), path, mode="auto")
    with pytest.raises(ModelError, match=r"holds 1.weight in blocks, and the model has a ReLU there"):
        load_pruned_(nn.Sequential(nn.Embedding(9, 16), nn.ReLU()), path)
    with pytest.raises(ModelError, match=r"holds 3.weight in blocks, and the model has nothing there"):
        load_pruned_(model_of()[:3], path)
    with pytest.raises(ModelError, match=r"holds 0.weight in blocks, and the model has a Embedding there"):
        load_pruned_(model_of(), pruned(source, tmp_path, "--exclude", "1.*"))
    with pytest.raises(FormatError, match="holds no block-sparse matrix: expected a file that `popsparse prune` wrote"):
        load_pruned_(model_of(), tmp_path / "model.safetensors")
    with pytest.raises(FileNotFoundError, match="no file"):
        load_pruned_(model_of(), tmp_path / "none.safetensors")
