"""Cycle rules of the published dynamic codelets against its real functions, row by row."""

import csv
from pathlib import Path

import numpy as np
import pytest

from popsparse_planner import codelet_cycles as cycles
from popsparse_planner import dynamic_codelet_cycles as dynamic
from popsparse_planner.errors import PlanError

DATA = Path(__file__).parent.parent / "data" / "popsparse_dynamic_codelet_cycles.csv"
DTYPES = {0: "float16", 1: "float32"}
ELEMENT_RULES = {
    "sparseDenseElementwiseMultiply": dynamic.forward_element_cycles,
    "sparseDenseGradAElementwiseMultiply": dynamic.grad_input_element_cycles,
    "sparseDenseTransposeElementwiseMultiply": dynamic.transpose_element_cycles,
    "sparseDenseGradWElementwiseMultiply": dynamic.grad_weight_element_cycles,
}


def _inputs(row):
    pairs = (item.split("=") for item in row["inputs"].split(";"))
    lists = {name: [int(part) for part in value.split("|")] for name, value in pairs}
    return {name: value if name.startswith("numY") else value[0] for name, value in lists.items()}


def _multiply(function, given):
    buckets = dynamic.Buckets(given["numBuckets"], given["numBucketsForPN"], given["avgSubgroups"])
    dtype = DTYPES[given["floatInput"]]
    if function in ELEMENT_RULES:
        return ELEMENT_RULES[function](dtype, buckets, given["numX"], given["numZ"], given["numY"])
    work = (buckets, given["numXBlocks"], given["numZ"], given["numYBlocks"])
    types = (dtype, DTYPES[given["floatPartials"]], given["block"])
    if function == "sparseDenseBlockMultiply":
        keeps_x, units = given["retainX"], given["numConvUnits"]
        return dynamic.block_cycles(*types, *work, transposed=not keeps_x, units=units)
    if function == "sparseDenseBlockMultiplyGradWAmp":
        return dynamic.grad_weight_amp_cycles(*types, *work, units=given["numConvUnits"])
    return dynamic.grad_weight_block_cycles(*types, *work)


def _published(row):
    """Our value for one row of the reference file."""
    function, given = row["function"], _inputs(row)
    if function.startswith("sparseDense"):
        return _multiply(function, given)
    if function == "zeroPartialsCycles":
        return dynamic.published_zero_partials_cycles(given["numPartials"])
    if function == "sparseGatherElementWiseCycles":
        return dynamic.gather_cycles(DTYPES[given["floatData"]], given["numIndices"])
    if function == "getBlockTransposeGradWCycles":
        dtype = DTYPES[given["floatInput"]]
        return dynamic.block_transpose_cycles(dtype, given["blockSizeXY"], given["numBlocks"], given["numZ"])
    if function == "getTransposeCycleEstimate":
        dtype = DTYPES[given["float"]]
        return dynamic.transpose_blocks_cycles(dtype, given["numTransposes"], given["rows"], given["cols"])
    if function == "getCastCycleEstimate":
        widths = {4: "float16", 2: "float32"}
        types = (widths[given["partialsVectorWidth"]], widths[given["outputVectorWidth"]])
        return cycles.cast_cycles(given["outputSize"], *types)
    types = (DTYPES[given["partialsFloat"]], DTYPES[given["outFloat"]])
    return cycles.published_general_reduce_cycles(given["outSize"], given["partialsSize"], *types)


def test_every_published_row_is_reproduced():
    with DATA.open() as lines:
        rows = list(csv.DictReader(lines))
    wrong = [(row, int(_published(row))) for row in rows if int(_published(row)) != int(row["cycles"])]
    assert len(rows) == 1888 and not wrong, wrong[:3]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_columns_of_arrays_equal_single_values(dtype):
    z = np.arange(2, 40, 2)
    for rule in ELEMENT_RULES.values():
        together = rule(dtype, dynamic.Buckets(4, 2, 3), 5, z, np.full((len(z), 2), [3, 17]))
        alone = [int(rule(dtype, dynamic.Buckets(4, 2, 3), 5, one, [3, 17])) for one in z]
        assert together.tolist() == alone


def test_a_block_without_a_codelet_is_refused():
    with pytest.raises(PlanError, match="no dynamic codelet for float16 blocks of 2 with float16 partials"):
        dynamic.block_cycles("float16", "float16", 2, dynamic.Buckets(1, 1), 1, 1, 1)
