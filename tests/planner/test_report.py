"""Reports: their numbers are the plan's, their JSON keeps its schema and its bytes, and each form can be read back."""

import gzip
import json
from pathlib import Path

import pytest

from popsparse_planner import BlockPattern, FormatError, PlanOptions, load_target, plan_dense, plan_dynamic, plan_static
from popsparse_planner.pattern_kinds import KINDS
from popsparse_planner.report import SCHEMA, Report, json_schema
from popsparse_planner.report.crossover import break_even
from popsparse_planner.report.files import write_whole
from popsparse_planner.report.mask import MOST_CELLS, mask_picture
from popsparse_planner.report.quick import quick_search, quick_uniform
from popsparse_planner.report.timeline import MOST_EVENTS
from popsparse_planner.report.views import views
from popsparse_planner.target import Target

GRADIENTS = PlanOptions(grad_input=True, grad_weight=True)
GOLDEN = Path(__file__).parent / "golden" / "report.json"


def small_plan(**changes):
    """A plan on eight tiles: all numbers of its report fit a page."""
    pattern = BlockPattern.random((96, 64), density=0.25, block_size=changes.pop("block_size", 8))
    return plan_static(pattern, 16, target=load_target("bow").replace(tiles=8), **changes)


CASES = {
    "blocks": lambda: plan_static(BlockPattern.random((256, 192), density=0.25), 64),
    "elements": lambda: plan_static(BlockPattern.random((128, 96), density=0.25, block_size=1), 24),
    "popsparse": lambda: plan_static(BlockPattern.random((256, 256), density=0.25), 64, strategy="popsparse"),
    "dense": lambda: plan_dense(256, 192, 64),
    "dynamic": lambda: plan_dynamic(256, 192, 64, block_size=8, density=1 / 4, options=GRADIENTS),
    "dynamic popsparse": lambda: plan_dynamic(
        256, 192, 64, block_size=16, density=1 / 4, dtype="float32", strategy="popsparse"
    ),
    "dynamic refused": lambda: plan_dynamic(64, 64, 6, block_size=1, density=1 / 4, strategy="popsparse"),
    "dynamic too large": lambda: plan_dynamic(
        512, 512, 4096, block_size=16, density=1 / 2, target=load_target("bow").replace(tiles=4)
    ),
    "empty": lambda: plan_static(BlockPattern.from_indices([], [], shape=(64, 64), block_size=16), 8),
    "float32": lambda: small_plan(dtype="float32"),
    "too large": lambda: plan_static(
        BlockPattern.random((512, 512), density=0.5), 4096, target=load_target("bow").replace(tiles=4)
    ),
    "refused": lambda: plan_static(
        BlockPattern.random((512, 512), density=0.5),
        4096,
        strategy="popsparse",
        target=load_target("bow").replace(tiles=4),
    ),
}


@pytest.fixture(scope="module", params=list(CASES))
def case(request):
    """(plan, its report)."""
    plan = CASES[request.param]()
    return plan, plan.report()


def test_json_comes_back_the_same(case):
    _, report = case
    assert Report.from_json(report.to_json()) == report
    assert report.fields["schema"] == SCHEMA


def test_json_keeps_the_published_schema(case):
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    validator.check_schema(json_schema())
    validator(json_schema()).validate(case[1].fields)


def test_numbers_are_the_plans(case):
    plan, report = case
    fields = report.fields
    assert fields["verdict"]["fits"] == plan.fits
    assert sum(fields["tiles"]["cycles"]) == 0 or max(fields["tiles"]["cycles"]) > 0
    if plan.cost is None:
        assert fields["cycles"]["cost"] is None
        return
    assert fields["verdict"]["total_cycles"] == pytest.approx(plan.cost.total_cycles)
    assert fields["memory"]["peak_bytes"] == max(fields["tiles"]["bytes"]) == plan.memory.peak_bytes
    categories = fields["memory"]["categories"]
    assert sum(c["worst_tile_bytes"] for c in categories) == plan.memory.peak_bytes
    if plan.mode == "static":
        assert fields["tiles"]["blocks"] == plan.tile_blocks.tolist()
        assert sum(fields["partition"]["mask"]["blocks"]) == plan.pattern.nnz_blocks


def test_supersteps_follow_each_other_and_fill_the_call(case):
    plan, report = case
    steps = report.fields["supersteps"]
    if plan.cost is None:
        assert steps == []
        return
    end = 0.0
    for step in steps:
        assert step["start_cycles"] == pytest.approx(end)
        end += step["cycles"]
    assert end == pytest.approx(plan.cost.total_cycles)
    assert len(steps) <= MOST_EVENTS + 15  # a first pass may have other steps than those after it


def test_every_view_is_a_table(case):
    found = views(case[1].fields)
    assert len({view.name for view in found}) == len(found)
    for view in found:
        assert {len(row) for row in view.rows} == {len(view.columns)}


def test_text_starts_with_the_verdict(case):
    plan, report = case
    lines = report.text().splitlines()
    assert lines[0].startswith(plan.mode)
    assert lines[1].strip().startswith("Fits: the fullest tile uses" if plan.fits else "Does not fit: ")
    assert str(report) == report.text()


def test_page_holds_the_json_and_loads_nothing(case):
    page = case[1].to_html()
    assert len(page) < 2_500_000
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    data = page.split('<script type="application/json" id="report">')[1].split("</script>")[0]
    assert Report(json.loads(data)) == case[1]


def test_golden_report():
    text = f"{small_plan().report().to_json()}\n"
    assert text == GOLDEN.read_text(encoding="utf-8"), "a changed report must be a committed change"


def test_hint_was_planned():
    hint = CASES["blocks"]().report().fields["verdict"]["hint"]
    assert hint["gain"] > 1.03
    assert "planned" in hint["sentence"]
    assert hint["kind"] in ("n", "partials_dtype", "block_size")


def test_hint_of_a_plan_that_does_not_fit_is_a_plan_that_fits():
    verdict = CASES["too large"]().report().fields["verdict"]
    assert not verdict["fits"]
    assert verdict["hint"]["gain"] is None
    assert verdict["hint"]["sentence"].split(" (planned")[0].endswith("would fit")
    assert verdict["faster_than_dense"] is None


def test_uncertainty_is_a_range_around_the_prediction():
    verdict = CASES["blocks"]().report().fields["verdict"]
    low, high = verdict["total_cycles_range"]
    assert low < verdict["total_cycles"] < high
    low, high = verdict["speedup_range"]
    assert low < verdict["speedup_vs_dense"] < high
    assert verdict["faster_than_dense"] == ("yes" if low > 1 else "no" if high < 1 else "unsure")


def test_target_without_measurements_has_no_range():
    bow = load_target("bow")
    bare = Target("bare", {key: fact for key, fact in bow.facts.items() if "_error" not in key})
    report = plan_static(BlockPattern.random((64, 64), density=0.5), 16, target=bare).report()
    assert report.fields["verdict"]["total_cycles_range"] is None
    assert "this target was never compared with measurements" in report.text()


def test_measured_products_show_their_measurement():
    pattern = BlockPattern.random((1024, 1024), density=0.25, block_size=1)
    found = plan_static(pattern, 4, strategy="popsparse").report().fields["validation"]
    assert found["published"] == {"profiled_cycles": 2777, "speedup_vs_dense": 0.9222, "of": "popsparse strategy"}
    assert found["beyond_measurements"] == []


def test_run_is_added_without_changing_the_report():
    report = small_plan().report()
    added = report.with_run({"numbers": {"total_cycles": {"value": 5.0}}, "accuracy": {"max_error": 0.5, "ok": True}})
    assert report.fields["validation"]["counted"] is None
    assert "total cycles, counted on the embedded model" in added.text()
    assert added != report


def test_trace_holds_every_superstep(tmp_path):
    report = CASES["blocks"]().report()
    report.export_chrome_trace(tmp_path / "trace.json.gz")
    events = json.loads(gzip.decompress((tmp_path / "trace.json.gz").read_bytes()))["traceEvents"]
    steps = [event for event in events if event["ph"] == "X" and event["pid"] == 0]
    assert len(steps) == len(report.fields["supersteps"])
    last = max(event["ts"] + event["dur"] for event in steps)
    assert last == pytest.approx(report.fields["verdict"]["seconds"] * 1e6, rel=1e-6)
    assert sum(event["ph"] == "X" and event["pid"] == 1 for event in events) == sum(
        cycles > 0 for cycles in report.fields["tiles"]["cycles"]
    )


def test_notebook_form_is_a_frame_that_may_only_run_its_script():
    frame = small_plan().report()._repr_html_()
    assert frame.startswith("<iframe")
    assert 'sandbox="allow-scripts"' in frame
    assert frame.count("<") == 2  # everything inside is escaped


def test_show_prints(capsys):
    report = small_plan().report()
    report.show()
    assert report.fields["verdict"]["sentences"][0] in " ".join(capsys.readouterr().out.split())


def test_dynamic_report_shows_model_and_simulation_side_by_side():
    fields = CASES["dynamic"]().report().fields
    found = fields["dynamic"]["propagation"]
    assert found["simulated_patterns"] == 1000
    assert abs(found["model_probability"] - found["simulated_probability"]) < 0.02
    assert set(fields["dynamic"]["pass_cycles"]) == {"forward", "grad_input", "grad_weight"}
    assert [one["kind"] for one in fields["dynamic"]["kinds"]] == list(KINDS)
    tried = [one["reason"] for one in fields["candidates"] if one["verdict"] == "slower"]
    assert tried and all(float(reason.split("%")[0]) >= 0 for reason in tried)
    assert all(float(reason.split("%")[0]) < 200 for reason in tried)


def test_published_dynamic_report_counts_its_spills():
    plan = plan_dynamic(1024, 1024, 64, block_size=16, density=1 / 4, strategy="popsparse")
    found = plan.report().fields["dynamic"]
    assert found["bucket_blocks"] == plan.published.nz_blocks_per_bucket * plan.grid.qn
    assert found["propagation"]["simulated_probability"] == pytest.approx(plan.propagation_probability, abs=0.05)
    by_kind = {one["kind"]: one for one in found["kinds"]}
    assert by_kind["hot_corner"]["steps"] > by_kind["uniform"]["steps"] or not by_kind["hot_corner"]["fits"]
    assert by_kind["row_balanced"]["fits"]


def test_large_patterns_are_drawn_on_few_cells():
    pattern = BlockPattern.random((4000, 300), density=0.1, block_size=1)
    picture = mask_picture(pattern, plan_static(pattern, 8).partition)
    assert max(picture["rows"], picture["cols"]) <= MOST_CELLS
    assert picture["blocks"].sum() == pattern.nnz_blocks
    assert picture["tile"].min() >= 0


def test_break_even_lies_between_the_cells_around_it():
    def cells(*speedups):
        return [
            {"density": 2.0 ** (i - 6), "speedup_vs_dense": s, "fits": s is not None} for i, s in enumerate(speedups)
        ]

    assert break_even(cells(4.0, 2.0, 1.0, 0.5)) == pytest.approx(1 / 16)
    assert break_even(cells(4.0, 0.25)) == pytest.approx(2**-5.5)
    assert break_even(cells(0.9, 0.8)) is None
    assert break_even(cells(3.0, 2.0, 2.0, 2.0, 2.0, 1.5)) == 1.0
    assert break_even(cells(2.0, None)) == pytest.approx(1 / 64)
    assert break_even([]) is None


def test_quick_plans_are_close_to_full_ones():
    plan = plan_static(BlockPattern.random((1024, 1024), density=0.125), 256)
    quick = quick_search(plan.pattern, plan.problem, plan.target)
    assert quick.fits
    assert 1.0 <= quick.total_cycles / plan.cost.total_cycles < 1.25
    assert quick_uniform(plan.problem, 0.125, plan.target) == quick


def test_crossover_falls_with_density():
    cross = CASES["blocks"]().report().fields["crossover"]
    for b in cross["block_sizes"]:
        cycles = [c["total_cycles"] for c in cross["cells"] if c["block_size"] == b]
        assert cycles == sorted(cycles, reverse=True)


def test_files_are_whole_or_not_there(tmp_path):
    target = tmp_path / "a.json"
    write_whole(target, b"old")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_whole(tmp_path / "missing" / "a.json", b"new")
    with pytest.raises(TypeError):
        write_whole(target, "text")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_foreign_json_is_refused():
    with pytest.raises(FormatError, match=r"expected JSON of schema 'popsparse\.report/1', got 'x'"):
        Report.from_json('{"schema": "x"}')
