"""`python -m popsparse_py.bench plans`: the comparison of plans over a grid, and the ablation."""

import json
import math

import pytest

from popsparse_planner import PlanError, PlanOptions
from popsparse_planner.ideas import IDEAS
from popsparse_py.bench import plans, plans_command, plans_kept, plans_view, result_tables
from popsparse_py.bench.plans import Compared, Group

GROUP = Group(256, 8, 16, (16,))


def compared(total: float, ours: float, group: Group = GROUP) -> Compared:
    parts = dict.fromkeys(("compute", "exchange", "sync", "reduce", "other"), 0.0)
    return Compared(group, 16, dict(parts, total=total), {"float16": dict(parts, total=ours), "float32": None})


def test_the_whole_grid_is_the_published_one() -> None:
    grid = plans.whole_grid()
    assert sum(len(group.columns) for group in grid) == 400
    published = {(b, d) for b in (1, 4, 8, 16) for d in (4, 8, 16, 32)}
    assert {(group.block_size, group.one_in) for group in grid} == published


def test_a_summary_names_the_worst_cell_and_counts_what_is_slower() -> None:
    other = GROUP._replace(m=512)
    lines = plans_view.summary([compared(200, 100), compared(100, 125, other)], "float16")
    assert [line["b"] for line in lines] == ["8", "all"]
    assert lines[0]["geometric_mean"] == pytest.approx(math.sqrt(2 * 0.8), abs=1e-4)
    assert (lines[0]["smallest"], lines[0]["slower"], lines[0]["cells"]) == (0.8, 1, 2)
    assert lines[0]["smallest_at"] == "m=512 b=8 d=1/16 n=16"
    unfit = plans_view.summary([compared(200, 100)], "float32")[-1]
    assert (unfit["not_planned"], unfit["geometric_mean"]) == (1, None)


def test_an_ablation_adds_the_ideas_and_then_leaves_each_out() -> None:
    steps = plans.ablation_steps()
    assert [len(without) for _, without in steps] == [*range(len(IDEAS), -1, -1), *[1] * len(IDEAS)]
    cycles = [[100.0 - index for index in range(len(steps))], [None] * len(steps)]
    lines = plans_view.ablation(steps, cycles)
    assert lines[0]["times"] == 1.0 and lines[1]["times"] == pytest.approx(100 / 99, abs=1e-4)
    assert {line["cells"] for line in lines} == {1}


def test_more_ideas_never_make_a_plan_slower() -> None:
    steps = plans.ablation_steps()[: len(IDEAS) + 1]
    (cycles,) = plans.ablate(GROUP, [steps[0], steps[1], steps[-1]])
    assert cycles[0] >= cycles[1] >= cycles[2]


def test_an_unknown_idea_is_refused() -> None:
    with pytest.raises(PlanError, match="without: unknown 'magic'; expected some of own grid"):
        PlanOptions(without=("magic",))


def test_the_command_prints_one_json_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(plans, "quick_grid", lambda: [GROUP])
    monkeypatch.setattr(plans, "uneven_grid", lambda: [GROUP._replace(kind="banded")] * 3)
    plans_command.execute(quick=True, jobs=1, as_json=True)
    fields = json.loads(capsys.readouterr().out)
    assert fields["schema"] == "popsparse.bench.plans/1" and len(fields["cells"]) == 2
    assert fields["cells"][0]["ratio"]["float16"] >= 1
    assert fields["ablation"][0]["times"] == 1.0 and "balanced against popsparse" in fields["verdict"]


def test_the_table_that_ships_is_of_the_present_planner() -> None:
    found = result_tables.stored("plans")
    rows = {tuple(row[:5]): row[5:] for row in found["rows"]}
    assert {key[1:4] for key in rows if key[0] == "uniform"} >= {g[:3] for g in plans.whole_grid() if g.m <= 4096}
    for group in [*plans.quick_grid(), Group(512, 8, 16, (64,), "banded")]:
        for one in plans.compare(group, plans.PARTIALS):
            cycles = rows[(group.kind, group.m, group.block_size, group.one_in, one.n)]
            now = [one.popsparse, *one.ours.values()]
            assert [each["total"] for each in now if each] == cycles, "run: python -m popsparse_py.bench plans --out"


def test_losses_are_counted_in_the_readme() -> None:
    rows = [["uniform", 512, b, 8, 4, 100.0, 50.0, 200.0 * b] for b in (1, 16)]
    rows.append(["banded", 512, 4, 8, 4, None, 80.0, None])
    lines = plans_kept.readme_lines(
        {"columns": list(plans_kept.COLUMNS), "rows": rows, "ablation": plans_view.ablation([("none", ())], [[1.0]])}
    )
    assert (
        lines[2] == "| uniform | float16 | 2 | 2.00 |  |  | 2.00 | 2.00 | 0 | 2.00 (m = 512, b = 1, d = 1/8, n = 4) |"
    )
    assert "| 0.13 | **2** | 0.03 (m = 512, b = 16" in lines[7]
    assert lines[3].startswith("| banded | float16 | 0 |")
    caption = lines[13]
    assert caption.startswith(
        "3 products with m = k from 512 to 512 were planned; 1 of them fit no plan of `popsparse`"
    )
    assert "0 none of `balanced` (0 neither)" in caption
