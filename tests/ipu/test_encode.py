"""Arrays of a caller and the buffers of a program."""

import numpy as np
import pytest
from hypothesis import given
from products import plan_with_partition
from static_cases import static_cases

from popsparse_planner.errors import FormatError
from popsparse_planner.problem import Problem
from popsparse_py.ipu.encode import decode_y, encode_values, encode_x
from popsparse_py.ipu.lower_static import lower_static


def test_x_lies_in_columns_of_blocks():
    problem = Problem(8, 6, 3, 4, "float16")
    x = np.arange(18, dtype=np.float16).reshape(6, 3)
    home = encode_x(problem, x).reshape(2, 4, 4)
    assert home[0, 1].tolist() == [1, 4, 7, 10], "column 1 of block row 0"
    assert home[1, 2].tolist() == [14, 17, 0, 0], "rows beyond k are zero"
    assert not home[:, 3].any(), "columns beyond n are zero"


@pytest.mark.parametrize("block_size", [1, 4, 8, 16])
def test_y_comes_back_as_x_went(block_size):
    problem = Problem(37, 37, 11, block_size, "float32", "float32")
    x = np.random.default_rng(0).standard_normal((37, 11)).astype(np.float32)
    assert np.array_equal(decode_y(problem, encode_x(problem, x)), x)


@given(static_cases())
def test_values_lie_where_the_vertices_read_them(case):
    """Every run's slice of `values` holds its blocks, each as often as parts hold it (or once in a linear home)."""
    pattern, problem, partition = case
    lowered = lower_static(plan_with_partition(pattern, problem, partition))
    found = np.bincount(lowered.value_blocks, minlength=pattern.nnz_blocks + 1)[: pattern.nnz_blocks]
    copies = 1 if partition.values == "broadcast" else partition.num_parts
    assert np.all(found == copies)
    if pattern.nnz_blocks:
        values = np.arange(pattern.nnz_blocks, dtype=problem.dtype)[:, None, None]
        values = np.broadcast_to(values, (pattern.nnz_blocks, problem.block_size, problem.block_size))
        encoded = encode_values(problem, values, lowered.value_blocks)
        assert len(encoded) == lowered.program.variables["values"].length


def test_bad_values_name_their_block():
    problem, values = Problem(8, 8, 4, 4), np.zeros((3, 4, 4), np.float16)
    values[1, 2, 3] = np.inf
    with pytest.raises(FormatError, match="values of W hold NaN or infinity, first in block 1: replace them") as error:
        encode_values(problem, values, np.zeros(3, dtype=int))
    assert error.value.block == 1
