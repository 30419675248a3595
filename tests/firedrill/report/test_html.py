import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from firedrill.bench.record import Case
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.report.beside import Beside
from firedrill.report.html import render, write
from firedrill.report.maps import Field, Map
from firedrill.report.wording import Tone
from firedrill.runner.result import CellResult

CASE = Case("<take>", 100_000, 30, "hot", 1.5, {}, 2.0, 3.0, 3.0, 8.0, 3.0, 3, False, (2.0, 3.0, 8.0))
BESIDE = Beside(
    (Compared("kill-relu[cpu,12]", "verdict", MetricClass.EXACT, Change.REGRESSION, "recovered", "missed", "<why>"),),
    (CASE, replace(CASE, params=1_000_000)),
    (Map("Coverage", "signs", ("bare",), (("tensor.set", (Field("✓", "answered: pass", Tone.GOOD),)),)),),
)
META = {"commit": "4be1c99", "machine": "Linux <x86_64>"}
VOID = {"meta", "link", "input", "br"}


class Outline(HTMLParser):
    """What of a page can be checked without a browser: that it nests, its ids, links, headings and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    def values(self, name: str) -> list[str]:
        """The values of an attribute, wherever it stands."""
        return [value for _, attributes in self.attributes if (value := attributes.get(name)) is not None]


@pytest.fixture
def page(results: tuple[CellResult, ...]) -> Outline:
    """The page of the eight cells, with everything that can stand beside them."""
    return Outline(render(results, META, BESIDE))


def test_every_element_is_closed_where_it_was_opened(page: Outline) -> None:
    assert page.open == []


def test_ids_are_unique_and_every_link_and_label_leads_to_one(page: Outline) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    named = [word for name in ("aria-labelledby", "aria-describedby") for value in page.values(name) for word in value.split()]
    links = [href.removeprefix("#") for href in page.values("href") if href.startswith("#")]
    assert set(links + named) - set(ids) == set()
    assert len(links) > 8


def test_the_page_loads_nothing(results: tuple[CellResult, ...]) -> None:
    text = render(results, META)
    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!#|data:,)[^\s\"'>]+", text) == []
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text


def test_the_verdict_is_the_first_heading_and_the_title(page: Outline) -> None:
    text = "".join(page.words)
    assert text.index("3 of 8 cells did not end as expected") < text.index("kill-relu")
    assert (page.tags["h1"], page.tags["main"], page.tags["header"], page.tags["footer"]) == (1, 1, 1, 1)


def test_every_cell_has_a_section_and_a_row_that_links_to_it(page: Outline) -> None:
    anchors = [attributes["id"] for tag, attributes in page.attributes if tag == "article"]
    rows = [attributes["data-cell"] for tag, attributes in page.attributes if tag == "tr" and "data-cell" in attributes]
    assert anchors == rows
    assert len(anchors) == 8
    assert "cell-fossilize-then-nan-cpu-11" in anchors


def test_cells_of_one_name_keep_anchors_of_their_own(fossil: CellResult) -> None:
    page = Outline(render([fossil, fossil, replace(fossil, id="fossilize-then-nan(cpu 11)")], META))
    assert len({attributes["id"] for tag, attributes in page.attributes if tag == "article"}) == 3


def test_tables_have_captions_and_scoped_headings(page: Outline) -> None:
    assert page.tags["caption"] == page.tags["table"]
    assert all("scope" in attributes for tag, attributes in page.attributes if tag == "th")


def test_a_cell_shows_why_what_and_how_again(page: Outline) -> None:
    text = "".join(page.words)
    for words in (
        "Running statistics of batch normalisation are part of the state: a rollback has to bring them back too.",
        "state_restored: host/blocks.0.norm.running_var differs from snapshot 4",
        "expected: recovered or fail stop",
        "firedrill run scenarios/governor/bn-buffers-poisoned.yaml -k 'bn-buffers-poisoned[cpu,11]'",
        "the row of the penalty is found one rollout late",
        "6f1d2c0be0a5479b8a1cb1d2f3e4a596",
        "torch 2.13.0",
        "Linux <x86_64>",
    ):
        assert words in text


def test_what_changed_comes_before_the_cells_and_maps_after_them(page: Outline) -> None:
    text = "".join(page.words)
    places = [text.index(words) for words in ("Against the base: 1 regression.", "Every cell, grouped", "Times over the limit", "Coverage")]
    assert places == sorted(places)
    assert "<why>" in text


def test_without_anything_beside_there_is_nothing_beside(results: tuple[CellResult, ...]) -> None:
    text = render(results, META)
    assert not {"What changed", "Latencies", 'class="map"'} & set(re.findall(r'What changed|Latencies|class="map"', text))


def test_a_cell_can_be_replayed_by_its_token(fossil: CellResult) -> None:
    assert "firedrill replay fd1.token" in "".join(Outline(render([replace(fossil, token="fd1.token")], META)).words)


def test_failed_findings_come_before_unknown_and_passed_ones(results: tuple[CellResult, ...]) -> None:
    answers = re.findall(r'class="answer (\w+)"', render([results[2]], META))
    assert answers == ["fail", "fail", "unknown", "pass", "pass", "pass", "pass"]


def test_text_from_outside_is_never_markup(results: tuple[CellResult, ...]) -> None:
    text = render(results, META)
    page = Outline(text)
    assert page.tags["script"] == 1
    assert (page.tags["i"], page.tags["labels"]) == (4 * 7, 0)
    assert "Text is text: <script>alert(1)</script> & [bold]brackets[/bold]." in page.words
    assert text.count("</style>") == 1


def test_without_javascript_no_filter_is_shown_and_nothing_is_hidden(page: Outline) -> None:
    hidden = [attributes["id"] for _, attributes in page.attributes if "hidden" in attributes]
    assert hidden == ["filter", "filter-none"]


def test_filters_offer_what_occurs(page: Outline, results: tuple[CellResult, ...]) -> None:
    selects = re.findall(r'data-filter="(\w+)">(.*?)</select>', render(results, META), re.DOTALL)
    offered = {name: re.findall(r"<option>(.*?)</option>", options) for name, options in selects}
    assert offered["outcome"] == ["not as expected", "known gap", "not run", "as expected"]
    assert offered["device"] == ["cpu", "cuda"]
    assert offered["verdict"][0] == "wrong recovery"
    assert offered["tags"] == ["&#34;quoted&#34;", "governor", "positive-control", "ppo", "quiet", "smoke", "topology"]
    for name, _ in selects:
        assert page.values(f"data-{name}")


def test_no_results_make_a_page_that_says_so() -> None:
    assert "No cell was run" in "".join(Outline(render([], {})).words)


def test_a_page_is_written_into_a_folder_that_did_not_exist(tmp_path: Path, fossil: CellResult) -> None:
    write(tmp_path / "local" / "page.html", [fossil], META)
    assert (tmp_path / "local" / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
