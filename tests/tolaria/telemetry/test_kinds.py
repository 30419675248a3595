from dataclasses import dataclass, fields

import pytest

from tolaria.telemetry import governor_events, growth_events, run_events
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.kinds import EVENT_KINDS, kind_of, tabulate


def test_a_kind_is_the_name_of_its_class_in_snake_case() -> None:
    assert kind_of(RolledBack) == "rolled_back"


@pytest.mark.parametrize("module", [governor_events, growth_events, run_events], ids=lambda module: module.__name__)
def test_every_event_of_the_project_is_in_the_table(module: object) -> None:
    found = {one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Event) and one is not Event}
    assert found
    assert found <= set(EVENT_KINDS.values())


def test_an_event_whose_field_would_hide_the_envelope_is_refused() -> None:
    @dataclass(frozen=True)
    class Renumbered(Event):
        seq: int

    with pytest.raises(AssertionError, match="Renumbered has a field of the envelope"):
        tabulate([Renumbered])


def test_two_events_of_one_name_are_refused() -> None:
    with pytest.raises(AssertionError, match="two events are called rolled_back"):
        tabulate([RolledBack, RolledBack])


@pytest.mark.parametrize("event", EVENT_KINDS.values(), ids=lambda event: event.__name__)
def test_events_carry_no_clock(event: type[Event]) -> None:
    assert not {"time", "timestamp", "wall_time", "clock"} & {field.name for field in fields(event)}
