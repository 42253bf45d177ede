"""The README's tables of results that ship as JSON; no torch needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from popsparse_py.bench import readme, result_tables
from popsparse_py.bench.__main__ import app

README = Path(__file__).resolve().parents[2] / "README.md"

DIGITS = {
    "settings": {"hidden": 32, "block_size": 4, "epochs": 3},
    "seeds": [0, 1],
    "results": [
        {"method": "dense", "density": 1.0, "accuracy": [0.97, 0.99]},
        {"method": "static", "density": 0.25, "accuracy": [0.96, 0.96]},
        {"method": "rigl", "density": 0.25, "accuracy": [0.95, 0.97]},
        {"method": "static", "density": 0.125, "accuracy": [0.9, 0.92]},
    ],
}


def test_readme_tables_are_those_of_the_results_that_ship() -> None:
    text = README.read_text(encoding="utf-8")
    for name in result_tables.LINES:
        assert all(text.count(marker) == 1 for marker in result_tables.markers(name))
    assert result_tables.with_tables(text) == text, "run: python -m popsparse_py.bench readme"


def test_readme_shows_every_density_and_every_method() -> None:
    found = result_tables.stored("digits")
    assert {one["method"] for one in found["results"]} == {"dense", *result_tables.METHODS}
    assert {one["density"] for one in found["results"]} == {1.0, 1 / 4, 1 / 8, 1 / 16, 1 / 32}
    assert all(len(one["accuracy"]) == len(found["seeds"]) >= 3 for one in found["results"])
    sizes = {one["block_size"] for one in result_tables.stored("minilm")["results"]}
    assert sizes == {1, 4, 16}


def test_digits_table_gives_mean_and_spread() -> None:
    lines = result_tables.digits_lines(DIGITS)
    assert lines[:4] == [
        "| density | random, fixed | RigL |",
        "| ---: | ---: | ---: |",
        "| 1/4 | 96.0 ± 0.0 | 96.0 ± 1.4 |",
        "| 1/8 | 91.0 ± 1.4 |  |",
    ]
    assert lines[-1].startswith("Dense: 98.0 ± 1.4. Test accuracy in percent, mean and standard deviation of 2 seeds;")


def test_slower_settings_are_told_as_such() -> None:
    found = result_tables.stored("minilm")
    lines = result_tables.minilm_lines(found)
    slower = [one for one in found["results"] if one["speedup"] < 1]
    assert sum("x slower**" in line for line in lines) == len(slower)
    assert sum(bool(re.search(r"\d\.\d\dx faster", line)) for line in lines) == len(found["results"]) - len(slower)


def test_a_lone_marker_is_told() -> None:
    begin, end = result_tables.markers("digits")
    assert result_tables.with_tables("no table") == "no table"
    for text in (begin, end, f"{begin}{begin}{end}"):
        with pytest.raises(readme.MarkerError, match=r"digits.* once each"):
            result_tables.with_tables(text)


def test_readme_command_writes_these_tables_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "ROWS", (readme.Row(128, 16, 4, 16, "float16"),))
    monkeypatch.setattr(result_tables, "stored", lambda name: DIGITS)
    path = tmp_path / "README.md"
    begin, end = result_tables.markers("digits")
    path.write_text(f"{readme.BEGIN}\n{readme.END}\n{begin}\nold\n{end}\n", encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        app(["readme", str(path)])
    assert stopped.value.code == 0
    text = path.read_text(encoding="utf-8")
    assert "old" not in text
    assert "| 1/8 | 91.0 ± 1.4 |  |" in text
