"""The page in a real browser: what a reader sees and can do, with a mouse, a keyboard, a screen reader, or without scripts."""

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from firedrill.runner.result import CellResult

from .conftest import Opened

PARTS = (".struck .curve", ".bystander .curve", ".harm", ".mark.fault", ".mark.collapsed", ".mark.rolled_back", ".mark.penalty", ".stage")
ROWS = ".matrix tr[data-cell]:visible"


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
    assert page.locator("svg.latency").count() == 2
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
    found = Axe().run(opened.page)
    assert found.response["violations"] == [], found.generate_report()
    assert len(found.response["passes"]) > 20


def test_without_scripts_the_page_is_whole_and_shows_no_filters(browser: Browser, file: Path, results: list[CellResult]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator(ROWS).count() == page.locator("article.cell:visible").count() == len(results)
    assert page.locator("#filter").is_hidden()
    context.close()
