"""`popsparse validate`: what it prints and writes, on a few of the measured points."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import popsparse_planner
from popsparse_planner import load_target
from popsparse_planner.static_fit import StaticFit, fit_static
from popsparse_planner.validation import SERIES
from popsparse_py.cli import validate_command

DATA = Path(popsparse_planner.__file__).parent / "data"


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A folder with the shipped files, the static ones cut to b = 16, m = 1024, one dynamic rate."""
    for name in ("paper_static_cycles.csv", "paper_static_speedup.csv"):
        head, *rows = (DATA / name).read_text().splitlines()
        kept = [row for row in rows if row.startswith("16,") and row.split(",")[2] == "1024"]
        (tmp_path / name).write_text("\n".join([head, *kept]) + "\n")
    shutil.copy(DATA / "paper_dense.csv", tmp_path)
    head, *rows = (DATA / "paper_lines.csv").read_text().splitlines()
    kept = [row for row in rows if row.startswith("fig4,dynamic_sparse,16,FP16,IPU,512")]
    (tmp_path / "paper_lines.csv").write_text("\n".join([head, *kept]) + "\n")
    return tmp_path


def test_json_holds_every_point_and_the_errors(popsparse: Any, few: Path) -> None:
    done = popsparse("validate", "--data", few, "--json")
    assert done.fields["schema"] == "popsparse.cli.validate/1"
    assert set(done.fields["series"]) == set(SERIES)
    points = [point for point in done.fields["points"] if point["series"] == "static_cycles"]
    assert len(points) == done.fields["series"]["static_cycles"]["points"] > 5
    assert all(abs(p["predicted"] / p["measured"] - 1 - p["error"]) < 1e-12 for p in points)
    assert done.code == (0 if done.fields["ok"] else 1)


def test_tables_name_series_groups_and_worst_cells(popsparse: Any, few: Path) -> None:
    done = popsparse("validate", "--data", few)
    for text in ("By series", "static FP16, cycles", "speed-up over dense", "density", "Worst cells", "10%, 7%, 25%"):
        assert text in done.out


def test_plot_is_an_svg_with_a_mark_for_each_point(popsparse: Any, few: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    done = popsparse("validate", "--data", few, "--plot", plot, "--json")
    tree = ElementTree.parse(plot)
    marks = tree.findall("{http://www.w3.org/2000/svg}g")
    assert len(marks) == sum(p["series"] not in ("static_speedup", "dynamic_rates") for p in done.fields["points"])


def test_fit_shows_its_coefficients(popsparse: Any, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate_command, "fit_static", partial(fit_static, largest_held_out_rms=1.0))
    (few / "paper_lines.csv").unlink()
    done = popsparse("validate", "--data", few, "--fit", "--json")
    assert "layout_cycles_per_byte" in done.fields["fit"]["coefficients"]
    assert "dynamic_rates" not in done.fields["series"] and "dynamic_fit" not in done.fields


def test_the_dynamic_fit_is_of_the_shipped_points(popsparse: Any, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(DATA / "paper_lines.csv", few)
    monkeypatch.setattr(validate_command, "fit_static", lambda *_, **__: StaticFit({}, 0.1, 0.1))
    done = popsparse("validate", "--data", few, "--fit", "--json")
    fit, target = done.fields["dynamic_fit"], load_target("bow")
    assert fit["coefficients"] == {"dynamic_partials_cycles_per_byte": target.model["dynamic_partials_cycles_per_byte"]}
    assert 0.05 < fit["rms"] < fit["held_out_rms"] <= fit["largest_held_out_rms"] == 0.15
    assert done.fields["series"]["dynamic_rates"]["points"] == 8
    assert done.fields["series"]["dynamic_rates"]["rms"] == pytest.approx(fit["rms"])
    assert done.fields["covering_errors"]["dynamic_error"] == pytest.approx(target.model["dynamic_error"], abs=5e-4)


def test_a_fit_that_does_not_hold_fails(popsparse: Any, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate_command, "fit_static", partial(fit_static, largest_held_out_rms=0.001))
    done = popsparse("validate", "--data", few, "--fit", "--quiet")
    assert done.code == 1
    assert "static: fit refused: held-out points are off by" in done.out
    assert "dynamic: 1 points cannot be dealt to 8 folds" in done.out


def test_a_folder_without_the_files_is_an_error(popsparse: Any, tmp_path: Path) -> None:
    done = popsparse("validate", "--data", tmp_path)
    assert done.code == 2
    assert "cannot read measurements" in done.err
