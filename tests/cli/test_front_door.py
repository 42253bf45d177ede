"""popsparse_py.plan, and the public names."""

import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import popsparse_py as ps
from popsparse_py import plans
from popsparse_py.plans import cheaper, plan

PATTERN = ps.BlockPattern.random((256, 192), density=0.25)


def test_public_names_are_there_and_few() -> None:
    assert len(set(ps.__all__)) == len(ps.__all__)
    assert 20 <= len(ps.__all__) <= 44
    of_torch = {*ps._HOMES["popsparse_py.nn"], *ps._HOMES["popsparse_py.sparsify"]}
    for name in ps.__all__:
        if find_spec("torch") or name not in of_torch:
            assert getattr(ps, name) is not None
        assert name in dir(ps)


def test_layers_say_that_they_need_torch() -> None:
    hide = "import sys; sys.modules['torch'] = None; import popsparse_py; popsparse_py.StaticSparseLinear"
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True)
    assert "ImportError: popsparse_py.nn needs torch" in done.stderr


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'popsparse_py' has no attribute 'spnn'"):
        ps.spnn  # noqa: B018


def test_matrix_pattern_and_shape_give_the_same_plan() -> None:
    values = np.ones((PATTERN.nnz_blocks, 16, 16), dtype=np.float16)
    expected = ps.plan_static(PATTERN, 64)
    assert plan(ps.BlockSparseMatrix(PATTERN, values), 64) == expected
    assert plan(PATTERN, 64) == expected
    assert plan((256, 192), 64, density=Fraction(1, 4)) == expected


def test_matrix_brings_its_data_type() -> None:
    a = ps.BlockSparseMatrix(PATTERN, np.ones((PATTERN.nnz_blocks, 16, 16), dtype=np.float32))
    assert plan(a, 64).problem.dtype == "float32"
    with pytest.raises(ps.DTypeError, match="dtype 'float64' is not supported on an IPU"):
        plan(a.astype("float64"), 64)


def test_options_are_handed_on() -> None:
    found = plan(
        PATTERN, 64, strategy="popsparse", target="mk2", options=ps.PlanOptions(available_memory_proportion=0.4)
    )
    assert (found.strategy, found.target.name, found.options.available_memory_proportion) == ("popsparse", "mk2", 0.4)
    assert plan(PATTERN, 64, dtype="float16", partials_dtype="float16").problem.partials_dtype == "float16"


def test_target_ipu_model_is_the_bow_chip() -> None:
    four = ps.load_target("bow").replace(tiles=4)
    assert plan(PATTERN, 64, target="ipu_model").target == ps.load_target("bow")
    assert plan(PATTERN, 64, target=four).target.tiles == 4
    with pytest.raises(ps.TargetError, match="target 'moon' is unknown: expected one of bow, mk2"):
        plan(PATTERN, 64, target="moon")


def test_mode_dense_needs_only_a_shape() -> None:
    assert plan((256, 192), 64, mode="dense") == ps.plan_dense(256, 192, 64) == plan(PATTERN, 64, mode="dense")


def test_mode_auto_takes_the_cheaper() -> None:
    assert plan((4096, 4096), 1024, density=1 / 16, mode="auto").mode == "static"
    assert plan((512, 512), 256, density=1, mode="auto").mode == "dense"


def test_only_what_fits_is_cheaper() -> None:
    one_tile = ps.load_target("bow").replace(tiles=1)
    large = ps.BlockPattern.random((1024, 1024), density=1 / 64)
    static, dense = ps.plan_static(large, 8, target=one_tile), ps.plan_dense(1024, 1024, 8, target=one_tile)
    assert (static.fits, dense.fits) == (True, False)
    assert cheaper(static, dense) is static
    full = ps.plan_static(ps.BlockPattern.random((1024, 1024), density=1), 8, target=one_tile)
    assert not full.fits
    assert cheaper(full, dense) is full
    assert cheaper(full, ps.plan_dense(64, 64, 8, target=one_tile)).mode == "dense"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((256, 192), 64), {"mode": "dynamic"}, "a shape alone has no pattern: give the density=1/16"),
        ((PATTERN, 64), {"mode": "best"}, "mode 'best' is unknown: expected one of static, dynamic, dense, auto"),
        ((PATTERN, 64), {"density": 0.5}, r"density 0\.5 belongs to a shape \(m, k\): a BlockPattern has its own"),
        (((256, 192), 64), {}, r"a shape alone has no pattern: give density=1/16 .*, a BlockPattern, or mode='dense'"),
        (("w", 64), {}, r"expected a BlockSparseMatrix, a BlockPattern or a shape \(m, k\) to plan for, got str"),
    ],
)
def test_bad_arguments_are_told(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(ps.PlanError, match=message):
        plan(*arguments, **options)


def test_modes_are_those_of_the_message() -> None:
    for mode in plans.MODES:
        found: Any = plan((64, 64), 8, density=0.5, mode=mode) if mode != "dense" else plan((64, 64), 8, mode=mode)
        assert found.fits
