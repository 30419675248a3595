import resource

import pytest

from firedrill.faults.fault import Scene, Strike
from firedrill.faults.mem_limit import MemLimit
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def test_the_system_refuses_once_and_the_limit_is_lifted_again() -> None:
    strikes: list[Strike] = []
    before = resource.getrlimit(resource.RLIMIT_AS)
    scene = Scene(Point(5, 1), stream(1), None, strikes.append)
    with pytest.raises(MemoryError, match="64 MiB were refused"):
        MemLimit().strike("value", scene)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(64 << 20)) == strikes[0].elements
    assert MemLimit().strike("value", Scene(Point(5, 1), stream(1), None, strikes.append, passage=2)) == "value"
    assert len(strikes) == 1
