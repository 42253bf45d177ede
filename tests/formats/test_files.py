"""Files: round trips, names, damage, and what happens to a file that cannot be finished."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from formats.strategies import assert_same, matrices, random_matrix
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_planner.errors import DTypeError, FormatError, PatternError, ShapeError
from popsparse_py.formats import BlockSparseMatrix, file_numpy, files, load_dense, tensor_names

OURS = (".npz", ".safetensors")


def require(suffix: str) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")


def write_arrays(path: Path, **arrays: np.ndarray) -> Path:
    """An npz or safetensors file of plain arrays."""
    require(path.suffix)
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        import safetensors.numpy

        safetensors.numpy.save_file(arrays, str(path))
    return path


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors", ".mtx"])
def test_round_trip(suffix: str) -> None:
    require(suffix)

    @settings(max_examples=25)
    @given(matrices())
    def check(a: BlockSparseMatrix) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a" + suffix)
            a.save(path)
            assert os.listdir(folder) == ["a" + suffix]
            own = None if suffix in OURS else a.block_size
            back = BlockSparseMatrix.load(path, block_size=own)
            assert_same(back, a.astype("float64") if suffix == ".mtx" else a)
            np.testing.assert_array_equal(load_dense(path), a.to_dense())

    check()


@pytest.mark.parametrize("suffix", OURS)
def test_exact_values_come_back_padding_included(tmp_path: Path, suffix: str) -> None:
    require(suffix)
    a = random_matrix((10, 7), 4, 0.7)
    a.save(tmp_path / f"a{suffix}", tensor="layer.0")
    assert tensor_names(tmp_path / f"a{suffix}") == ["layer.0"]
    back = BlockSparseMatrix.load(tmp_path / f"a{suffix}", "layer.0")
    np.testing.assert_array_equal(back.values, a.values)
    assert_same(BlockSparseMatrix.load(tmp_path / f"a{suffix}", block_size=2), a.reblock(2))


@pytest.mark.parametrize("suffix", OURS)
def test_several_matrices_and_dense_tensors_live_in_one_file(tmp_path: Path, suffix: str) -> None:
    a, b = random_matrix((8, 8), 4, 0.5), random_matrix((5, 9), 2, 0.5, "float16")
    w = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {"w": w}
    for name, matrix in (("first", a), ("second", b)):
        arrays.update(files.ours_as_arrays(matrix.pattern, matrix.values, name))
    path = write_arrays(tmp_path / f"many{suffix}", **arrays)
    assert tensor_names(path) == ["first", "second", "w"]
    assert_same(BlockSparseMatrix.load(path, "first"), a)
    assert_same(BlockSparseMatrix.load(path, "second"), b)
    assert BlockSparseMatrix.load(path, "w").block_size == 16
    np.testing.assert_array_equal(BlockSparseMatrix.load(path, "w", block_size=2).to_dense(), w)
    np.testing.assert_array_equal(load_dense(path, "w"), w)
    np.testing.assert_array_equal(load_dense(path, "second"), b.to_dense())


@pytest.mark.parametrize("suffix", OURS)
def test_a_missing_name_lists_the_names(tmp_path: Path, suffix: str) -> None:
    w = np.ones((4, 4), np.float32)
    path = write_arrays(tmp_path / f"w{suffix}", **{"encoder.weight": w, "encoder.bias": w})
    message = r"has no tensor 'encoder.weigth': encoder.bias, encoder.weight. Did you mean encoder.weight"
    with pytest.raises(FormatError, match=message) as caught:
        BlockSparseMatrix.load(path, "encoder.weigth")
    assert caught.value.names == ("encoder.bias", "encoder.weight")
    with pytest.raises(FormatError, match=r"holds 2 tensors, name one: encoder.bias, encoder.weight"):
        BlockSparseMatrix.load(path)
    many = write_arrays(tmp_path / f"many{suffix}", **{f"t{i:02}": w for i in range(25)})
    with pytest.raises(FormatError, match=r"holds 25 tensors, name one: t00, .*, t19 and 5 more$"):
        load_dense(many)


def test_files_of_one_matrix_take_no_name(tmp_path: Path) -> None:
    random_matrix((4, 4), 2, 1.0).save(tmp_path / "a.mtx")
    with pytest.raises(FormatError, match=r"a.mtx holds one matrix without a name: leave 'w' out"):
        BlockSparseMatrix.load(tmp_path / "a.mtx", "w")
    np.save(tmp_path / "a.npy", np.eye(4))
    with pytest.raises(FormatError, match=r"has no tensor 'w': a$"):
        BlockSparseMatrix.load(tmp_path / "a.npy", "w")


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors", ".mtx"])
def test_every_truncation_is_an_error(tmp_path: Path, suffix: str) -> None:
    require(suffix)
    random_matrix((12, 8), 4, 0.6).save(tmp_path / f"a{suffix}")
    whole = (tmp_path / f"a{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    last = len(whole) - (3 if suffix == ".mtx" else 1)  # the last number of a text may lose digits and stay a number
    for length in {0, 1, 7, 8, 9, 20, last // 3, last // 2, last - 40, last}:
        path.write_bytes(whole[:length])
        if suffix == ".mtx" and length == last:
            continue
        with pytest.raises(FormatError, match=rf"cut\{suffix} is not a readable {suffix[1:]} file"):
            BlockSparseMatrix.load(path)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors", ".mtx"])
def test_noise_is_an_error(tmp_path: Path, suffix: str) -> None:
    require(suffix)

    @settings(max_examples=50)
    @given(st.binary(max_size=300))
    def check(noise: bytes) -> None:
        path = tmp_path / f"noise{suffix}"
        path.write_bytes(noise)
        with pytest.raises(FormatError, match="is not a readable"):
            BlockSparseMatrix.load(path)

    check()


@pytest.mark.filterwarnings("ignore")  # NumPy and zipfile warn of odd headers that they accept
@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors"])
def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path, suffix: str) -> None:
    require(suffix)
    a = random_matrix((12, 8), 4, 0.6)
    a.save(tmp_path / f"a{suffix}")
    whole = (tmp_path / f"a{suffix}").read_bytes()
    path = tmp_path / f"flipped{suffix}"

    @settings(max_examples=150)
    @given(st.integers(0, len(whole) - 1), st.integers(1, 255))
    def check(position: int, change: int) -> None:
        damaged = bytearray(whole)
        damaged[position] ^= change
        path.write_bytes(damaged)
        try:
            BlockSparseMatrix.load(path)  # a flipped bit in a value is a value
        except (FormatError, DTypeError, ShapeError) as error:
            assert str(error)

    check()


def test_pickles_are_not_read(tmp_path: Path) -> None:
    for name in ("a.npy", "a.npz"):
        save = np.save if name.endswith("npy") else np.savez
        save(tmp_path / name, np.array([{}], dtype=object))
        with pytest.raises(FormatError, match=r"is not a readable np. file"):
            BlockSparseMatrix.load(tmp_path / name)


@pytest.mark.parametrize("suffix", OURS)
def test_parts_that_do_not_fit_are_an_error(tmp_path: Path, suffix: str) -> None:
    a = random_matrix((8, 8), 4, 1.0)
    good = files.ours_as_arrays(a.pattern, np.array(a.values), "w")
    changes = {
        "rows": (good["w.rows"] * 0, "is not a valid block-sparse matrix: blocks must be unique"),
        "cols": (good["w.cols"] + 9, "is not a valid block-sparse matrix: block 0 at"),
        "shape": (np.array([8, -8]), "is not a valid block-sparse matrix: shape must be"),
        "block_size": (np.array(0), "is not a valid block-sparse matrix: block_size must be"),
        "values": (good["w.values"][:3], r"w.values has shape \(3, 4, 4\), its pattern needs \(4, 4, 4\)"),
    }
    for part, (array, message) in changes.items():
        path = write_arrays(tmp_path / f"bad{suffix}", **{**good, f"w.{part}": np.array(array, order="C")})
        with pytest.raises(FormatError, match=message):
            BlockSparseMatrix.load(path)


@pytest.mark.parametrize("suffix", OURS)
def test_tensors_that_are_no_matrix_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    arrays = {"cube": np.ones((2, 3, 4), np.float32), "ids": np.ones((4, 4), np.int64), "nan": np.full((2, 2), np.nan)}
    path = write_arrays(tmp_path / f"w{suffix}", **arrays)
    with pytest.raises(ShapeError, match=r"cube must be a matrix of at least 1 x 1, got shape \(2, 3, 4\)"):
        BlockSparseMatrix.load(path, "cube")
    with pytest.raises(DTypeError, match="ids has dtype int64: expected float16, float32 or float64"):
        BlockSparseMatrix.load(path, "ids")
    with pytest.raises(FormatError, match="nan holds 4 values that are NaN or infinite"):
        BlockSparseMatrix.load(path, "nan")
    with pytest.raises(PatternError, match="block size must be a whole number of at least 1, got 0"):
        BlockSparseMatrix.load(path, "cube", block_size=0)


def test_bfloat16_is_widened_and_other_types_are_named(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    require(".safetensors")
    import safetensors.torch

    t = torch.randn(20, 12).bfloat16()
    tensors = {"a": torch.ones(3, 3), "b": t, "c": torch.ones(4, 4).to(torch.float8_e4m3fn)}
    safetensors.torch.save_file(tensors, str(tmp_path / "t.safetensors"))
    a = BlockSparseMatrix.load(tmp_path / "t.safetensors", "b", block_size=4)
    assert a.dtype == "float32"
    np.testing.assert_array_equal(a.to_dense(), t.float().numpy())
    with pytest.raises(DTypeError, match="c has dtype F8_E4M3: expected F16, BF16, F32 or F64"):
        BlockSparseMatrix.load(tmp_path / "t.safetensors", "c")


def test_tensor_values_are_saved(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    a = random_matrix((8, 8), 4, 0.5)
    BlockSparseMatrix(a.pattern, torch.tensor(np.array(a.values), requires_grad=True)).save(tmp_path / "a.npz")
    assert_same(BlockSparseMatrix.load(tmp_path / "a.npz"), a)


MTX = {
    "%%MatrixMarket matrix coordinate integer general\n4 6 2\n1 2 7\n4 6 -3\n": [(0, 1, 7.0), (3, 5, -3.0)],
    "%%MatrixMarket matrix coordinate pattern general\n% a comment\n4 6 1\n2 2\n": [(1, 1, 1.0)],
    "%%MatrixMarket matrix coordinate real symmetric\n4 4 2\n1 1 2.5\n3 1 1e-3\n": [
        (0, 0, 2.5),
        (2, 0, 1e-3),
        (0, 2, 1e-3),
    ],
    "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n": [(0, 0, 1.0), (1, 0, 2.0), (0, 1, 3.0), (1, 1, 4.0)],
}


@pytest.mark.parametrize("text", MTX)
def test_matrix_market_kinds(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.mtx").write_text(text)
    a = BlockSparseMatrix.load(tmp_path / "a.mtx")
    assert a.block_size == (16 if " array " in text.lower() else 1)
    expected = np.zeros(a.shape)
    for row, col, value in MTX[text]:
        expected[row, col] = value
    np.testing.assert_array_equal(a.to_dense(), expected)
    np.testing.assert_array_equal(BlockSparseMatrix.load(tmp_path / "a.mtx", block_size=4).to_dense(), expected)


COORDINATE = "%%MatrixMarket matrix coordinate real general\n"
BAD_MTX = [
    (COORDINATE + "4 4 2\n1 2 7\n1 2 8\n", PatternError, r"block 1 repeats block 0 at \(row 0, column 1\)"),
    (COORDINATE + "4 4 1\n5 2 7\n", FormatError, r"entry 0 at \(5, 2\) is not in 4 x 4"),
    (COORDINATE + "4 4 1\n0 2 7\n", FormatError, r"entry 0 at \(0, 2\) is not in 4 x 4"),
    (COORDINATE + "4 4 1\n1.5 2 7\n", FormatError, r"entry 0 at \(1.5, 2\) is not in 4 x 4"),
    (COORDINATE + "4 4 2\n1 2 7\n", FormatError, "expected 6 numbers, got 3"),
    (COORDINATE + "4 4 1\n1 2 x\n", FormatError, "is not a readable mtx file: could not convert"),
    (COORDINATE + "4 4 1\n1 2 nan\n", FormatError, "holds 1 value that is NaN or infinite"),
    (COORDINATE + "4 4\n", FormatError, "its sizes are '4 4'"),
    (COORDINATE + "0 4 0\n", FormatError, "its sizes are '0 4 0'"),
    (COORDINATE.replace("real", "complex") + "4 4 1\n1 2 7 1\n", DTypeError, "holds complex numbers: expected real"),
    (COORDINATE.replace("general", "odd") + "4 4 0\n", FormatError, "unknown kind real odd"),
    (COORDINATE.replace("general", "symmetric") + "4 5 0\n", FormatError, "symmetric, but 4 x 5"),
    ("%%MatrixMarket vector coordinate real general\n4 1\n", FormatError, "it begins with '%%MatrixMarket vector"),
]


@pytest.mark.parametrize(("text", "kind", "message"), BAD_MTX)
def test_bad_matrix_market_files(tmp_path: Path, text: str, kind: type, message: str) -> None:
    (tmp_path / "a.mtx").write_text(text)
    with pytest.raises(kind, match=message):
        BlockSparseMatrix.load(tmp_path / "a.mtx")


def test_scipy_reads_and_writes_the_same_mtx_files(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io", reason="scipy is not installed")
    a = random_matrix((13, 9), 4, 0.6, "float64")
    a.save(tmp_path / "ours.mtx")
    np.testing.assert_array_equal(io.mmread(tmp_path / "ours.mtx").toarray(), a.to_dense())
    for name, w in (("coo", a.to_scipy("coo")), ("array", a.to_dense())):
        io.mmwrite(tmp_path / f"{name}.mtx", w)
        np.testing.assert_allclose(load_dense(tmp_path / f"{name}.mtx"), a.to_dense(), rtol=1e-15)


def test_unknown_suffixes_are_refused(tmp_path: Path) -> None:
    a = random_matrix((4, 4), 4, 1.0)
    with pytest.raises(FormatError, match=r"cannot read .pt: use .npz, .npy, .safetensors, .mtx"):
        BlockSparseMatrix.load(tmp_path / "a.pt")
    with pytest.raises(FormatError, match=r"cannot write .pt: use .npz, .npy, .safetensors, .mtx"):
        a.save(tmp_path / "a.pt")
    with pytest.raises(FormatError, match="cannot read a file without a suffix"):
        BlockSparseMatrix.load(tmp_path / "a")
    with pytest.raises(FormatError, match="cannot write a file without a suffix"):
        a.save(tmp_path / "a")


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors", ".mtx"])
def test_a_file_that_is_not_there(tmp_path: Path, suffix: str) -> None:
    require(suffix)
    with pytest.raises(FileNotFoundError, match=rf"none\{suffix}"):
        BlockSparseMatrix.load(tmp_path / f"none{suffix}")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_an_interrupted_save_leaves_the_old_file(tmp_path: Path, monkeypatch, stop: type) -> None:
    a = random_matrix((8, 8), 4, 1.0)
    a.save(tmp_path / "a.npz")

    def half_written(path: Path, arrays: dict) -> None:
        path.write_bytes(b"half")
        raise stop("stopped")

    monkeypatch.setattr(file_numpy, "write_npz", half_written)
    with pytest.raises(stop, match="stopped"):
        random_matrix((4, 4), 4, 1.0).save(tmp_path / "a.npz")
    assert os.listdir(tmp_path) == ["a.npz"]
    assert_same(BlockSparseMatrix.load(tmp_path / "a.npz"), a)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors", ".mtx"])
def test_saved_files_follow_the_umask_and_replace_the_old_one(tmp_path: Path, suffix: str) -> None:
    require(suffix)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    old = os.umask(0o022)
    try:
        random_matrix((8, 8), 4, 1.0).save(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert BlockSparseMatrix.load(path).shape == (8, 8)


def test_a_missing_safetensors_is_named(tmp_path: Path, monkeypatch) -> None:
    a = random_matrix((4, 4), 4, 1.0)
    for module in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"reading safetensors files needs safetensors \(.*\): pip install safet"):
        BlockSparseMatrix.load(tmp_path / "a.safetensors")
    with pytest.raises(ImportError, match="writing safetensors files needs safetensors"):
        a.save(tmp_path / "a.safetensors")
    assert os.listdir(tmp_path) == []
