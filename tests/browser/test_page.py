"""The report's page in headless Chromium: it runs without complaint, asks for nothing, and shows the JSON's numbers."""

import json
import shutil
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from popsparse_planner import BlockPattern, load_target, plan_dense, plan_dynamic, plan_static

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PHONE, DESK = 390, 1100
FOUR = load_target("bow").replace(tiles=4)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report() -> Any:
    return plan_static(BlockPattern.random((512, 384), density=0.125), 96).report()


class Opened:
    """A page of a report in a window, with everything it complained about or asked for."""

    def __init__(self, browser: Any, path: Path, width: int) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.complaints: List[str] = []
        self.requests: List[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def numbers(self, selector: str, attribute: str) -> List[float]:
        """An attribute of all elements that match."""
        script = "(all, name) => all.map((one) => Number(one.getAttribute(name)))"
        return self.page.eval_on_selector_all(selector, script, attribute)


@pytest.fixture
def opened(browser: Any, report: Any, tmp_path: Path) -> Iterator[Opened]:
    report.to_html(tmp_path / "report.html")
    found = Opened(browser, tmp_path / "report.html", DESK)
    yield found
    assert found.complaints == []
    assert found.requests == [(tmp_path / "report.html").as_uri()]
    found.page.close()


def test_verdict_stands_first(opened: Opened, report: Any) -> None:
    lines = opened.page.locator(".verdict p").all_inner_texts()
    assert lines == report.fields["verdict"]["sentences"]


@pytest.mark.parametrize("name", ["cycles", "nonzeros", "bytes"])
def test_heat_map_shows_every_tile(opened: Opened, report: Any, name: str) -> None:
    opened.page.click(f'figure[data-figure="tiles"] [data-choice="{name}"]')
    column = report.fields["tiles"][name]
    assert opened.numbers('figure[data-figure="tiles"] rect', "data-value") == column
    assert opened.numbers('figure[data-figure="tiles"] [data-most]', "data-most") == [max(column)]
    opened.page.hover('figure[data-figure="tiles"] rect[data-tile="7"]')
    assert f"{column[7]:,} {name}" in opened.page.inner_text('figure[data-figure="tiles"] .readout')


def test_mask_has_a_coloured_cell_for_every_block(opened: Opened, report: Any) -> None:
    mask = report.fields["partition"]["mask"]
    script = """(canvas) => {
      const copy = document.createElement("canvas");
      copy.width = canvas.width;
      copy.height = canvas.height;
      const paint = copy.getContext("2d", { willReadFrequently: true });
      paint.drawImage(canvas, 0, 0);
      const data = paint.getImageData(0, 0, canvas.width, canvas.height).data;
      let filled = 0;
      for (let i = 3; i < data.length; i += 4) filled += data[i] === 255;
      return [canvas.width, canvas.height, filled];
    }"""
    for name in ("partition", "tile number", "blocks"):
        opened.page.click(f'figure[data-figure="mask"] [data-choice="{name}"]')
        width, height, filled = opened.page.eval_on_selector("canvas", script)
        zoom = width // mask["cols"]
        assert (width, height) == (mask["cols"] * zoom, mask["rows"] * zoom)
        assert filled == len(mask["row"]) * zoom * zoom


def test_timeline_zooms_and_comes_back(opened: Opened, report: Any) -> None:
    bars = 'figure[data-figure="timeline"] rect[data-step]'
    cycles = [step["cycles"] for step in report.fields["supersteps"]]
    assert opened.numbers(bars, "data-cycles") == pytest.approx(cycles)
    widest = max(opened.numbers(bars, "width"))
    for _ in range(3):
        opened.page.click('figure[data-figure="timeline"] [data-action="zoom in"]')
    assert opened.page.locator(bars).count() < len(cycles)
    assert max(opened.numbers(bars, "width")) > widest
    opened.page.click('figure[data-figure="timeline"] [data-action="all"]')
    assert opened.numbers(bars, "data-cycles") == pytest.approx(cycles)


def test_bars_show_bytes_and_cycles(opened: Opened, report: Any) -> None:
    sizes = opened.numbers('figure[data-figure="memory"] rect[data-part]', "data-value")
    assert sum(sizes) == report.fields["memory"]["peak_bytes"]
    cost, dense = (report.fields["cycles"][name]["total_cycles"] for name in ("cost", "dense_cost"))
    parts = opened.numbers('figure[data-figure="cycles"] rect[data-part]', "data-value")
    assert sum(parts) == pytest.approx(cost + dense)
    assert opened.numbers("[data-tflops]", "data-tflops") == pytest.approx([report.fields["flops"]["tflops"]])


def test_candidates_are_sorted_by_a_click(opened: Opened, report: Any) -> None:
    cycles = sorted(c["total_cycles"] for c in report.fields["candidates"] if c["total_cycles"] is not None)
    opened.page.click("#candidates th:nth-child(5) button")
    shown = opened.page.locator("#candidates tbody td:nth-child(5)").all_inner_texts()
    assert [float(text.replace(",", "")) for text in shown] == [round(value) for value in cycles]
    opened.page.click("#candidates th:nth-child(5) button")
    again = opened.page.locator("#candidates tbody td:nth-child(5)").all_inner_texts()
    assert float(again[0].replace(",", "")) == round(cycles[-1])
    assert opened.page.get_attribute("#candidates th:nth-child(5)", "aria-sort") == "descending"


def test_every_picture_has_words(opened: Opened) -> None:
    for picture in opened.page.locator("figure svg, figure canvas").all():
        assert picture.get_attribute("role") == "img"
        assert len(picture.get_attribute("aria-label")) > 15


def test_phone_and_print_need_no_sideways_scrolling(browser: Any, report: Any, tmp_path: Path) -> None:
    report.to_html(tmp_path / "report.html")
    found = Opened(browser, tmp_path / "report.html", PHONE)
    assert found.page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert (
        found.page.locator("figure svg").count()
        == Opened(browser, tmp_path / "report.html", DESK).page.locator("figure svg").count()
    )
    found.page.emulate_media(media="print")
    assert not found.page.is_visible("nav")
    assert found.page.pdf().startswith(b"%PDF")
    assert found.complaints == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: plan_dense(512, 512, 64),
        lambda: plan_static(BlockPattern.random((512, 512), density=0.5), 4096, target=FOUR),
        lambda: plan_static(BlockPattern.random((512, 512), density=0.5), 4096, target=FOUR, strategy="popsparse"),
        lambda: plan_static(BlockPattern.from_indices([], [], shape=(64, 64), block_size=16), 8),
    ],
    ids=["dense", "does not fit", "no plan", "empty"],
)
def test_other_plans_open_without_complaint(browser: Any, tmp_path: Path, make: Any) -> None:
    make().report().to_html(tmp_path / "report.html")
    found = Opened(browser, tmp_path / "report.html", DESK)
    assert found.complaints == []
    assert found.page.locator(".verdict p").count() >= 1


def test_notebook_frame_draws_its_figures(browser: Any, report: Any, tmp_path: Path) -> None:
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><body>{report._repr_html_()}</body>", encoding="utf-8")
    found = Opened(browser, tmp_path / "notebook.html", DESK)
    frame = found.page.frame_locator("iframe")
    frame.locator('figure[data-figure="tiles"] rect').first.wait_for()
    assert frame.locator('figure[data-figure="tiles"] rect').count() == len(report.fields["tiles"]["cycles"])
    assert json.loads(frame.locator("#report").text_content()) == report.fields
    assert found.complaints == []


def test_dynamic_page_shows_model_and_simulation(browser: Any, tmp_path: Path) -> None:
    report = plan_dynamic(256, 192, 64, block_size=16, density=1 / 4).report()
    report.to_html(tmp_path / "dynamic.html")
    found = Opened(browser, tmp_path / "dynamic.html", PHONE)
    cells = found.page.locator("#propagation tbody tr").first.locator("td").all_inner_texts()
    known = report.fields["dynamic"]["propagation"]
    assert cells[1:] == [f"{known[name]:.2%}" for name in ("model_probability", "simulated_probability")]
    assert found.page.locator("#kinds tbody tr").count() == len(report.fields["dynamic"]["kinds"])
    assert found.page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert found.complaints == []
    found.page.close()
