import json
import math
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

import firedrill.events
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.codec import CodecError, from_line, to_line
from tolaria.telemetry.event import Event, Point, is_recorded
from tolaria.telemetry.governor_events import Decision, Durations, Ease, PenaltyDelivered, Probe, Remedy, RolledBack, Rung, Work
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.kinds import EVENT_KINDS, tabulate
from tolaria.telemetry.run_events import RunFinished, RunStarted

HARNESS = [one for one in vars(firedrill.events).values() if isinstance(one, type) and issubclass(one, Event) and one is not Event]
KINDS = EVENT_KINDS | tabulate(HARNESS)

MOVED = StageChanged(Point(3, 1), "s0", 2, None, Stage.TRAINING, Stage.BLENDING, "ready", "policy")
MOVED_LINE = (
    '{"seq":7,"event":"stage_changed","at":{"step":3,"env":1},"slot":"s0","generation":2,"blueprint":null,'
    '"stage_from":"training","stage_to":"blending","reason":"ready","initiator":"policy"}'
)
REMEDY = Remedy(Rung.EASED, Ease(0.5, 50), Probe(0.7, 0.25))
DECISION = Decision("explosion", math.inf, 3.5, None, None, 1, (1.5, None, -0.0), (1, 3))


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that a type hint of an event allows."""
    if isinstance(hint, UnionType):
        return st.one_of([st.none() if member is NoneType else values(member) for member in get_args(hint)])
    if get_origin(hint) is tuple:
        members = get_args(hint)
        if members[-1] is Ellipsis:
            return st.lists(values(members[0]), max_size=4).map(tuple)
        return st.tuples(*map(values, members))
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: values(hints[field.name]) for field in fields(hint) if is_recorded(field)})
    if issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    plain = {int: st.integers(), float: st.floats(), str: st.text(), bool: st.booleans()}
    return plain[hint]


@pytest.mark.parametrize("event_type", KINDS.values(), ids=KINDS)
def test_a_line_gives_back_the_event(event_type: type[Event]) -> None:
    @given(seq=st.integers(min_value=0), event=values(event_type))
    def round_trip(seq: int, event: Event) -> None:
        line = to_line(seq, event)
        assert "\n" not in line
        # Compared as text, because NaN is unequal to itself and -0.0 equal to 0.0.
        assert repr(from_line(line, KINDS)) == repr((seq, event))

    round_trip()


def test_a_line_begins_with_number_kind_and_place_and_goes_on_in_the_order_of_the_class() -> None:
    assert to_line(7, MOVED) == MOVED_LINE


def test_places_without_environment_and_batch_leave_them_out() -> None:
    assert json.loads(to_line(0, RunFinished(Point(9), ())))["at"] == {"step": 9}


def test_nonfinite_numbers_are_strings() -> None:
    line = to_line(0, RunFinished(Point(0), (math.nan, math.inf, -math.inf, None)))
    assert line.endswith('"test_accuracies":["nan","inf","-inf",null]}')


def test_a_nested_value_is_an_object() -> None:
    event = RolledBack(Point(5, 0), 1, 4, DECISION, ("s0",), "restore", REMEDY, Work(1, 400), 2)
    assert json.loads(to_line(0, event))["decision"] == {
        "cause": "explosion",
        "loss": "inf",
        "threshold": 3.5,
        "mean": None,
        "spread": None,
        "streak": 1,
        "recent": [1.5, None, -0.0],
        "snapshot_ages": [1, 3],
    }


def test_what_a_clock_measured_is_on_no_line_and_makes_no_difference() -> None:
    timed = RolledBack(Point(5, 0), 1, 4, DECISION, ("s0",), "restore", REMEDY, Work(1, 400, Durations(0.1, 0.2, 0.3, 0.4, 0.5)), 2)
    untimed = replace(timed, work=Work(1, 400))
    assert to_line(0, timed) == to_line(0, untimed)
    assert timed == untimed
    assert json.loads(to_line(0, timed))["work"] == {"attempts": 1, "bytes": 400}


def altered(**changes: object) -> str:
    return json.dumps({**json.loads(MOVED_LINE), **changes})


def without(name: str) -> str:
    return json.dumps({key: value for key, value in json.loads(MOVED_LINE).items() if key != name})


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (without("slot"), "stage_changed.slot: missing field"),
        (without("blueprint"), "stage_changed.blueprint: missing field"),
        (without("at"), "stage_changed.at: missing field"),
        (altered(colour="red"), "stage_changed.colour: unknown field"),
        (altered(event="stage_lost"), "stage_lost: no such kind of event"),
        (without("event"), "None: no such kind of event"),
        (without("seq"), "stage_changed.seq: found None"),
        (altered(seq=-1), "stage_changed.seq: found -1"),
        (altered(seq=True), "stage_changed.seq: found True"),
        (altered(generation="2"), "stage_changed.generation: found '2', expected int"),
        (altered(generation=2.0), "stage_changed.generation: found 2.0, expected int"),
        (altered(generation=True), "stage_changed.generation: found True, expected int"),
        (altered(slot=None), "stage_changed.slot: found None, expected str"),
        (altered(stage_to="asleep"), "stage_changed.stage_to: found 'asleep', expected one of dormant"),
        (altered(stage_to=["dormant"]), "stage_changed.stage_to: found"),
        (altered(at={"env": 1}), "stage_changed.at.step: missing field"),
        (altered(at={"step": 1, "wall": 2}), "stage_changed.at.wall: unknown field"),
        (altered(at=3), "stage_changed.at: found 3, expected an object"),
        ('{"seq":0,"event":"penalty_delivered","at":{"step":0},"amount":NaN,"row":0}', "NaN is not JSON"),
        ('{"seq":0,"event":"penalty_delivered","at":{"step":0},"amount":1e999,"row":0,"shares":[]}', "penalty_delivered.amount: found inf"),
        (
            '{"seq":0,"event":"penalty_delivered","at":{"step":0},"amount":"all","row":0,"shares":[]}',
            "penalty_delivered.amount: found 'all'",
        ),
        ('{"seq":0,"seq":1}', "a key stands twice"),
        ("[1]", "found list, expected an object"),
        (MOVED_LINE[:-9], "not strict JSON"),
        (
            '{"seq":0,"event":"run_finished","at":{"step":0},"test_accuracies":0.5}',
            "run_finished.test_accuracies: found 0.5, expected a list",
        ),
        (
            '{"seq":0,"event":"run_finished","at":{"step":0},"test_accuracies":[0.5,"x"]}',
            "run_finished.test_accuracies[1]: found 'x'",
        ),
    ],
)
def test_a_line_that_the_hints_do_not_allow_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(CodecError) as refused:
        from_line(line, EVENT_KINDS)
    assert complaint in str(refused.value)


def test_a_pair_of_three_is_refused() -> None:
    line = to_line(0, RunStarted(Point(0), 1, "{}", "", (("torch", "2"),), (), 1.0)).replace('["torch","2"]', '["torch","2","3"]')
    with pytest.raises(CodecError, match=r"run_started\.versions\[0\]: found 3 members, expected 2"):
        from_line(line, EVENT_KINDS)


def test_an_event_of_the_harness_is_unknown_to_the_plain_table() -> None:
    line = to_line(0, firedrill.events.FaultStruck(Point(0), 0, "nan", "host/w", 1, "a", "b", "nan"))
    with pytest.raises(CodecError, match="fault_struck: no such kind"):
        from_line(line, EVENT_KINDS)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"amount": "much"}, "penalty_delivered.amount: found 'much', expected float"),
        ({"amount": True}, "penalty_delivered.amount: found True, expected float"),
        ({"row": 1.0}, "penalty_delivered.row: found 1.0, expected int"),
        ({"row": None}, "penalty_delivered.row: found None, expected int"),
        ({"at": None}, "penalty_delivered.at: found None, expected Point"),
    ],
)
def test_an_event_with_a_value_of_another_type_is_not_written(changes: dict[str, Any], complaint: str) -> None:
    event = replace(PenaltyDelivered(Point(0), -10.0, 3), **changes)
    with pytest.raises(CodecError) as refused:
        to_line(0, event)
    assert str(refused.value) == complaint


def test_a_list_in_place_of_a_tuple_is_not_written() -> None:
    accuracies: Any = [0.5]
    with pytest.raises(CodecError, match=r"run_finished\.test_accuracies: found \[0\.5\], expected a tuple"):
        to_line(0, RunFinished(Point(0), accuracies))
