"""`popsparse plan`: output, densities, modes, and every complaint by its text."""

from pathlib import Path
from typing import Any

import pytest

from popsparse_planner import BlockPattern, load_target, plan_dense, plan_static

SMALL = ("plan", "-m", 256, "-k", 192, "-n", 64)


def test_tables_show_steps_memory_and_candidates(popsparse: Any) -> None:
    done = popsparse(*SMALL, "-b", 16, "-d", "1/4", "--mode", "static")
    assert done.code == 0
    assert done.err == ""
    for text in (
        "static plan (balanced) of (256 x 192) W times (192 x 64) X on bow, float16 with float32 partials",
        "W: 48 blocks of 16 x 16, density 0.25",
        "partition: qm ",
        "predicted cycles",
        "bytes on the worst tile",
        "total of 638,976",
        "candidates: ",
        "chosen",
    ):
        assert text in done.out


def test_verdict_is_that_of_the_plan(popsparse: Any) -> None:
    plan = plan_static(BlockPattern.random((256, 192), density=0.25), 64)
    done = popsparse(*SMALL, "-d", 0.25, "--mode", "static", "--quiet")
    assert len(done.out.splitlines()) == 1
    assert done.out.startswith(f"fits; {plan.cost.total_cycles:,.0f} cycles = ")
    assert done.out.rstrip().endswith(" than dense")


def test_json_is_one_object_with_the_plans_numbers(popsparse: Any) -> None:
    plan = plan_static(BlockPattern.random((256, 192), density=0.25), 64)
    fields = popsparse(*SMALL, "-d", "1/4", "--mode", "static", "--json").fields
    assert fields["schema"] == "popsparse.cli.plan/1"
    assert fields["fits"] is True
    assert fields["cost"] == plan.cost.to_dict()
    assert fields["grid"] == plan.grid._asdict()
    assert fields["memory"]["peak_bytes"] == sum(fields["memory"]["categories"].values()) == plan.memory.peak_bytes
    assert sum(step["cycles"] for step in fields["steps"]) == pytest.approx(plan.cost.total_cycles)
    assert len(fields["candidates"]) == len(plan.candidates)


@pytest.mark.parametrize("words", [("-d", "1/16"), ("-d", "0.0625"), ("--density", ".0625"), ("--sparsity", "0.9375")])
def test_densities_may_be_fractions_decimals_or_sparsities(popsparse: Any, words: tuple) -> None:
    fields = popsparse(*SMALL, *words, "--mode", "static", "--json").fields
    assert (fields["nnz_blocks"], fields["density"]) == (12, 0.0625)


def test_mode_auto_takes_the_cheaper_and_shows_both(popsparse: Any) -> None:
    full = ("plan", "-m", 512, "-k", 512, "-n", 256, "-d", "1")
    fields = popsparse(*full, "--json").fields
    assert (fields["asked"], fields["mode"]) == ("auto", "dense")
    assert fields["static"]["cost"]["total_cycles"] > fields["cost"]["total_cycles"]
    done = popsparse(*full)
    assert "dense plan of (512 x 512)" in done.out
    assert "x faster than static" in done.out.splitlines()[-1]


def test_mode_dense_needs_no_density(popsparse: Any) -> None:
    fields = popsparse(*SMALL, "--mode", "dense", "--json").fields
    assert fields["cost"] == plan_dense(256, 192, 64).cost.to_dict()
    assert popsparse(*SMALL, "--mode", "dense", "--quiet").out.rstrip().endswith("; dense")


def test_mask_brings_pattern_and_shape(popsparse: Any, tmp_path: Path) -> None:
    pattern = BlockPattern.random((120, 90), density=0.3, block_size=8, kind="banded")
    pattern.save(tmp_path / "m.npz")
    fields = popsparse("plan", "--mask", tmp_path / "m.npz", "-n", 32, "--mode", "static", "--json").fields
    sizes = [fields[name] for name in ("m", "k", "block_size", "nnz_blocks")]
    assert sizes == [120, 90, 8, pattern.nnz_blocks]
    dense = popsparse("plan", "--mask", tmp_path / "m.npz", "-n", 32, "--mode", "dense", "--json").fields
    assert (dense["m"], dense["k"]) == (120, 90)


def test_options_reach_the_planner(popsparse: Any) -> None:
    words = (
        "--dtype",
        "float32",
        "--pattern-kind",
        "row_skew",
        "--seed",
        3,
        "--target",
        "mk2",
        "--strategy",
        "popsparse",
    )
    fields = popsparse(*SMALL, "-b", 8, "-d", 0.2, *words, "--mode", "static", "--json").fields
    pattern = BlockPattern.random((256, 192), density=0.2, block_size=8, kind="row_skew", seed=3)
    plan = plan_static(pattern, 64, dtype="float32", target="mk2", strategy="popsparse")
    assert (fields["target"], fields["strategy"]) == ("mk2", "popsparse")
    assert fields["published_cycles"] == plan.published_cost
    assert fields["cost"] == plan.cost.to_dict()


def test_plan_that_does_not_fit_says_so_and_exits_1(popsparse: Any, tmp_path: Path) -> None:
    small = tmp_path / "small.toml"
    fact = '[{}]\nvalue = {}\nunit = "{}"\nsource = "a test"\nstatus = "assumed"\n'
    small.write_text('base = "bow"\n' + fact.format("tiles", 2, "tiles"))
    assert load_target(small).tiles == 2
    words = ("plan", "-m", 2048, "-k", 2048, "-n", 64, "-d", "1/2", "--target", small)
    done = popsparse(*words, "--mode", "static")
    assert done.code == 1
    assert "does not fit: tile" in done.out
    fields = popsparse(*words, "--json")
    assert (fields.code, fields.fields["fits"]) == (1, False)
    assert "B" in fields.fields["reason"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-d", "2"), "--density must lie in (0, 1], got 2"),
        (("-d", "0"), "--density must lie in (0, 1], got 0"),
        (("-d", "nan"), "--density expects a number such as 1/16 or 0.0625, got 'nan'"),
        (("-d", "1/0"), "--density expects a number such as 1/16 or 0.0625, got '1/0'"),
        (("--sparsity", "1"), "--sparsity must lie in [0, 1), got 1"),
        (("--sparsity", "much"), "--sparsity expects a number such as 1/16 or 0.0625, got 'much'"),
        (("-d", "1/4", "--sparsity", "0.5"), "--density and --sparsity say the same thing: give one of them"),
        ((), "a density is needed: -d 1/16 or --sparsity 0.9 (or a pattern: --mask FILE)"),
        (("-d", "1/4", "-b", "5"), "block size 5 has no codelet on the IPU: expected one of (1, 4, 8, 16)"),
        (("-d", "1/4", "--dtype", "int8"), "dtype 'int8' is not supported on an IPU"),
        (("--mode", "dynamic"), "a density is needed: -d 1/16 or --sparsity 0.9 (or a pattern: --mask FILE)"),
        (
            ("-d", "1/4", "--mode", "dynamic", "--strategy", "balanced"),
            "strategy 'balanced' is unknown: expected one of quantile, popsparse",
        ),
        (("-d", "1/4", "--mode", "fast"), "mode 'fast' is unknown: expected one of static, dynamic, dense, auto"),
        (("-d", "1/4", "--strategy", "best"), "strategy 'best' is unknown: expected one of balanced, popsparse"),
        (("-d", "1/4", "--pattern-kind", "dots"), "dots"),
        (("-d", "1/4", "--target", "moon"), "target 'moon' is unknown: expected one of bow, mk2"),
        (
            ("--mask", "m.npz"),
            "--mask brings its own shape, block size and density: leave -m, -k, -d and --sparsity out",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(popsparse: Any, words: tuple, message: str) -> None:
    done = popsparse(*SMALL, *words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("popsparse: ")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_missing_shape_and_unreadable_masks_are_told(popsparse: Any, tmp_path: Path) -> None:
    done = popsparse("plan", "-n", 64, "-d", "1/4")
    assert (done.code, done.err) == (2, "popsparse: -m and -k are needed (or a pattern: --mask FILE)\n")
    done = popsparse("plan", "-n", 64, "--mask", tmp_path / "none.npz")
    assert done.code == 2
    assert "No such file" in done.err
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4 not really")
    done = popsparse("plan", "-n", 64, "--mask", tmp_path / "bad.npz")
    assert done.code == 2
    assert "is not a readable pattern file" in done.err


@pytest.mark.parametrize(
    "words", [("plan", "-m", 0, "-k", 4, "-n", 4), ("plan", "-m", 4, "-k", 4), ("plan", "--depth", 1)]
)
def test_usage_errors_exit_2(popsparse: Any, words: tuple) -> None:
    done = popsparse(*words)
    assert done.code == 2
    assert "Usage: popsparse plan" in done.err


def test_dynamic_plan_needs_only_a_density(popsparse: Any) -> None:
    done = popsparse("plan", "-m", "512", "-k", "512", "-n", "64", "-d", "1/16", "--mode", "dynamic", "--json")
    assert done.code == 0
    assert (done.fields["mode"], done.fields["strategy"], done.fields["capacity_blocks"]) == ("dynamic", "quantile", 64)
    assert done.fields["propagation_probability"] < 0.01
    shown = popsparse("plan", "-m", "512", "-k", "512", "-n", "64", "-d", "1/16", "--mode", "dynamic")
    for text in ("dynamic plan (quantile)", "any pattern of up to 64 blocks of 16 x 16", "buckets: "):
        assert text in shown.out
