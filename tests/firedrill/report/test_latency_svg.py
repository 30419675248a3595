from dataclasses import replace
from xml.etree import ElementTree as ET

from firedrill.bench.ratios import Measured
from firedrill.bench.record import Case
from firedrill.report.latency_svg import (
    Row,
    draw_ratios,
    draw_sizes,
    lines_of_cases,
    lines_of_ratios,
    rows_of_cases,
    rows_of_ratios,
)

# A limit of two seconds: its own median is three.
TAKE = Case("take", 100_000, 30, "hot", 1.5, {}, 2.0, 3.0, 3.0, 8.0, 3.0, 3, False, (2.0, 3.0, 8.0))
LARGE = replace(TAKE, params=1_000_000)
ROUNDS = {"above": (1.0, 3.0), "below": (8.0, 8.0)}
COPY = Measured("copy / rollback, 0.1M", 0.25, 0.2, 0.3, 0.5, at_most=True, clock="wall", contended=False, seconds=ROUNDS)


def drawn(rows: list[Row], names_above: bool = False) -> str:
    return draw_ratios(rows, "a", "Times over the limit", "times the limit", names_above)


def classes(drawing: str) -> list[str]:
    return [element.get("class") or "" for element in ET.fromstring(drawing).iter("path")]


def places(drawing: str) -> list[str | None]:
    return [element.get("transform") for element in ET.fromstring(drawing).iter("path")]


def test_samples_are_drawn_over_the_limit_with_median_and_gate() -> None:
    drawing = drawn(rows_of_cases([TAKE]))
    assert classes(drawing) == ["dot", "dot", "dot", "median", "gate"]
    # The middle sample lies on the median.
    assert places(drawing)[1] == places(drawing)[3]
    assert "take, 0.1M parameters, hot: 1.50 times the limit." in drawing


def test_a_record_without_samples_shows_its_percentiles() -> None:
    assert classes(drawn(rows_of_cases([replace(TAKE, seconds=())]))) == ["dot", "dot", "dot", "median", "gate"]


def test_an_operation_without_a_gate_has_none() -> None:
    assert classes(drawn(rows_of_cases([replace(TAKE, op="torch.save")]))).count("gate") == 0


def test_a_ratio_is_drawn_round_by_round_with_what_it_comes_to_in_times_of_its_bound() -> None:
    words = "copy / rollback, 0.1M: 0.25, to be at most 0.5"
    assert rows_of_ratios([COPY]) == [Row("copy / rollback, 0.1M", words, (0.25, 0.75), 0.5, 1.0)]
    # The bound lies beyond what was measured, until it is half as large.
    assert classes(drawn(rows_of_ratios([COPY]))) == ["dot", "dot", "median"]
    assert classes(drawn(rows_of_ratios([replace(COPY, bound=0.3)]))) == ["dot", "dot", "median", "gate"]


def test_a_bound_is_open_towards_where_the_ratio_is_to_be() -> None:
    upper, lower = (rows_of_ratios([replace(COPY, bound=0.3, at_most=at_most)]) for at_most in (True, False))
    shapes = [[one.get("d") for one in ET.fromstring(drawn(rows)).iter("path")][-1] for rows in (upper, lower)]
    assert shapes == ["M0-8V8M0-8h-4M0 8h-4", "M0-8V8M0-8h4M0 8h4"]


def test_a_ratio_without_a_bound_is_drawn_as_it_is() -> None:
    free = replace(COPY, bound=None)
    assert rows_of_ratios([free]) == [Row("copy / rollback, 0.1M", "copy / rollback, 0.1M: 0.25", (0.125, 0.375), 0.25, None)]
    assert classes(drawn(rows_of_ratios([free]))) == ["dot", "dot", "median"]


def test_names_that_are_too_long_to_stand_beside_a_row_stand_above_it() -> None:
    beside, above = (ET.fromstring(drawn(rows_of_ratios([COPY]), names_above)) for names_above in (False, True))
    name, over = (next(one for one in svg.iter("text") if one.text == COPY.name) for svg in (beside, above))
    assert (name.get("class"), over.get("class")) == ("tick end", "tick")
    dots = [one.get("transform") or "" for one in above.iter("path")]
    assert all(float(over.get("y") or 0) < float(at.split()[1].rstrip(")")) for at in dots)


def test_time_against_size_takes_two_sizes() -> None:
    assert draw_sizes(lines_of_cases([TAKE]), "a", "seconds") == ""
    assert drawn([]) == ""
    drawing = draw_sizes(lines_of_cases([TAKE, LARGE, replace(TAKE, op="restore"), replace(LARGE, op="restore")]), "a", "seconds")
    assert classes(drawing) == ["curve", "curve"]
    assert [title.text for title in ET.fromstring(drawing).iter("title")] == ["Time against size", "restore", "take"]
    assert "take, 0.1M parameters: 3 s. take, 1M parameters: 3 s." in drawing


def test_the_time_of_a_part_of_a_rollback_is_drawn_against_size_and_a_ratio_without_a_size_is_not() -> None:
    whole = replace(COPY, name="rollback / load_state_dict, 0.1M", seconds={"above": (7.0,), "below": (1.0,)}, params=100_000)
    found = [COPY, replace(COPY, params=100_000), whole, replace(whole, seconds={"above": (9.0,), "below": (1.0,)})]
    assert lines_of_ratios(found) == {"copy": {100_000: 2.0}, "rollback": {100_000: 7.0}}


def test_names_are_text() -> None:
    cases = [replace(TAKE, op="<b>"), replace(LARGE, op="<b>")]
    assert "<b>" not in drawn(rows_of_cases(cases)) + draw_sizes(lines_of_cases(cases), "a", "seconds")
