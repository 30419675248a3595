import pytest

from firedrill.faults.env_raise import EnvRaise
from firedrill.faults.fault import Scene, Strike
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def test_the_error_is_of_the_kind_that_was_asked_for_and_is_witnessed_first() -> None:
    strikes: list[Strike] = []
    with pytest.raises(MemoryError):
        EnvRaise("memory").strike(object(), Scene(Point(2, 1), stream(0, "fault"), None, strikes.append))
    assert [strike.first_value for strike in strikes] == ["MemoryError"]
