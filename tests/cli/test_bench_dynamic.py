"""`./dev bench dynamic`: what it reads, counts and prints, on a few of the published rows."""

import json
from pathlib import Path

import numpy as np
import pytest

from popsparse_planner import BlockPattern, plan_dynamic
from popsparse_planner.dynamic.buckets import cell_counts
from popsparse_planner.dynamic.published_spills import Capacity
from popsparse_planner.dynamic.simulate import cell_sizes, drawn_counts, simulate, simulate_published
from popsparse_py.bench import dynamic_view, published_dynamic
from popsparse_py.bench.__main__ import app
from popsparse_py.bench.dynamic_view import Figure
from popsparse_py.bench.published_dynamic import PLANS, SPILLS, Quiet, Size, Speed, Spill

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two rows of each published file, and no search for the best rates."""
    for name, wanted in ((PLANS, "1024,1024,64,16,"), (SPILLS, "hotcorner,0,1024,1024,")):
        head, *rows = (DATA / name).read_text().splitlines()
        (tmp_path / name).write_text("\n".join([head, *[row for row in rows if wanted in row][:2]]) + "\n")
    monkeypatch.setattr(published_dynamic, "best_rates", lambda partials: ({16: 8.0, 64: 9.0}, {16: 10.0, 64: 7.0}))
    return tmp_path


def call(*words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        app(list(words))
    assert not stopped.value.code


def test_every_figure_is_printed_beside_its_bound(few: Path, capsys: pytest.CaptureFixture) -> None:
    call("dynamic", "--data", str(few), "--patterns", "50", "--json")
    fields = json.loads(capsys.readouterr().out)
    assert fields["schema"] == "popsparse.bench.dynamic/1"
    assert [figure["bound"] for figure in fields["figures"]] == [0.99, 1.25, 0.25, 0.1, 2.0, 1.5, 0.8, 0.8]
    assert fields["figures"][-1]["value"] == pytest.approx(0.9)
    assert all(one["quiet"] >= 48 for one in fields["quiet"])
    assert {one["drawn"] for one in fields["quiet"]} == {"patterns", "counts"}
    assert [len(fields[name]) for name in ("spills", "speeds")] == [2, 2]
    call("dynamic", "--data", str(few), "--patterns", "50")
    printed = capsys.readouterr().out
    for text in ("Uniform patterns of the planned density", "Published runs", "Predicted cycles", "geometric mean"):
        assert text in printed


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(published_dynamic.FormatError, match=r"cannot read .*--data names the folder with popsparse_"):
        published_dynamic.read_rows(tmp_path, PLANS)


def test_figures_keep_their_bounds_or_not() -> None:
    size = Size(64, 64, 8, 8, 0.25, "float16")
    low, high = Quiet(size, 100, 99, "counts", 125, 100), Quiet(size, 100, 98, "counts", 126, 100)
    assert [one.within for one in dynamic_view.quiet_figures([low])] == [True, True]
    assert [one.within for one in dynamic_view.quiet_figures([low, high])] == [False, False]
    run = Spill("banded", size, 1, 4, 10, 100, 200, 100)
    assert [one.within for one in dynamic_view.spill_figures([run])] == [True, True, True]
    worse = Spill("banded", size, 2, 4, 21, 100, 201, 100)
    assert [one.within for one in dynamic_view.spill_figures([worse])] == [False, False, False]
    assert [
        one.value for one in dynamic_view.speed_figures([Speed(size, "float32", 2, 8), Speed(size, "float32", 2, 2)])
    ] == [2]
    assert Figure("", 1.0, 1.0, True).within and Figure("", 1.0, 1.0, False).within


def test_bytes_of_a_spill_are_those_that_tiles_receive() -> None:
    row = {"pattern": "uniform", "seed": "0", "Px": "2", "Py": "3", "Pz": "4", "propStepsSkipAware": "5", "block": "8"}
    row.update(nzBucketBlocks="6", metaBucketElems="10", dtype="half")
    size = Size(256, 256, 16, 8, 1 / 8, "float16")
    found = published_dynamic._spill(row, size, size.plan())
    assert found.published_bytes == 6 * 64 * 2 + 20
    assert found.published_moved_bytes == 5 * 24 * found.published_bytes
    assert (found.steps, found.moved_bytes) == (0, 0)


def test_drawn_counts_are_those_of_patterns() -> None:
    plan = plan_dynamic(512, 384, 64, block_size=16, density=1 / 8)
    counts = drawn_counts(cell_sizes(plan.frame), plan.capacity_blocks, 400)
    assert (counts.sum(axis=1) == plan.capacity_blocks).all()
    made = [BlockPattern.random((512, 384), density=1 / 8, seed=seed) for seed in range(400)]
    seen = np.array([cell_counts(plan.frame, pattern) for pattern in made])
    assert counts.mean(axis=0) == pytest.approx(seen.mean(axis=0), abs=0.5)
    assert counts.max(axis=1).mean() == pytest.approx(seen.max(axis=1).mean(), rel=0.03)


def test_simulation_agrees_with_the_model() -> None:
    plan = plan_dynamic(2048, 2048, 64, block_size=16, density=1 / 8)
    found = simulate(plan.frame, plan.layout, plan.capacity_blocks)
    assert found.patterns == 1000 and found.probability <= 0.012
    theirs = plan_dynamic(4096, 4096, 1024, block_size=16, density=1 / 16, strategy="popsparse")
    capacity, grid = Capacity.of(theirs.published), theirs.problem.block_grid
    shares = [
        simulate_published(grid, theirs.capacity_blocks, capacity._replace(blocks=capacity.blocks + more)).probability
        for more in (-1, 0, 1)
    ]
    assert shares[1] == pytest.approx(theirs.propagation_probability, abs=0.05)
    assert shares[0] > shares[1] > shares[2]
