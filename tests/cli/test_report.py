"""`popsparse report`: what it prints, the files it writes, and its exit codes."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from popsparse_planner import BlockPattern, plan_dynamic, plan_static
from popsparse_planner.report import Report

SMALL = ("report", "-m", 256, "-k", 192, "-n", 64, "-d", "1/4")


@pytest.fixture(scope="module")
def expected() -> Report:
    return plan_static(BlockPattern.random((256, 192), density=0.25), 64).report()


def test_terminal_shows_the_verdict_first(popsparse: Any, expected: Report) -> None:
    done = popsparse(*SMALL)
    assert (done.code, done.err) == (0, "")
    text = " ".join(done.out.split())
    places = [text.index(" ".join(sentence.split())) for sentence in expected.fields["verdict"]["sentences"]]
    assert places == sorted(places)
    titles = ("Partition", "Tile balance", "Memory: bytes", "BSP timeline", "Cycles by part", "Operations and roofs")
    for title in (*titles, "Predicted speed-up over dense", "Alternatives tried", "How sure"):
        assert done.out.index(title) > done.out.index("Fits: ")


def test_files_hold_the_same_report(popsparse: Any, expected: Report, tmp_path: Path) -> None:
    html, text, trace = (tmp_path / name for name in ("a.html", "a.json", "a.json.gz"))
    done = popsparse(*SMALL, "--html", html, "--json", text, "--trace", trace, "--quiet")
    assert done.code == 0
    assert done.out.strip() == " ".join(expected.fields["verdict"]["sentences"])
    assert Report.from_json(text.read_text(encoding="utf-8")) == expected
    assert html.read_text(encoding="utf-8") == expected.to_html()
    assert json.loads(gzip.decompress(trace.read_bytes()))["otherData"]["schema"] == "popsparse.report/1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json", "a.json.gz"]


def test_written_files_are_named_on_stderr(popsparse: Any, tmp_path: Path) -> None:
    done = popsparse(*SMALL, "--json", tmp_path / "a.json")
    assert done.err.strip() == f"wrote {tmp_path / 'a.json'}"


def test_json_to_stdout_is_nothing_else(popsparse: Any, expected: Report) -> None:
    done = popsparse(*SMALL, "--json", "-")
    assert done.err == ""
    assert Report.from_json(done.out) == expected


def test_run_adds_what_the_model_counts(popsparse: Any, expected: Report) -> None:
    pytest.importorskip("popsparse_py._core")
    fields = popsparse(*SMALL, "--run", "--json", "-").fields
    counted = fields["validation"]["counted"]
    assert counted["accuracy"]["ok"] is True
    assert counted["numbers"]["total_cycles"]["provenance"] == "counted"
    assert fields["verdict"] == expected.fields["verdict"]


def test_plan_that_does_not_fit_is_exit_code_1(popsparse: Any) -> None:
    done = popsparse("report", "-m", 256, "-k", 256, "-n", 2**20, "-d", "1/2", "--quiet")
    assert done.code == 1
    assert done.out.startswith("Does not fit: tile ")
    assert "would fit (planned" in done.out


def test_dense_report_and_its_limits(popsparse: Any) -> None:
    done = popsparse(*SMALL[:-2], "--mode", "dense", "--quiet")
    assert (done.code, "This is the dense product." in done.out) == (0, True)
    done = popsparse(*SMALL[:-2], "--mode", "dense", "--run")
    assert done.code == 2
    assert "only a sparse plan can be executed on the embedded model: use --mode static with --run" in done.err


def test_missing_folder_is_wrong_usage(popsparse: Any, tmp_path: Path) -> None:
    done = popsparse(*SMALL, "--html", tmp_path / "no" / "a.html")
    assert done.code == 2
    assert "cannot write" in done.err
    assert "there is no folder" in done.err


def test_dynamic_report_in_every_form(popsparse: Any, tmp_path: Path) -> None:
    html, text, trace = (tmp_path / name for name in ("a.html", "a.json", "a.json.gz"))
    done = popsparse(*SMALL, "--mode", "dynamic", "--html", html, "--json", text, "--trace", trace)
    assert done.code == 0
    for title in ("Buckets", "Propagation of uniform patterns", "1,000 patterns drawn", "One pattern of each kind"):
        assert title in done.out
    expected = plan_dynamic(256, 192, 64, block_size=16, density=1 / 4).report()
    assert Report.from_json(text.read_text(encoding="utf-8")) == expected
    assert html.read_text(encoding="utf-8") == expected.to_html()
    names = {event["name"] for event in json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]}
    assert {"gather", "dot", "partials", "multiply"} <= names


def test_dynamic_run_adds_what_the_model_counts(popsparse: Any) -> None:
    pytest.importorskip("popsparse_py._core")
    counted = popsparse(*SMALL, "--mode", "dynamic", "--run", "--json", "-").fields["validation"]["counted"]
    assert counted["accuracy"]["ok"] is True
    assert counted["numbers"]["propagation_steps"]["provenance"] == "counted"
    done = popsparse(*SMALL, "--mode", "dynamic", "--strategy", "popsparse", "--run")
    assert (done.code, "strategy 'popsparse' is a baseline" in done.err) == (2, True)


def test_a_gpu_is_reported_too(popsparse: Any, tmp_path: Path) -> None:
    page, text = tmp_path / "a.html", tmp_path / "a.json"
    done = popsparse(*SMALL, "-b", 16, "--target", "cuda", "--html", page, "--json", text)
    assert done.code == 0
    report = Report.from_json(text.read_text(encoding="utf-8"))
    assert "Never measured on a GPU" in " ".join(done.out.split())
    assert report.fields["problem"]["nnz_blocks"] == 48
    assert page.read_text(encoding="utf-8") == report.to_html()
    for words, said in ((("--run",), "--run and --trace are of"), (("--mode", "dense"), "--mode dense is of a chip's")):
        refused = popsparse(*SMALL, "--target", "cuda", *words)
        assert (refused.code, said in " ".join(refused.err.split())) == (2, True), refused.err
