"""The measurements of `./dev bench`, and the README's table of predicted speed-ups."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from popsparse_planner import load_target, plan_static
from popsparse_py.bench import child, dynamic, measure, readme, readme_dynamic, readme_gpu, startup, static
from popsparse_py.bench.__main__ import app
from popsparse_py.bench.measure import BenchError, Case, Measurement

README = Path(__file__).resolve().parents[2] / "README.md"


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        app(list(words))
    return int(stopped.value.code or 0)


def test_readme_table_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    assert readme.with_table(text) == text, "run: python -m popsparse_py.bench readme"
    assert readme_dynamic.BEGIN in text
    assert readme_dynamic.with_dynamic_table(text) == text, "run: python -m popsparse_py.bench readme"
    assert readme_gpu.BEGIN in text
    assert readme_gpu.with_gpu_table(text) == text, "run: python -m popsparse_py.bench readme"


def test_dynamic_table_needs_both_markers() -> None:
    assert readme_dynamic.with_dynamic_table("no table here") == "no table here"
    with pytest.raises(readme.MarkerError, match=r"expected the lines <!-- dynamic plans.* once each"):
        readme_dynamic.with_dynamic_table(readme_dynamic.BEGIN)
    assert readme_dynamic.compared(0.5) == "**2.00x slower**"


def test_readme_table_shows_where_sparse_loses() -> None:
    assert "slower**" in README.read_text(encoding="utf-8")


def test_markers_are_needed_once() -> None:
    with pytest.raises(readme.MarkerError, match=r"expected the line <!-- predicted .* once, found it 0 times"):
        readme.with_table("no table here")
    with pytest.raises(readme.MarkerError, match="found it 2 times"):
        readme.with_table(f"{readme.BEGIN}\n{readme.END}\n{readme.END}")


def test_readme_command_writes_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(readme, "ROWS", (readme.Row(128, 16, 4, 16, "float16"), readme.Row(128, 16, 1, 16, "float16")))
    path = tmp_path / "README.md"
    path.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    assert call("readme", str(path), "--check") == 1
    assert "is out of date" in capsys.readouterr().out
    assert call("readme", str(path)) == 0
    assert call("readme", str(path), "--check") == 0
    lines = path.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert lines[4].startswith("| 128 x 128 | 16 | 1/4 | 16 | float16 | ")


def test_row_that_does_not_fit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "plan_static", partial(plan_static, target=load_target("bow").replace(tiles=1)))
    assert readme._line(readme.Row(1024, 16, 1, 16, "float32")).endswith("| does not fit | | |")


def test_cases_name_functions_that_exist() -> None:
    for case in static.CASES + dynamic.CASES + startup.CASES:
        module = {"static": static, "dynamic": dynamic, "startup": startup}[case.module]
        assert callable(getattr(module, case.function))


def test_child_prints_seconds_and_peak(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(startup, "show_help", lambda: child.Outcome(0.25, "a note"))
    child.main("startup", "show_help")
    found = json.loads(capsys.readouterr().out)
    assert (found["seconds"], found["note"]) == (0.25, "a note")
    assert found["peak_bytes"] > 1 << 20


def test_measurement_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_CALLS", 1)
    found = measure.measure(startup.CASES[0])
    assert found.peak_bytes > 1 << 20
    assert found.to_dict()["name"] == "popsparse --help"


def test_failing_measurement_is_told() -> None:
    with pytest.raises(BenchError, match=r"nothing: exit code 1: AttributeError: .*no_such_function"):
        measure.measure(Case("nothing", "startup", "no_such_function", 1.0))


def test_bounds_are_told_apart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    case = Case("a case", "static", "plan_blocks", 2.0, 100)
    assert Measurement(case, 1.9, 100, "").within
    assert not Measurement(case, 2.1, 100, "").within
    assert not Measurement(case, 1.9, 101, "").within
    main = sys.modules["popsparse_py.bench.__main__"]
    monkeypatch.setattr(main, "measure", lambda case: Measurement(case, 3.0, 100, "slow"))
    assert call() == 0  # a benchmark is no test
    printed = capsys.readouterr().out
    assert "over: plan 4096 x 4096" in printed
    assert "PASS" in printed
    assert call("--json") == 0
    assert [one["within"] for one in json.loads(capsys.readouterr().out)["measurements"]] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]
