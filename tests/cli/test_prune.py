"""`popsparse prune`: safetensors in, safetensors out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

import numpy as np
import pytest

from popsparse_planner import PlanError
from popsparse_py import BlockSparseMatrix, layer_plans, magnitude_prune
from popsparse_py.backends.cpu import CpuBackend
from popsparse_py.formats.safetensors_raw import StoredTensor, read_raw, write_raw

safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")

UP, DOWN, EMBED, NORM = "block.0.ffn.up.weight", "block.0.ffn.down.weight", "embed.weight", "norm.weight"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two matrices, float32 and bfloat16, an embedding, a vector, and a tensor of a type that NumPy lacks."""
    rng = np.random.default_rng(3)
    arrays = {UP: rng.standard_normal((32, 16)).astype(np.float32), EMBED: np.ones((7, 16), np.float32)}
    tensors = {name: StoredTensor.of(array) for name, array in arrays.items()}
    bits = (rng.standard_normal((16, 32)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    tensors[DOWN] = StoredTensor.of(bits, "BF16")
    tensors[NORM] = StoredTensor.of(np.arange(16, dtype=np.float16))
    tensors["scale"] = StoredTensor("F8_E4M3", (3,), 3, lambda: b"abc")
    path = tmp_path / "model.safetensors"
    write_raw(path, tensors, {"format": "pt"})
    return path


def values_of(path: Path, name: str) -> np.ndarray:
    """A tensor of a file as numbers."""
    return read_raw(path)[0][name].numbers()


def test_matrices_keep_their_largest_blocks_and_the_rest_its_bytes(popsparse, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "sparse.safetensors"
    called = popsparse("prune", model, "--density", "1/4", "-b", 4, "-o", out)
    assert called.code == 0, called.err
    assert "2 of 2 matrices pruned" in called.out
    for name in (UP, DOWN):
        expected = magnitude_prune(values_of(model, name).copy(), 4, 0.25)
        found = BlockSparseMatrix.load(out, name)
        assert found.pattern == expected.pattern
        np.testing.assert_array_equal(found.values, expected.values)
    before, after = read_raw(model), read_raw(out)
    assert after[0][f"{DOWN}.values"].dtype == "BF16"
    for name in (EMBED, NORM, "scale"):
        assert after[0][name].dtype == before[0][name].dtype
        assert after[0][name].read() == before[0][name].read()
    assert after[1] == {"format": "pt", "popsparse_py": "block_sparse/1"}
    assert out.stat().st_size < model.stat().st_size


def test_every_tensor_lies_where_a_reader_may_map_it(popsparse, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "sparse.safetensors"
    popsparse("prune", model, "-d", "3/32", "-b", 4, "-o", out)  # an odd number of blocks
    text = out.read_bytes()
    length = int.from_bytes(text[:8], "little")
    header = json.loads(text[8 : 8 + length])
    header.pop("__metadata__")
    sizes = {"I64": 8, "I32": 4, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1}
    assert {one["dtype"] for one in header.values()} == set(sizes)
    assert (8 + length) % 8 == 0
    assert all(one["data_offsets"][0] % sizes[one["dtype"]] == 0 for one in header.values())
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import load_file

    assert load_file(str(out))[f"{UP}.values"].dtype == torch.float32


def test_globs_choose(popsparse, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "sparse.safetensors"
    fields = popsparse("prune", model, "-d", "1/2", "-b", 4, "--include", "*.up.*", "-o", out, "--json").fields
    assert [one["name"] for one in fields["tensors"]] == [UP]
    (one,) = fields["tensors"]
    assert (one["blocks"], one["density"], one["plan"]) == (16, 0.5, None)
    w = values_of(model, UP).astype(np.float64)
    kept = BlockSparseMatrix.load(out, UP).to_dense().astype(np.float64)
    assert one["energy_kept"] == pytest.approx((kept**2).sum() / (w**2).sum())
    assert fields["bytes_after"] == out.stat().st_size
    fields = popsparse("prune", model, "--sparsity", "0.5", "-b", 4, "--exclude", "*.up.*", "-o", out, "--json").fields
    assert [one["name"] for one in fields["tensors"]] == [DOWN, EMBED]


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> Dict[str, bool]:
    """What the planner is made to say of each matrix."""
    from popsparse_py.cli import prune_command

    said = {UP: True, DOWN: False}
    real = layer_plans.plan_layer

    def plan_layer(name: str, *words: object, **options: object) -> layer_plans.LayerPlan:
        found = real(name, *words, **options)  # type: ignore[arg-type]
        return layer_plans.LayerPlan(**{**vars(found), "faster": said[name]})

    monkeypatch.setattr(prune_command, "plan_layer", plan_layer)
    return said


def test_only_if_faster_leaves_the_others_dense(popsparse, model: Path, tmp_path: Path, verdicts) -> None:
    out = tmp_path / "sparse.safetensors"
    words = ("prune", model, "-d", "1/2", "-b", 4, "--only-if-faster", "-n", 8, "-o", out)
    fields = popsparse(*words, "--json").fields
    assert {one["name"]: one["kept_dense"] for one in fields["tensors"]} == {DOWN: True, UP: False}
    plan = fields["tensors"][1]["plan"]
    assert (plan["unit"], plan["n"], plan["target"]) == ("cycles", 8, "bow")
    assert plan["speedup"] == pytest.approx(plan["dense"] / plan["sparse"])
    assert read_raw(out)[0][DOWN].read() == read_raw(model)[0][DOWN].read()
    assert "as it was" in popsparse(*words).out
    verdicts[UP] = False
    out.unlink()
    called = popsparse(*words, "-q")
    assert (called.code, called.out.strip()) == (
        1,
        "nothing written: sparse is slower for each of the 2 matrices at n = 8",
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-d", "2"), r"--density must lie in (0, 1], got 2"),
        ((), "say how much to keep: --density 1/8 or --sparsity 0.875"),
        (("-d", "1/2", "--include", "*.q.*"), "--include *.q.* --exclude *embed* matches none of the matrices in"),
        (("-d", "1/2", "-b", "0"), "block size must be a whole number of at least 1, got 0"),
        (("-d", "1/999999", "-b", "16"), "blocks of 16 is no block: use density >= "),
        (("-d", "1/2", "--criterion", "l3"), "criterion 'l3' is unknown: expected one of l2, l1, linf"),
        (("-d", "1/2", "--only-if-faster", "--target", "tpu"), "tpu"),
    ],
)
def test_wrong_options_are_told(popsparse, model: Path, tmp_path: Path, words: tuple, message: str) -> None:
    out = tmp_path / "sparse.safetensors"
    called = popsparse("prune", model, *words, "-o", out)
    assert (called.code, called.out) == (2, "")
    assert message in called.err
    assert not out.exists()


def test_wrong_files_are_told(popsparse, model: Path, tmp_path: Path) -> None:
    for words, message in (
        ((model, "-o", model), "is the file that is read"),
        ((model, "-o", tmp_path / "sparse.npz"), "prune reads and writes .safetensors files"),
        ((tmp_path / "none.safetensors", "-o", tmp_path / "a.safetensors"), "no file"),
    ):
        called = popsparse("prune", *words, "-d", "1/2")
        assert called.code == 2
        assert message in called.err
    bad = np.ones((4, 4), np.float32)
    bad[1, 2] = np.nan
    write_raw(tmp_path / "nan.safetensors", {"w": StoredTensor.of(bad)}, {})
    called = popsparse("prune", tmp_path / "nan.safetensors", "-d", "1/2", "-o", tmp_path / "a.safetensors")
    assert called.code == 2
    assert "w holds 1 value that is NaN or infinite, the first at (1, 2)" in called.err


def test_layer_plans_say_why_not() -> None:
    matrix = magnitude_prune(np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32), 2, 0.5)

    def never() -> float:
        raise AssertionError("the chip needs no clock")

    found = layer_plans.plan_layer("w", matrix.pattern, 8, "float32", target="ipu_model", dense_seconds=never)
    assert (found.faster, found.speedup) == (False, None)
    assert found.reason == (
        "cannot run there: float32 in blocks of 2; the chip has float16, float32 in blocks of 1, 4, 8, 16"
    )
    with pytest.raises(PlanError, match="n must be at least 1, got 0"):
        layer_plans.plan_layer("w", matrix.pattern, 0, "float32", target="bow", dense_seconds=never)


def test_layer_plans_on_the_cpu_compare_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    core = pytest.importorskip("popsparse_py._core", reason="the native core is not built")
    assert layer_plans.slowness(core.cpu_tiers()[0]) > 0
    monkeypatch.setattr(layer_plans, "slowness", lambda tier: 3.0)
    pattern = magnitude_prune(np.eye(64, dtype=np.float32), 16, 0.25).pattern
    slow, fast = (
        layer_plans.plan_layer("w", pattern, 64, "float32", target="cpu", dense_seconds=lambda s=seconds: s)
        for seconds in (1.0, 1e-9)
    )
    assert (slow.faster, fast.faster, slow.unit, slow.dense) == (True, False, "us", 1e6)
    planned = CpuBackend().plan(pattern, 64, "float32").cost.total_seconds
    assert slow.sparse == fast.sparse == pytest.approx(3e6 * planned)
    assert "faster" in slow.reason
    assert "slower" in fast.reason
