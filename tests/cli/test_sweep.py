"""`popsparse sweep`: every point once, whatever happens in between, and pictures that show the numbers."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from popsparse_planner import BlockPattern, FormatError, PlanError, load_target, plan_static
from popsparse_py.sweep.points import PUBLISHED, load_sweep
from popsparse_py.sweep.speedups import measured_speedups
from popsparse_py.sweep.store import Store

SWEEP = """
name = "small"
[defaults]
dtype = "float16"
partials_dtype = "float16"
strategy = "popsparse"
[[grid]]
name = "a"
m = [64, 128]
n = [16, 32]
block_size = [8, 16]
density = ["1/4", 0.5]
[[grid]]
name = "b"
m = 128
n = 16
density = "1/4"
mode = ["static", "dense"]
[[figure]]
title = "Rate against density"
grid = "a"
x = "density"
best_over = ["n", "m"]
measured = "fig1"
[[figure]]
title = "Speed-up"
grid = "a"
kind = "speedup"
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def lines_of(path: Path) -> List[Dict[str, Any]]:
    header, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert header == {"schema": "popsparse.sweep/1"}
    return lines


def test_points_of_two_grids_are_planned_once(sweep_file: Path) -> None:
    sweep = load_sweep(sweep_file)
    assert len(sweep.grids["a"]) == 16
    assert len(sweep.grids["b"]) == 2
    assert len(sweep.points) == 17  # the static point of b stands in a, too
    assert {point.k for point in sweep.points.values()} == {64, 128}


def test_results_are_those_of_the_planner(popsparse: Any, sweep_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = popsparse("sweep", sweep_file, "--out", out, "--json")
    assert done.code == 0
    assert done.fields == {
        "schema": "popsparse.cli.sweep/1",
        "name": "small",
        "points": 17,
        "planned_now": 17,
        "found": 0,
        "unfit": 0,
        "out": str(out),
        "html": None,
    }
    lines = lines_of(out)
    assert [line["id"] for line in lines] == list(load_sweep(sweep_file).points)
    line = next(x for x in lines if (x["m"], x["n"], x["block_size"], x["density"]) == (128, 32, 16, "1/4"))
    plan = plan_static(BlockPattern.random((128, 128), density=0.25), 32, strategy="popsparse")
    assert line["total_cycles"] == pytest.approx(plan.cost.total_cycles)
    assert line["speedup_vs_dense"] == pytest.approx(plan.speedup_vs_dense)
    low, high = line["cycles_range"]
    assert low < line["total_cycles"] < high


def test_resume_goes_on_and_repeats_nothing(popsparse: Any, sweep_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert popsparse("sweep", sweep_file, "--out", out).code == 0
    whole = out.read_bytes()
    cut = whole[: whole.index(b"\n", len(whole) // 2) + 40]  # in the middle of a line
    out.write_bytes(cut)
    done = popsparse("sweep", sweep_file, "--out", out, "--resume")
    kept = cut.count(b"\n") - 1
    assert done.out.strip() == f"17 points: {17 - kept} planned now, {kept} found; 0 do not fit"
    assert out.read_bytes() == whole
    again = popsparse("sweep", sweep_file, "--out", out, "--resume", "--quiet")
    assert again.out.startswith("17 points: 0 planned now, 17 found")
    refused = popsparse("sweep", sweep_file, "--out", out)
    assert refused.code == 2
    assert "exists: --resume goes on with it, or remove it first" in refused.err


def test_killed_sweep_is_resumed_without_loss(sweep_file: Path, tmp_path: Path, environment: Dict[str, str]) -> None:
    pytest.importorskip("joblib")
    out, html = tmp_path / "out.jsonl", tmp_path / "index.html"
    text = (
        sweep_file.read_text(encoding="utf-8").replace("[64, 128]", "[128, 256, 512]").replace("popsparse", "balanced")
    )
    sweep_file.write_text(text, encoding="utf-8")
    total = len(load_sweep(sweep_file).points)
    command = [sys.executable, "-m", "popsparse_py.cli", "sweep", str(sweep_file), "-j", "2", "--out", str(out)]
    process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not out.exists() or out.read_bytes().count(b"\n") < 6):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = [json.loads(line) for line in out.read_bytes().split(b"\n")[1:-1]]
    assert 0 < len(before) < total
    ended = subprocess.run(
        [*command, "--resume", "--html", str(html)], env=environment, capture_output=True, check=True
    )
    assert f"{total - len(before)} planned now, {len(before)} found" in ended.stdout.decode()
    lines = lines_of(out)
    assert lines[: len(before)] == before
    assert sorted(line["id"] for line in lines) == sorted(load_sweep(sweep_file).points)
    assert f"{total} of {total} points planned" in html.read_text(encoding="utf-8")


def test_page_shows_predictions_and_measurements(popsparse: Any, sweep_file: Path, tmp_path: Path) -> None:
    out, html = tmp_path / "out.jsonl", tmp_path / "index.html"
    assert popsparse("sweep", sweep_file, "--out", out, "--html", html, "--quiet").code == 0
    page = html.read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "")
    lines = [line for line in lines_of(out) if line["mode"] == "static"]
    for line in lines:
        assert f'data-predicted="{line["speedup_vs_dense"]:.6g}"' in page
    best = max(line["profiled_tflops"] for line in lines if line["block_size"] == 16 and line["density"] == "1/2")
    assert f'data-series="static popsparse b = 16, predicted" data-x="0.5" data-y="{best:.6g}"' in page
    assert 'data-series="static b = 16, measured" data-x="0.0625" data-y="69.503"' in page
    assert page.count("<svg") == 1
    assert len(re.findall(r'<tr><td class="number">', page)) == 17


def test_shipped_sweep_covers_the_published_points() -> None:
    sweep = load_sweep(PUBLISHED)
    found = {
        (p.block_size, p.density, p.m, p.n) for identity in sweep.grids["speed-up"] for p in (sweep.points[identity],)
    }
    assert set(measured_speedups()) <= found
    assert {figure.measured for figure in sweep.figures} == {"fig1", "fig3", "fig4", ""}


def test_dynamic_points_tell_their_propagation(popsparse: Any, tmp_path: Path) -> None:
    path, out, html = (tmp_path / name for name in ("s.toml", "out.jsonl", "index.html"))
    grid = '[[grid]]\nname = "a"\nm = 4096\nn = 64\ndensity = "1/16"\nmode = "dynamic"\nkind = "hot_corner"\n'
    figure = '[[figure]]\ntitle = "t"\ngrid = "a"\nmeasured = "fig1"\n'
    path.write_text(f'{grid}strategy = ["balanced", "popsparse"]\ngrad_input = true\n{figure}', encoding="utf-8")
    assert popsparse("sweep", path, "--out", out, "--html", html, "--quiet").code == 0
    ours, theirs = lines_of(out)
    assert (ours["strategy"], theirs["strategy"], ours["partials_dtype"]) == ("quantile", "popsparse", "")
    assert ours["simulated_probability"] < 0.02 and ours["model_probability"] < 0.006
    assert theirs["simulated_probability"] == pytest.approx(theirs["model_probability"], abs=0.05)
    assert theirs["steps"] > 20 * max(ours["steps"], 1) and theirs["spilled_blocks"] > 100 > ours["overfull_cells"]
    low, _ = ours["cycles_range"]
    assert low == pytest.approx(ours["total_cycles"] / (1 + load_target("bow").model["dynamic_error"]))
    page = html.read_text(encoding="utf-8")
    assert 'data-series="dynamic b = 16, measured" data-x="0.125" data-y="39.057"' in page
    assert "static b = 16, measured" not in page and "overfull cells" in page


def test_product_that_raises_is_a_result(popsparse: Any, tmp_path: Path) -> None:
    path, out = tmp_path / "s.toml", tmp_path / "out.jsonl"
    path.write_text('[[grid]]\nm = 64\nn = 8\ndensity = "1/4"\nblock_size = [3, 16]\n', encoding="utf-8")
    assert popsparse("sweep", path, "--out", out).code == 0
    bad, good = lines_of(out)
    assert not bad["fits"]
    assert "block size 3" in bad["error"]
    assert good["fits"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not a TOML file"),
        ("", "no [[grid]]"),
        ("extra = 1\n[[grid]]\nm = 1", "unknown key 'extra'"),
        ("[[grid]]\nm = 64", "has no n, density"),
        ("[[grid]]\nm = 64\nn = 8\ndensity = 1\nwidth = 3", "unknown axis 'width'"),
        ("[[grid]]\nm = 64\nn = 8\ndensity = 2", "density must lie in (0, 1]"),
        ("[[grid]]\nm = 64\nn = 8\ndensity = 1\n[[figure]]\ntitle = 'x'", "a [[figure]] is not complete"),
        ("[[grid]]\nm = 64\nn = 8\ndensity = 1\n[[figure]]\ntitle = 'x'\ngrid = 'y'", "needs a grid of grid 1"),
    ],
)
def test_wrong_sweeps_are_named(popsparse: Any, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=re.escape(message)):
        load_sweep(path)
    done = popsparse("sweep", path, "--out", tmp_path / "out.jsonl")
    assert (done.code, message in done.err) == (2, True)
    assert not (tmp_path / "out.jsonl").exists()


def test_jobs_must_be_positive(popsparse: Any, sweep_file: Path, tmp_path: Path) -> None:
    done = popsparse("sweep", sweep_file, "-j", 0, "--out", tmp_path / "out.jsonl")
    assert (done.code, "-j must be at least 1, got 0" in done.err) == (2, True)


def test_more_jobs_need_joblib(
    popsparse: Any, sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "joblib", None)
    done = popsparse("sweep", sweep_file, "-j", 2, "--out", tmp_path / "out.jsonl")
    assert done.code == 1
    assert "-j above 1 needs joblib: python -m pip install 'popsparse_py[report]'" in done.err


def test_store_is_filled_by_one_process_and_once_a_point(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with Store(path, resume=False) as store:
        store.add({"id": "a"})
        with pytest.raises(PlanError, match="holds point a already"):
            store.add({"id": "a"})
        with pytest.raises(PlanError, match="is being filled by another process"):
            Store(path, resume=True)
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(FormatError, match="not the results of a sweep"):
        Store(path, resume=True)
    path.write_text('{"schema": "popsparse.sweep/1"}\n{"id"\n', encoding="utf-8")
    with pytest.raises(FormatError, match="line 2: not JSON"):
        Store(path, resume=True)
    path.write_text('{"schema": "popsparse.sweep/1"}\n[]\n', encoding="utf-8")
    with pytest.raises(FormatError, match="line 2: not the result of a point"):
        Store(path, resume=True)
