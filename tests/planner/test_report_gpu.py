"""The report of a plan for a GPU: the verdict, the bounds and the forms in which it is shown."""

import json
from pathlib import Path

import pytest

from popsparse_planner import BlockPattern, FormatError, PlanError
from popsparse_planner.cuda_plan import CudaPlan, plan_cuda
from popsparse_planner.report import Report


def planned(b: int, density: float, **options: str) -> CudaPlan:
    return plan_cuda(BlockPattern.random((2048, 2048), density=density, block_size=b, seed=3), 2048, **options)


def test_faster_than_dense_is_the_plan_s_own_answer() -> None:
    plan = planned(16, 1 / 16)
    verdict = plan.report().fields["verdict"]
    assert (verdict["fits"], verdict["faster_than_dense"], verdict["hint"]) == (True, "yes", None)
    assert verdict["speedup_vs_dense"] == pytest.approx(plan.speedup_vs_dense)
    assert f"Faster than dense: predicted {plan.speedup_vs_dense:.2f}x" in verdict["sentences"][1]
    assert "Never measured on a GPU" in verdict["sentences"][1]


def test_slower_than_dense_says_what_would_be_faster() -> None:
    fields = planned(4, 1 / 4).report().fields
    verdict = fields["verdict"]
    assert verdict["faster_than_dense"] == "no"
    assert "use a dense copy of W instead" in verdict["sentences"][1]
    hint = verdict["sentences"][-1]
    larger = next(c for c in fields["crossover"]["cells"] if (c["block_size"], c["density"]) == (16, 1 / 4))
    assert f"blocks of 16 at density 1/4: {larger['speedup_vs_dense']:.2f}x" in hint
    assert "blocks of 4 at density 1/" in hint


def test_bounds_are_the_plan_s_counts() -> None:
    plan = planned(8, 1 / 16)
    fields = plan.report().fields
    amounts = {bound["bound"]: bound["amount"] for bound in fields["bounds"]}
    count = plan.count
    assert amounts == pytest.approx(
        {"memory": count.memory_bytes, "l2": count.l2_bytes, "shared": count.shared_bytes, "operations": count.flops}
    )
    largest = max(fields["bounds"], key=lambda bound: bound["seconds"])
    assert largest["bound"] == fields["verdict"]["bottleneck"] == plan.cost.bound
    assert fields["tile"]["blocks_of_threads"] == count.blocks


def test_single_elements_leave_out_cells_of_too_many_blocks() -> None:
    cells = planned(1, 1 / 64, dtype="float16").report().fields["crossover"]["cells"]
    assert {cell["density"] for cell in cells if cell["block_size"] == 1} == {1 / 64, 1 / 32, 1 / 16, 1 / 8}


def test_every_form_shows_the_same(tmp_path: Path) -> None:
    report = planned(16, 1 / 16).report()
    again = Report.from_json(report.to_json(tmp_path / "r.json"))
    assert again == report
    assert json.loads((tmp_path / "r.json").read_text())["schema"] == "popsparse.gpu-report/1"
    page = report.to_html(tmp_path / "r.html")
    for sentence in report.fields["verdict"]["sentences"]:
        assert sentence in report.text()
        assert sentence in page
    for title in ("What takes the time", "Kernel", "Crossover", "How sure"):
        assert f">{title}</h2>" in page
    assert 'data-figure="crossover"' in page
    assert 'data-figure="tiles"' not in page
    with pytest.raises(PlanError, match="no timeline"):
        report.export_chrome_trace(tmp_path / "trace.json.gz")
    with pytest.raises(FormatError):
        Report.from_json('{"schema": "popsparse.gpu-report/0"}')


def test_kernels_without_a_tile_and_few_columns_are_reported() -> None:
    pattern = BlockPattern.random((512, 512), density=1 / 8, block_size=16, seed=3)
    for plan in (plan_cuda(pattern, 4), plan_cuda(pattern, 64, dtype="float32")):
        report = plan.report()
        assert report.fields["tile"] is None
        assert plan.kernel in report.text()
