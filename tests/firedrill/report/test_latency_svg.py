from dataclasses import replace
from xml.etree import ElementTree as ET

from firedrill.bench.record import Case
from firedrill.report.latency_svg import draw_ratios, draw_sizes

# A limit of two seconds: its own median is three.
TAKE = Case("take", 100_000, 30, "hot", 1.5, {}, 2.0, 3.0, 3.0, 8.0, 3.0, 3, False, (2.0, 3.0, 8.0))
LARGE = replace(TAKE, params=1_000_000)


def classes(drawing: str) -> list[str]:
    return [element.get("class") or "" for element in ET.fromstring(drawing).iter("path")]


def test_samples_are_drawn_over_the_limit_with_median_and_gate() -> None:
    drawing = draw_ratios([TAKE], "a")
    assert classes(drawing) == ["dot", "dot", "dot", "median", "gate"]
    # The middle sample lies on the median.
    places = [element.get("transform") for element in ET.fromstring(drawing).iter("path")]
    assert places[1] == places[3]
    assert "take, 0.1M parameters: 1.50 times the limit." in drawing


def test_a_record_without_samples_shows_its_percentiles() -> None:
    assert classes(draw_ratios([replace(TAKE, seconds=())], "a")) == ["dot", "dot", "dot", "median", "gate"]


def test_an_operation_without_a_gate_has_none() -> None:
    assert classes(draw_ratios([replace(TAKE, op="torch.save")], "a")).count("gate") == 0


def test_time_against_size_takes_two_sizes() -> None:
    assert draw_sizes([TAKE], "a") == ""
    assert draw_ratios([], "a") == ""
    drawing = draw_sizes([TAKE, LARGE, replace(TAKE, op="restore"), replace(LARGE, op="restore")], "a")
    assert classes(drawing) == ["curve", "curve"]
    assert [title.text for title in ET.fromstring(drawing).iter("title")] == ["Time against size", "restore", "take"]


def test_names_are_text() -> None:
    assert "<b>" not in draw_ratios([replace(TAKE, op="<b>")], "a") + draw_sizes([replace(TAKE, op="<b>"), LARGE], "a")
