"""`popsparse run`: the demo, weights in files, the check against float64, and every complaint by its text."""

from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from popsparse_planner import load_target
from popsparse_py import plans
from popsparse_py.cli import run_command, run_cpu
from popsparse_py.ops import Result, run

pytest.importorskip("popsparse_py._core", reason="the native core is not built")


def test_demo_prints_everything_and_is_correct(popsparse: Any) -> None:
    done = popsparse("run", "--demo")
    assert (done.code, done.err) == (0, "")
    for text in (
        "weight: encoder.layer.0.intermediate.dense.weight of minilm_intermediate.safetensors, pruned to density 1/8",
        "(1,536 x 384) W times (384 x 128) X on bow, float16 with float32 partials",
        "W: 288 blocks of 16 x 16, density 0.125",
        "partition: qm ",
        "cycles by phase",
        "predicted",
        "counted",
        "TFLOP/s of nonzeros counted",
        "than dense, predicted for the same chip",
        "blocks of a tile",
        "of 638,976 B counted",
        "|W||X|",
        "embedded model of a Bow IPU",
        "This project has never been run on an IPU.",
        "correct: error ",
    ):
        assert text in done.out


def test_demo_on_the_cpu_is_timed_and_correct(popsparse: Any) -> None:
    done = popsparse("run", "--demo", "--target", "cpu", "-n", 20)
    assert (done.code, done.err) == (0, "")
    for text in (
        "weight: encoder.layer.0",
        "cpu plan of (1536 x 384) W times (384 x 20) X",
        "first call",
        "correct: error",
    ):
        assert text in done.out
    fields = popsparse("run", "--demo", "--target", "cpu", "--json").fields
    assert fields["ok"]
    assert (fields["executed_on"], fields["plan"]["schema"]) == ("cpu", "popsparse.cpu-plan/1")
    assert 0 < fields["min_seconds"] <= fields["median_seconds"]
    for words, message in (
        (("--mode", "dynamic", "--update", 2), "--update, --mode dynamic: target cpu has one kind of plan"),
        (("--strategy", "popsparse"), "--strategy: target cpu has one kind of plan"),
    ):
        refused = popsparse("run", "--demo", "--target", "cpu", *words)
        assert (refused.code, message in refused.err) == (2, True)


def test_wrong_product_on_the_cpu_is_told(popsparse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any, **options: Any) -> Result:
        y, trace = run(*arguments, **options)
        return Result(y + 1, trace)

    monkeypatch.setattr(run_cpu, "run", wrong)
    done = popsparse("run", "--demo", "--target", "cpu", "--quiet")
    assert done.code == 1
    assert done.out.startswith("WRONG: an error is ")


def test_demo_as_json_counts_what_was_predicted(popsparse: Any) -> None:
    fields = popsparse("run", "--demo", "--json").fields
    assert (fields["schema"], fields["ok"], fields["accuracy"]["ok"]) == ("popsparse.cli.run/1", True, True)
    assert 0 < fields["accuracy"]["worst_ratio"] <= 1
    assert "never run on an IPU" in fields["executed_on"]
    phases = {phase["name"]: phase for phase in fields["phases"]}
    assert {"gather", "dot", "reduce", "control", "sync"} <= set(phases)
    counted = sum(phase["counted"] for phase in fields["phases"])
    predicted = sum(phase["predicted"] for phase in fields["phases"])
    assert counted == pytest.approx(fields["trace"]["numbers"]["total_cycles"]["value"])
    assert predicted == pytest.approx(fields["plan"]["cost"]["total_cycles"])
    assert counted == pytest.approx(predicted, rel=0.03)


def test_phases_of_several_passes_are_summed(popsparse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_tiles = load_target("bow").replace(tiles=4, tile_bytes=150_000)
    monkeypatch.setattr(plans, "chip", lambda target: small_tiles)
    np.save(tmp_path / "w.npy", np.random.default_rng(0).standard_normal((128, 128)).astype(np.float16))
    fields = popsparse("run", tmp_path / "w.npy", "-d", "1/2", "-n", 500, "--json").fields
    assert fields["plan"]["passes"] > 1
    assert [phase["name"] for phase in fields["phases"] if "." in phase["name"]] == []
    for total, which in (("total_cycles", "counted"), ("planned_cycles", "predicted")):
        assert sum(phase[which] for phase in fields["phases"]) == pytest.approx(
            fields["trace"]["numbers"][total]["value"]
        )


def test_files_of_every_kind_run(popsparse: Any, weights: Dict[str, Path]) -> None:
    expected = {  # file: (extra words, block size, blocks, dtype)
        "npy": (("-b", 8, "-d", "1/4"), 8, 14, "float32"),
        "npz": (("-b", 4, "--sparsity", "0.5", "--dtype", "float16"), 4, 98, "float16"),
        "safetensors": ((), 4, 49, "float16"),
        "mtx": (("--dtype", "float16"), 1, 784, "float16"),
    }
    for suffix, (words, block_size, blocks, dtype) in expected.items():
        name = f"{weights[suffix]}:up" if suffix == "npz" else str(weights[suffix])
        done = popsparse("run", name, "-n", 20, *words, "--json")
        assert done.code == 0, done.err
        plan = done.fields["plan"]
        assert (plan["m"], plan["k"], plan["n"]) == (60, 52, 20)
        assert (plan["block_size"], plan["nnz_blocks"], plan["dtype"]) == (block_size, blocks, dtype)


def test_quiet_is_the_verdict_only(popsparse: Any, weights: Dict[str, Path]) -> None:
    done = popsparse("run", weights["npy"], "-d", "1/2", "--quiet", "--partials-dtype", "float32")
    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert done.out.startswith("correct: error ")


def test_wrong_result_exits_1(popsparse: Any, weights: Dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def slightly_wrong(*arguments: Any, **options: Any) -> Result:
        y, trace = run(*arguments, **options)
        y[3, 5] += np.float32(0.01)
        return Result(y, trace)

    monkeypatch.setattr(run_command, "run", slightly_wrong)
    done = popsparse("run", weights["npy"], "-d", "1/2", "-n", 16)
    assert done.code == 1
    assert "WRONG: an error is " in done.out
    assert "times its bound" in done.out


def test_ctrl_c_exits_130(popsparse: Any, weights: Dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Result:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_command, "run", interrupted)
    done = popsparse("run", weights["npy"], "-d", "1/2", "-n", 16)
    assert (done.code, done.out, done.err) == (130, "", "popsparse: interrupted\n")


def test_fault_of_the_program_keeps_its_traceback(
    popsparse: Any, weights: Dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **options: Any) -> Result:
        raise KeyError("a fault")

    monkeypatch.setattr(run_command, "run", broken)
    with pytest.raises(KeyError, match="a fault"):
        popsparse("run", weights["npy"], "-d", "1/2", "-n", 16)


def test_missing_tensor_lists_the_names(popsparse: Any, weights: Dict[str, Path]) -> None:
    done = popsparse("run", f"{weights['npz']}:upp", "-d", "1/4")
    assert done.code == 2
    assert "has no tensor 'upp': down, up. Did you mean up?" in done.err
    done = popsparse("run", weights["npz"])
    assert done.code == 2
    assert "holds 2 tensors, name one: down, up" in done.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "name a weight, FILE or FILE:TENSOR, or --demo\n"),
        (("{npy}", "--demo"), 2, "name a weight, FILE or FILE:TENSOR, or --demo, not both"),
        (("{npy}:",), 2, "expected FILE or FILE:TENSOR, got "),
        (("{npy}", "-d", "5/4"), 2, "--density must lie in (0, 1], got 5/4"),
        (("{npy}", "-d", "1/4", "-b", "5"), 2, "block size 5 has no codelet on the IPU"),
        (("{npy}", "-d", "1/4", "-b", "0"), 2, "block size must be a whole number of at least 1, got 0"),
        (("{npy}", "-d", "1/4", "--dtype", "int8"), 2, "dtype int8 is not supported"),
        (("{npy}", "-d", "1/4", "--dtype", "float64"), 2, "dtype 'float64' is not supported on an IPU"),
        (("{npy}", "-d", "1/4", "--partials-dtype", "float16"), 2, "float16 is narrower than dtype float32"),
        (("{npy}", "--update", "2"), 2, "--update changes the pattern of a compiled plan: it needs --mode dynamic"),
        (
            ("{npy}", "--mode", "dense"),
            2,
            "mode 'dense' cannot be executed on the embedded model: expected static or dynamic",
        ),
        (("{npy}", "--target", "ipu"), 2, "target 'ipu' is unknown here: expected auto"),
        (("missing.npy",), 2, "missing.npy"),
        (("weights.bin",), 2, "cannot read .bin: use .npz, .npy, .safetensors, .mtx"),
    ],
)
def test_bad_input_is_one_line(popsparse: Any, weights: Dict[str, Path], words: tuple, code: int, message: str) -> None:
    done = popsparse("run", *(word.format(npy=weights["npy"]) for word in words))
    assert done.code == code
    assert done.out == ""
    assert done.err.startswith("popsparse: ")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_bad_files_are_told(popsparse: Any, tmp_path: Path) -> None:
    w = np.ones((32, 32), dtype=np.float32)
    w[3, 4] = np.nan
    np.save(tmp_path / "nan.npy", w)
    done = popsparse("run", tmp_path / "nan.npy", "-d", "1/2")
    assert done.code == 2
    assert "holds 1 value that is NaN or infinite, the first at (3, 4)" in done.err
    for suffix in ("npz", "npy", "safetensors"):
        (tmp_path / f"bad.{suffix}").write_bytes(b"nothing of the kind")
        done = popsparse("run", tmp_path / f"bad.{suffix}", "-d", "1/2")
        assert done.code == 2
        assert f"is not a readable {suffix} file" in done.err


def test_plan_that_does_not_fit_exits_1(popsparse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = plans.chip("ipu_model").replace(tiles=1)
    monkeypatch.setattr(plans, "chip", lambda target: tiny)
    np.save(tmp_path / "w.npy", np.ones((1024, 1024), dtype=np.float16))
    done = popsparse("run", tmp_path / "w.npy", "-d", "1", "-n", 8, "--json")
    assert done.code == 1
    assert (done.fields["ok"], done.fields["plan"]["fits"]) == (False, False)
    done = popsparse("run", tmp_path / "w.npy", "-d", "1", "-n", 8, "--quiet")
    assert (done.code, done.out.startswith("does not fit: tile 0 needs ")) == (1, True)


def test_dynamic_plan_takes_other_patterns(popsparse: Any) -> None:
    done = popsparse("run", "--demo", "--mode", "dynamic", "--update", "3", "-n", "32", "--json")
    assert (done.code, done.err) == (0, "")
    fields = done.fields
    assert (fields["ok"], fields["plan"]["mode"], fields["plan"]["capacity_blocks"]) == (True, "dynamic", 288)
    assert [one["name"] for one in fields["updates"]] == ["the weight", "pattern 1", "pattern 2", "pattern 3"]
    assert all(one["accuracy"]["ok"] and one["nnz_blocks"] == 288 for one in fields["updates"])


def test_dynamic_run_is_told_in_a_table(popsparse: Any) -> None:
    done = popsparse("run", "--demo", "--mode", "dynamic", "--update", "14", "-n", "8")
    assert done.code == 0
    for text in ("15 patterns on one compiled plan", "and 3 more", "buckets: ", "correct: 15 patterns on one compiled"):
        assert text in done.out
