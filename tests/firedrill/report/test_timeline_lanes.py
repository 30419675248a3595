from xml.etree import ElementTree as ET

from firedrill.report.axis import Axis
from firedrill.report.timeline_lanes import Bar, StageLane, draw_events, draw_stages, lane_kinds, restored_step, stage_lanes
from firedrill.runner.timeline import Mark

# Ten pixels a step.
ACROSS = Axis(-0.5, 39.5, 0.0, 400.0)


def events(*marks: Mark, struck: tuple[int, ...] = (1,)) -> ET.Element:
    """The drawn event lanes."""
    svg = ET.Element("svg")
    draw_events(svg, ACROSS, marks, struck, 0.0)
    return svg


def notes(svg: ET.Element) -> list[tuple[str | None, str | None]]:
    """Class and words of every note beside a mark."""
    return [(text.get("class"), text.text) for text in svg.iter("text") if (text.get("class") or "").startswith("note")]


def test_lanes_follow_the_order_of_a_failure_and_strangers_come_last() -> None:
    marks = [Mark(1, 0, kind, "") for kind in ("moon", "snapshot", "stage", "penalty", "fault")]
    assert lane_kinds(marks) == ["fault", "penalty", "snapshot", "moon"]


def test_a_stage_lasts_until_the_next_one() -> None:
    marks = [Mark(2, 1, "stage", "s0 germinated"), Mark(5, 1, "stage", "s0 training")]
    assert stage_lanes(marks, (1,)) == [StageLane(1, "s0", (Bar(2, 5, "germinated"), Bar(5, None, "training")))]


def test_of_several_stages_in_one_step_the_last_one_counts() -> None:
    marks = [Mark(2, 1, "stage", "s0 pruned"), Mark(2, 1, "stage", "s0 embargoed")]
    assert stage_lanes(marks, (1,)) == [StageLane(1, "s0", (Bar(2, None, "embargoed"),))]


def test_slots_of_bystanders_have_no_lane_unless_nobody_was_struck() -> None:
    marks = [Mark(2, env, "stage", "s0 training") for env in (0, 1)]
    assert [lane.env for lane in stage_lanes(marks, (1,))] == [1]
    assert [lane.env for lane in stage_lanes(marks, ())] == [0, 1]


def test_a_rollback_points_back_to_the_step_of_its_snapshot() -> None:
    mark = Mark(30, 1, "rolled_back", "to snapshot 4 of step 20")
    assert restored_step(mark) == 20
    (shaft,) = [path for path in events(mark).iter("path") if path.get("class") == "shaft"]
    assert (shaft.get("transform"), shaft.get("d")) == ("translate(205 11)", "M0 0H100M6-4 0 0 6 4")


def test_only_rollbacks_point_anywhere() -> None:
    assert restored_step(Mark(30, 1, "collapsed", "of step 20")) is None


def test_snapshots_of_bystanders_are_faint_and_their_alarms_are_not() -> None:
    svg = events(Mark(3, 0, "snapshot", "1"), Mark(3, 1, "snapshot", "1"), Mark(9, 0, "collapsed", "x"))
    assert [group.get("class") for group in svg.iter("g")] == ["mark collapsed strong", "mark snapshot faint", "mark snapshot strong"]


def test_a_note_names_the_environment_unless_it_is_the_struck_one() -> None:
    assert notes(events(Mark(5, 1, "fault", "tensor.set"))) == [("note", "tensor.set")]
    assert notes(events(Mark(5, 2, "collapsed", "plateau"))) == [("note", "env 2: plateau")]


def test_a_note_stands_where_there_is_room_and_is_cut_to_it() -> None:
    assert notes(events(Mark(36, 1, "fault", "x" * 100))) == [("note end", "x" * 60 + "…")]
    apart = events(Mark(5, 1, "fault", "first"), Mark(36, 1, "fault", "second"))
    assert notes(apart) == [("note", "first"), ("note", "second")]
    crowded = events(Mark(20, 1, "fault", "first fault"), Mark(21, 1, "fault", "second fault"))
    assert notes(crowded) == [("note end", "first fault"), ("note", "second fault")]


def test_a_stage_is_spelt_out_where_it_has_room_and_is_always_told_by_its_title() -> None:
    svg = ET.Element("svg")
    draw_stages(svg, ACROSS, [StageLane(1, "s0", (Bar(0, 2, "blending"), Bar(2, None, "holding")))], 0.0)
    assert [text.text for text in svg.iter("text")] == ["env 1 s0", "B", "holding"]
    assert [title.text for title in svg.iter("title")] == ["s0 blending from step 0", "s0 holding from step 2"]
