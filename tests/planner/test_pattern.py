"""BlockPattern: construction, set algebra, files, and the errors of each."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.errors import FormatError, PatternError, ShapeError
from popsparse_planner.pattern import BlockPattern

BLOCK_SIZES = (1, 3, 4, 8, 16)


@st.composite
def patterns(draw, shape=None, block_size=None):
    """Patterns of ragged shapes, from empty to full."""
    b = block_size or draw(st.sampled_from(BLOCK_SIZES))
    m, k = shape or (draw(st.integers(1, 70)), draw(st.integers(1, 70)))
    grid = (-(-m // b), -(-k // b))
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    mask = np.random.default_rng(draw(st.integers(0, 99))).random(grid) < share
    return BlockPattern.from_mask(mask, block_size=b, shape=(m, k))


@st.composite
def pattern_pairs(draw):
    first = draw(patterns())
    return first, draw(patterns(shape=first.shape, block_size=first.block_size))


def small(**changes):
    fields = {"rows": [0, 1, 1], "cols": [2, 0, 1], "shape": (7, 9), "block_size": 4}
    return BlockPattern.from_indices(**{**fields, **changes})


def test_a_small_pattern_by_hand():
    pattern = small()
    assert pattern.shape == (7, 9) and pattern.block_size == 4 and pattern.block_grid == (2, 3)
    assert pattern.nnz_blocks == 3 and pattern.nnz == 48 and pattern.density == 0.5
    assert pattern.rows.dtype == pattern.cols.dtype == np.int32
    assert pattern.row_offsets().tolist() == [0, 1, 3] and pattern.row_offsets().dtype == np.int64
    assert pattern.to_mask().tolist() == [[False, False, True], [True, True, False]]
    assert repr(pattern) == "BlockPattern(shape=(7, 9), block_size=4, nnz_blocks=3, density=0.5)"


def test_indices_are_sorted_row_major():
    shuffled = BlockPattern.from_indices([1, 0, 1], [1, 2, 0], shape=(7, 9), block_size=4)
    assert shuffled == small() and shuffled.rows.tolist() == [0, 1, 1] and shuffled.cols.tolist() == [2, 0, 1]


def test_the_digest_is_the_same_in_every_process():
    assert small().digest() == "9f80df329dde0fda4a7a2e3a22c2eb7898496223ba1e1523e3017699c3db5095"


@given(pattern_pairs())
def test_equal_content_means_equal_hash_and_digest(pair):
    first, second = pair
    again = BlockPattern.from_mask(first.to_mask(), block_size=first.block_size, shape=first.shape)
    assert again == first and hash(again) == hash(first) and again.digest() == first.digest()
    assert (first == second) == (first.digest() == second.digest())
    assert first != BlockPattern.from_mask(first.to_mask(), block_size=first.block_size + 1)
    assert first != "a text"


@given(patterns())
def test_arrays_are_read_only_also_after_pickling(pattern):
    again = pickle.loads(pickle.dumps(pattern))
    assert again == pattern
    for array in (pattern.rows, pattern.cols, again.rows, again.cols):
        assert not array.flags.writeable
    with pytest.raises(AttributeError):
        pattern.block_size = 3


@given(patterns())
def test_mask_and_indices_round_trip(pattern):
    mask = pattern.to_mask()
    assert mask.shape == pattern.block_grid and mask.sum() == pattern.nnz_blocks
    assert BlockPattern.from_mask(mask, block_size=pattern.block_size, shape=pattern.shape) == pattern
    backwards = BlockPattern.from_indices(
        pattern.rows[::-1], pattern.cols[::-1], shape=pattern.shape, block_size=pattern.block_size
    )
    assert backwards == pattern


@given(patterns())
def test_row_offsets_bound_the_rows(pattern):
    offsets = pattern.row_offsets()
    assert np.array_equal(np.diff(offsets), pattern.to_mask().sum(axis=1))


@given(patterns())
def test_transpose_is_an_involution(pattern):
    transposed = pattern.transpose()
    assert transposed.shape == pattern.shape[::-1]
    assert np.array_equal(transposed.to_mask(), pattern.to_mask().T)
    assert transposed.transpose() == pattern


@given(pattern_pairs())
def test_set_algebra_agrees_with_masks(pair):
    a, b = pair
    for result, mask in (
        (a | b, a.to_mask() | b.to_mask()),
        (a & b, a.to_mask() & b.to_mask()),
        (a - b, a.to_mask() & ~b.to_mask()),
    ):
        assert np.array_equal(result.to_mask(), mask) and result.shape == a.shape
    assert (a - b) | (a & b) == a


@given(patterns())
def test_files_round_trip(tmp_path_factory, pattern):
    folder = tmp_path_factory.mktemp("pattern")
    pattern.save(folder / "p.npz")
    assert BlockPattern.load(folder / "p.npz") == pattern
    assert [path.name for path in folder.iterdir()] == ["p.npz"]
    pattern.save(str(folder / "q.npz"))
    assert (folder / "p.npz").read_bytes() == (folder / "q.npz").read_bytes()


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    small().save(tmp_path / "p.npz")

    def interrupted(*arguments, **arrays):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small(rows=[0, 0, 0], cols=[0, 1, 2]).save(tmp_path / "p.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]
    assert BlockPattern.load(tmp_path / "p.npz") == small()


def _no_file(path):
    path.write_bytes(b"no pattern")


def _empty_file(path):
    path.write_bytes(b"")


def _half_a_file(path):
    small().save(path)
    path.write_bytes(path.read_bytes()[:200])


def _flipped_bytes(path):
    small().save(path)
    content = bytearray(path.read_bytes())
    at = content.find(b"rows.npy") + 30
    content[at : at + 20] = bytes(20)
    path.write_bytes(bytes(content))


def _array_file(path):
    with open(path, "wb") as file:
        np.save(file, np.arange(3))


def _other_arrays(path):
    with open(path, "wb") as file:
        np.savez(file, weights=np.arange(3))


def _pickled(path):
    with open(path, "wb") as file:
        np.savez(file, format=np.array([{}], dtype=object))


@pytest.mark.parametrize(
    "write", [_no_file, _empty_file, _half_a_file, _flipped_bytes, _array_file, _other_arrays, _pickled]
)
def test_a_corrupt_file_is_refused(tmp_path, write):
    path = tmp_path / "p.npz"
    write(path)
    with pytest.raises(FormatError, match=r"p\.npz is not a readable pattern file \(\.npz of BlockPattern\.save\): "):
        BlockPattern.load(path)


def _save_raw(path, **changes):
    fields = {"format": "popsparse.pattern/1", "shape": [7, 9], "block_size": 4, "rows": [0], "cols": [0], **changes}
    with open(path, "wb") as file:
        np.savez(file, **{name: np.array(value) for name, value in fields.items()})


def test_a_file_with_a_bad_pattern_says_what_is_wrong(tmp_path):
    path = tmp_path / "p.npz"
    _save_raw(path)
    assert BlockPattern.load(path).nnz_blocks == 1
    _save_raw(path, rows=[5])
    with pytest.raises(FormatError, match=r"block 0 at \(row 5, column 0\) lies outside the 2 x 3 blocks"):
        BlockPattern.load(path)
    _save_raw(path, format="other/2")
    with pytest.raises(FormatError, match=re.escape("expected format popsparse.pattern/1, got other/2")):
        BlockPattern.load(path)
    with pytest.raises(FileNotFoundError):
        BlockPattern.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        (
            {"rows": [0, 2, 1]},
            PatternError,
            "block 1 at (row 2, column 0) lies outside the 2 x 3 blocks of shape (7, 9)",
        ),
        ({"cols": [-1, 0, 3]}, PatternError, "block 0 at (row 0, column -1) lies outside the 2 x 3 blocks"),
        ({"rows": [1, 1, 1], "cols": [2, 0, 2]}, PatternError, "block 2 repeats block 0 at (row 1, column 2)"),
        ({"rows": [1, 1, 1], "cols": [2, 2, 2]}, PatternError, "block 1 repeats block 0 at (row 1, column 2)"),
        ({"rows": [0, 1]}, PatternError, "rows and cols must be equally long, got 2 and 3"),
        ({"rows": [0.0, 1.0, 1.0]}, PatternError, "rows must be integers, got float64"),
        ({"cols": [[0, 1, 2]]}, PatternError, "cols must have one dimension, got shape (1, 3)"),
        ({"block_size": 0}, PatternError, "block_size must be a whole number of at least 1, got 0"),
        ({"block_size": 2.5}, PatternError, "block_size must be a whole number of at least 1, got 2.5"),
        ({"block_size": True}, PatternError, "block_size must be a whole number of at least 1, got True"),
        ({"shape": (7, 0)}, ShapeError, "shape must be (m, k), two whole numbers of at least 1, got (7, 0)"),
        ({"shape": 7}, ShapeError, "shape must be (m, k), two whole numbers of at least 1, got 7"),
        ({"shape": (7, 9, 1)}, ShapeError, "shape must be (m, k), two whole numbers of at least 1, got (7, 9, 1)"),
        ({"shape": (2**31, 9), "block_size": 1}, PatternError, "a grid of 2147483648 x 9 blocks is too large"),
    ],
)
def test_bad_indices_are_named(changes, kind, text):
    with pytest.raises(kind, match=re.escape(text)):
        small(**changes)


def test_the_numbers_of_an_error_are_attributes():
    with pytest.raises(PatternError) as caught:
        small(rows=[0, 2, 1])
    assert (caught.value.entry, caught.value.row, caught.value.col) == (1, 2, 0)


def test_the_constructor_wants_sorted_unique_blocks():
    for rows, cols in (([1, 0], [0, 0]), ([0, 0], [1, 1])):
        with pytest.raises(
            PatternError, match=r"unique and in row-major order: use BlockPattern\.from_indices to sort"
        ):
            BlockPattern((7, 9), 4, np.array(rows), np.array(cols))
    with pytest.raises(PatternError, match="rows and cols must be equally long, got 1 and 0"):
        BlockPattern((7, 9), 4, np.array([0]), np.array([]))


def test_bad_masks_are_named():
    with pytest.raises(PatternError, match="mask must be boolean, got int64: use mask != 0"):
        BlockPattern.from_mask(np.ones((2, 3), dtype=np.int64), block_size=4)
    with pytest.raises(ShapeError, match=re.escape("mask must have 2 dimensions (m/b, k/b), got shape (3,)")):
        BlockPattern.from_mask(np.ones(3, dtype=bool), block_size=4)
    with pytest.raises(ShapeError, match=re.escape("shape (9, 9) has (3, 3) blocks of 4, the mask has (2, 3)")):
        BlockPattern.from_mask(np.ones((2, 3), dtype=bool), block_size=4, shape=(9, 9))
    with pytest.raises(ShapeError, match=re.escape("two whole numbers of at least 1, got (0, 12)")):
        BlockPattern.from_mask(np.ones((0, 3), dtype=bool), block_size=4)


def test_patterns_that_do_not_match_cannot_be_combined():
    with pytest.raises(ShapeError, match=re.escape("patterns of shapes (7, 9) and (8, 9) cannot be combined")):
        small() | small(shape=(8, 9))
    with pytest.raises(PatternError, match="patterns of block sizes 4 and 3 cannot be combined"):
        small() & small(block_size=3)
    with pytest.raises(TypeError, match="unsupported operand"):
        small() - 1
