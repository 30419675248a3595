"""The page in a real browser: what a reader sees and can do, with a mouse, a keyboard, a screen reader, or without scripts."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from firedrill.bench.ratios import Measured
from firedrill.bench.record import Case
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.report import html
from firedrill.report.beside import Beside
from firedrill.report.maps import Field, Map
from firedrill.report.wording import Tone
from firedrill.runner.result import CellResult
from firedrill.runner.run import run_cells
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import cells
from firedrill.scenario.load import load

# Brought by the group `page`; whoever runs all tests without it has these skipped.
sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

ROOT = Path(__file__).parents[2]
SCENARIOS = ("nan/nan-weight-steady-state", "controls/suppressed-nan")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# The sandbox of the browser needs rights that a container does not give, and no page of ours needs the network.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

PARTS = (".struck .curve", ".bystander .curve", ".harm", ".mark.fault", ".mark.collapsed", ".mark.rolled_back", ".mark.penalty", ".stage")
ROWS = ".matrix tr[data-cell]:visible"

CASE = Case("take", 100_000, 30, "hot", 1.5, {}, 2e-5, 3e-5, 3e-5, 8e-5, 3e-5, 3, False, (2e-5, 3e-5, 8e-5))
TURNS = {"above": (2e-3, 3e-3), "below": (1e-3, 1e-3)}
BESIDE = Beside(
    (Compared("a cell", "verdict", MetricClass.EXACT, Change.REGRESSION, "recovered", "missed", "because"),),
    (CASE, replace(CASE, params=1_000_000)),
    (Map("Coverage", "signs", ("bare", "fossil"), (("tensor.set", (Field("✓", "pass", Tone.GOOD), Field("✗", "fail", Tone.BAD))),)),),
    (
        Measured("loop / stack, 32 perceptrons with whatever seeds", 2.0, 1.9, 2.1, 1.4, False, "cpu", False, TURNS),
        *(Measured(f"copy / rollback, {size}M", 0.2, 0.1, 0.3, None, True, "wall", True, TURNS, size * 1_000_000) for size in (1, 10)),
    ),
    (("ratios.json was measured on", "cores 2"),),
)


@dataclass(slots=True)
class Opened:
    """A page and everything that went wrong in it."""

    page: sync_api.Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[sync_api.Browser]:
    """Chromium; a machine without it skips these tests, unless it says that it has to have it."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        reason = f"none of {', '.join(PROGRAMS)} is installed"
        pytest.fail(reason) if os.environ.get("TOLARIA_REQUIRE_BROWSER") == "1" else pytest.skip(reason)
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def results() -> list[CellResult]:
    """Two scenarios that really ran, one of them as if it had failed, and one that was not run."""
    recovered, suppressed = run_cells([cells(load(ROOT / "scenarios" / f"{name}.yaml"))[0] for name in SCENARIOS], 1, lambda _: None)
    red = replace(suppressed, expected=(Verdict.RECOVERED,), passed=False)
    idle = replace(recovered, id="idle[cuda]", device="cuda", verdict=Verdict.NOT_RUN, passed=False, reason="there is no CUDA device")
    return [recovered, red, idle]


@pytest.fixture(scope="session")
def file(results: list[CellResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on disk."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    html.write(path, results, {"machine": "this one"}, BESIDE)
    return path


@pytest.fixture(params=["light", "dark", "phone"])
def opened(request: pytest.FixtureRequest, browser: sync_api.Browser, file: Path) -> Iterator[Opened]:
    """The page opened from disk: by day, by night, and on a phone."""
    with shown(browser, file, request.param) as found:
        yield found


@contextmanager
def shown(browser: sync_api.Browser, file: Path, way: str) -> Iterator[Opened]:
    """A page opened from disk."""
    phone = way == "phone"
    context = browser.new_context(
        color_scheme="dark" if way == "dark" else "light",
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 900},
        has_touch=phone,
        reduced_motion="reduce",
    )
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.complaints.append(message.text) if message.type in {"error", "warning"} else None)
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("request", lambda asked: None if asked.url == file.as_uri() else found.complaints.append(f"asks for {asked.url[:80]}"))
    found.page.goto(file.as_uri())
    yield found
    context.close()


def test_matrix_and_timeline_are_there_and_nothing_is_complained_of(opened: Opened, results: list[CellResult]) -> None:
    page = opened.page
    assert page.locator(ROWS).count() == len(results)
    drawing = page.locator("article.expected svg.timeline").first
    assert drawing.is_visible()
    box = drawing.bounding_box()
    assert box is not None
    assert box["height"] > 200
    for part in PARTS:
        assert drawing.locator(part).count() > 0, part
    # Of snapshots by size and against the limit; of ratios with a bound, without one, and by size.
    assert page.locator("svg.latency").count() == 5
    assert page.locator("table.map td.bad").is_visible()
    assert opened.complaints == []


def test_nothing_is_wider_than_the_screen(opened: Opened) -> None:
    assert opened.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_filters_and_search_hide_cells_and_clear_shows_them_again(opened: Opened) -> None:
    page = opened.page
    page.locator("[data-filter=outcome]").select_option("not as expected")
    assert page.locator(ROWS).count() == page.locator("article.cell:visible").count() == 1
    assert page.locator("#filter-count").text_content() == "1 of 3 shown"
    page.locator("#filter-text").fill("no such words")
    assert page.locator(ROWS).count() == 0
    page.locator("#filter-clear").click()
    assert page.locator(ROWS).count() == 3
    page.locator("#filter-text").fill("CUDA device")
    assert page.locator(ROWS).count() == 1
    assert opened.complaints == []


def test_a_row_leads_to_its_cell_also_where_a_filter_hid_it(opened: Opened) -> None:
    page = opened.page
    page.locator(f"{ROWS} a").nth(1).click()
    anchor = page.evaluate("location.hash.slice(1)")
    assert page.locator(f"[id='{anchor}']").is_visible()
    page.locator("[data-filter=device]").select_option("cuda")
    assert page.locator(f"[id='{anchor}']").is_hidden()
    page.evaluate("location.hash = ''")
    page.evaluate(f"location.hash = '{anchor}'")
    page.wait_for_function("document.querySelectorAll('article.cell[hidden]').length === 0")
    assert page.locator(f"[id='{anchor}']").is_visible()


def test_everything_can_be_reached_and_used_by_keyboard(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "cells"
    page.keyboard.press("Tab")
    page.keyboard.type("suppressed")
    assert page.locator(ROWS).count() == 1
    summary = page.locator("article.cell:visible summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("article.cell:visible details[open] table").is_visible()


def test_an_automated_check_finds_no_barrier(opened: Opened) -> None:
    # Folded parts are looked at too.
    opened.page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    found = axe.Axe().run(opened.page)
    assert found.response["violations"] == [], found.generate_report()
    assert len(found.response["passes"]) > 20


@pytest.mark.parametrize("way", ["light", "dark", "phone"])
def test_a_page_of_benchmarks_alone_has_no_barrier_either(browser: sync_api.Browser, tmp_path: Path, way: str) -> None:
    html.write(tmp_path / "bench.html", (), {}, BESIDE)
    with shown(browser, tmp_path / "bench.html", way) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        assert found.page.locator("svg.latency").count() == 5
        assert found.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        checked = axe.Axe().run(found.page)
        assert checked.response["violations"] == [], checked.generate_report()
        assert found.complaints == []


def test_without_scripts_the_page_is_whole_and_shows_no_filters(browser: sync_api.Browser, file: Path, results: list[CellResult]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator(ROWS).count() == page.locator("article.cell:visible").count() == len(results)
    assert page.locator("#filter").is_hidden()
    context.close()
