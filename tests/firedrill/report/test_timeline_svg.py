from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from firedrill.report.timeline_svg import describe, draw, harm_spans, struck_envs
from firedrill.runner.result import CellResult
from firedrill.runner.timeline import Curve, Mark, Timeline

FAULT = Mark(3, 1, "fault", "tensor.set w")


def drawn(timeline: Timeline) -> ET.Element:
    """The drawing, parsed back."""
    return ET.fromstring(draw(timeline, "a cell", "a"))


def classes(svg: ET.Element, tag: str) -> list[str]:
    """The classes of all elements of a tag."""
    return [element.get("class") or "" for element in svg.iter(tag)]


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw(Timeline(), "a cell", "a") == ""


def test_a_screen_reader_gets_a_title_and_a_description() -> None:
    svg = drawn(Timeline((Curve(0, (0, 1), (1.0, 0.9)),)))
    assert (svg.get("role"), svg.get("aria-labelledby")) == ("img", "a-t a-d")
    assert [(svg.find(tag).get("id"), svg.find(tag).text) for tag in ("title", "desc")] == [  # type: ignore[union-attr]  # Else it fails, which is right.
        ("a-t", "Timeline of a cell"),
        ("a-d", "Validation loss per step of 1 environment."),
    ]


def test_the_description_tells_events_in_order_without_snapshots_and_stages() -> None:
    marks = (Mark(4, None, "collapsed", ""), Mark(3, 1, "snapshot", "1"), Mark(3, 1, "stage", "s0 training"), FAULT)
    assert describe(Timeline((), marks)) == (
        "Validation loss per step of 0 environments. Step 3, environment 1: fault, tensor.set w. Step 4, all environments: collapsed."
    )


def test_struck_environments_are_strong_and_the_others_are_bystanders() -> None:
    curves = tuple(Curve(env, (0, 1), (1.0, 0.9)) for env in range(3))
    names = [name for name in classes(drawn(Timeline(curves, (FAULT,))), "g") if "mark" not in name]
    assert names == ["bystander dash-0", "bystander dash-2", "struck struck-0"]


def test_nobody_is_a_bystander_where_nobody_was_struck() -> None:
    assert classes(drawn(Timeline((Curve(0, (0, 1), (1.0, 0.9)),))), "g") == ["plain dash-0"]


def test_a_value_that_is_not_finite_breaks_the_curve_and_leaves_a_cross() -> None:
    svg = drawn(Timeline((Curve(0, (0, 1, 2, 3, 4), (1.0, 0.9, None, 0.8, 0.7)),)))
    assert classes(svg, "path") == ["curve", "curve"]
    assert [text.text for text in svg.iter("text") if text.get("class") == "gap middle"] == ["×"]


def test_a_curve_without_a_finite_value_is_all_crosses() -> None:
    svg = drawn(Timeline((Curve(0, (0, 1), (None, None)),)))
    assert (classes(svg, "path"), classes(svg, "text").count("gap middle")) == ([], 2)


@pytest.mark.parametrize(("last", "title"), [(0.1, "validation loss"), (1e4, "validation loss, log scale")])
def test_the_scale_is_named_where_it_is_logarithmic(last: float, title: str) -> None:
    assert next(drawn(Timeline((Curve(0, (0, 1), (1.0, last)),))).iter("text")).text == title


def test_harm_lasts_from_the_fault_to_the_next_rollback_of_that_environment() -> None:
    rollbacks = [Mark(step, env, "rolled_back", "") for step, env in ((2, 1), (4, 0), (5, 1), (9, 1))]
    assert harm_spans([FAULT, *rollbacks]) == [(3, 5)]
    assert harm_spans([FAULT]) == []


def test_a_band_of_harm_covers_whole_steps_even_within_one() -> None:
    svg = drawn(Timeline((Curve(1, tuple(range(10)), (1.0,) * 10),), (FAULT, Mark(3, 1, "rolled_back", "of step 1"))))
    (band,) = [rect for rect in svg.iter("rect") if rect.get("class") == "harm"]
    # 588 pixels for ten steps.
    assert band.get("width") == "58.8"


def test_fault_collapse_and_rollback_have_a_guide_through_the_curves() -> None:
    marks = (FAULT, Mark(4, 1, "collapsed", ""), Mark(4, 1, "rolled_back", ""), Mark(4, 1, "penalty", ""))
    guides = [name for name in classes(drawn(Timeline((), marks)), "line") if name.startswith("guide")]
    assert guides == ["guide collapsed", "guide fault", "guide rolled_back"]


def test_names_of_curves_do_not_cover_one_another() -> None:
    svg = drawn(Timeline(tuple(Curve(env, (0, 1), (1.0, 0.5)) for env in range(4))))
    heights = sorted(float(text.get("y") or 0) for text in svg.iter("text") if (text.get("class") or "").startswith("name"))
    assert all(lower - upper >= 13 for upper, lower in pairwise(heights))
    assert heights[-1] <= 216


def test_struck_environments_come_from_faults_only() -> None:
    assert struck_envs([FAULT, Mark(1, 0, "snapshot", ""), Mark(1, None, "fault", "")]) == (1,)


def test_text_from_outside_stays_text(results: tuple[CellResult, ...]) -> None:
    svg = draw(results[7].timeline, results[7].id, "a")
    assert "<labels>" not in svg
    assert "data.poison &lt;labels&gt; &amp; " in svg
