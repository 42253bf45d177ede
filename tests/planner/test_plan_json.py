"""Plans as text: JSON byte for byte, and words for a terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from static_cases import patterns, problems, small_target

import popsparse_planner
from popsparse_planner import BlockPattern, PlanOptions, StaticPlan, plan_static
from popsparse_planner.errors import FormatError
from popsparse_planner.json_data import decode_array, dump, encode_array, parse

TARGET = small_target()
PATTERN = BlockPattern.random((96, 80), density=0.3, block_size=8, seed=5)


def made(n=24, target=TARGET, **asked):
    return plan_static(PATTERN, n, target=target, **asked)


@settings(max_examples=12)
@given(st.data())
def test_every_plan_survives_json_byte_for_byte(data):
    pattern = data.draw(patterns())
    problem = data.draw(problems(pattern))
    target = small_target(tile_bytes=data.draw(st.sampled_from([13_000, 600_000])))
    plan = plan_static(pattern, problem.n, dtype=problem.dtype, partials_dtype=problem.partials_dtype, target=target)
    text = plan.to_json()
    again = StaticPlan.from_json(text)
    assert again.to_json() == text and again == plan and hash(again) == hash(plan)
    assert again.explain() == plan.explain() and again.fits == plan.fits
    assert not again.partition.n_bounds.flags.writeable and again.pattern == pattern


@pytest.mark.parametrize(
    "asked",
    [
        {"strategy": "popsparse"},
        {"strategy": "popsparse", "options": PlanOptions(available_memory_proportion=1e-6)},
        {"target": small_target(tiles=3), "strategy": "popsparse"},
        {"target": small_target(tile_bytes=1_000)},
        {"options": PlanOptions(max_serial_passes=1, seed=7)},
    ],
)
def test_refusals_and_options_survive_json_too(asked):
    plan = made(**asked)
    again = StaticPlan.from_json(plan.to_json())
    assert again.to_json() == plan.to_json() and again.explain() == plan.explain()
    assert again.options == plan.options and again.reason == plan.reason and again.published_cost == plan.published_cost


def test_plans_that_differ_are_unequal():
    assert made() == made() and made() != made(n=28) and made() != "a plan"


SCRIPT = """
import sys
from popsparse_planner import BlockPattern, load_target, plan_static
pattern = BlockPattern.random((96, 80), density=0.3, block_size=8, seed=5)
for strategy in ("balanced", "popsparse"):
    sys.stdout.write(plan_static(pattern, 24, target=load_target("bow").replace(tiles=16), strategy=strategy).to_json())
"""


def test_equal_inputs_give_equal_bytes_in_every_process():
    planner = str(Path(popsparse_planner.__file__).parent.parent)
    outputs = set()
    for seed in ("0", "1", "12345"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": planner}
        run = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, check=True)
        outputs.add(run.stdout)
    assert outputs == {(made().to_json() + made(strategy="popsparse").to_json()).encode()}


def test_the_json_names_its_schema_and_holds_no_nan():
    fields = json.loads(made().to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert fields["schema"] == "popsparse.plan/1" and fields["mode"] == "static"
    assert list(fields) == sorted(fields)
    assert fields["cost"]["total_cycles"] == made().cost.total_cycles


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a plan: the text is no JSON"),
        ("[]", "expected JSON of schema 'popsparse.plan/1', got None"),
        ('{"schema":"popsparse.plan/9"}', "expected JSON of schema 'popsparse.plan/1', got 'popsparse.plan/9'"),
        ('{"schema":"popsparse.plan/1"}', "not a complete static plan: KeyError"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(FormatError, match=message):
        StaticPlan.from_json(text)


@given(st.sampled_from(["int32", "int64", ">i4", "uint16"]), st.lists(st.integers(0, 2000), max_size=12))
def test_arrays_survive_json(dtype, values):
    array = np.array(values, dtype=dtype)
    again = decode_array(json.loads(json.dumps(encode_array(array))))
    assert again.tolist() == values and again.dtype == array.dtype.newbyteorder("<")


@pytest.mark.parametrize(
    "change", [{"base64": "AAA"}, {"base64": "!"}, {"shape": [9]}, {"dtype": "tomato"}, {"base64": None}]
)
def test_damaged_arrays_are_refused(change):
    with pytest.raises(FormatError, match="not an encoded array"):
        decode_array({**encode_array(np.arange(4)), **change})


def test_numbers_that_are_not_json_are_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        dump({"cycles": float("nan")})
    assert parse('{"schema":"a","b":1}', "a")["b"] == 1


def test_a_plan_explains_its_numbers():
    plan = made()
    text = plan.explain()
    assert text == str(plan) and "static balanced plan of (96 x 80) W times (80 x 24) X on bow" in text
    assert f"{PATTERN.nnz_blocks:,} blocks of 8 x 8, density {PATTERN.density:.4g}" in text
    assert (
        f"qm {plan.grid.qm}, qk {plan.grid.qk}, qn {plan.grid.qn}" in text
        and f"{plan.tiles_used:,} of 16 tiles" in text
    )
    assert f"{plan.cost.total_cycles:,.0f} cycles" in text and f"{plan.tflops:.2f} TFLOP/s" in text
    assert f"{plan.memory.peak_bytes:,} of {plan.memory.capacity_bytes:,} B" in text
    assert f"imbalance {plan.imbalance:.2f}" in text and f"most cycles go to {plan.bottleneck}" in text
    for step in plan.steps:
        assert f"{step.name:<9}{step.kind:<9}{step.cycles * step.repeats:>12,.0f} cycles" in text


def test_plans_that_do_not_fit_explain_why():
    short = made(target=small_target(tile_bytes=13_000))
    assert f"does not fit: {short.shortfall}" in short.explain() and short.shortfall.hint in short.explain()
    refused = made(strategy="popsparse", options=PlanOptions(available_memory_proportion=1e-6))
    assert f"no plan: {refused.reason}" in refused.explain() and refused.tflops == 0.0 and refused.grid == (0, 0, 0)
    assert refused.bottleneck == "memory" and refused.speedup_vs_dense is None
    published = made(strategy="popsparse")
    assert f"published estimate{published.published_cost:>12,} cycles" in published.explain()
