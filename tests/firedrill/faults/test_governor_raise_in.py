import errno

import pytest

from firedrill.faults.fault import Scene, Strike, Unfit
from firedrill.faults.governor_raise_in import GovernorRaiseIn
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def raised(fault: GovernorRaiseIn, passages: int) -> list[int]:
    """The passages at which the fault raises."""
    found = []
    for passage in range(1, passages + 1):
        try:
            assert fault.strike(passage - 1, Scene(Point(1, 0), stream(1), None, lambda _strike: None, passage)) == passage - 1
        except RuntimeError:
            found.append(passage)
    return found


def test_it_raises_at_the_nth_passage_only() -> None:
    assert raised(GovernorRaiseIn("snapshot", nth=3), 6) == [3]


def test_it_raises_from_the_nth_passage_on_where_it_persists() -> None:
    assert raised(GovernorRaiseIn("restore", nth=3, persists=True), 6) == [3, 4, 5, 6]


def test_a_persistent_one_declares_no_number_of_strikes() -> None:
    assert GovernorRaiseIn("restore", persists=True).persistent
    assert not GovernorRaiseIn("restore").persistent


def test_it_is_bound_to_the_seam_of_its_operation() -> None:
    assert GovernorRaiseIn("verify").allowed_phases == ("snapshot_verifying",)


@pytest.mark.parametrize(("error", "expected"), [("runtime", RuntimeError), ("memory", MemoryError), ("os", OSError)])
def test_the_error_is_of_the_named_type(error: str, expected: type[Exception]) -> None:
    strikes: list[Strike] = []
    with pytest.raises(expected):
        GovernorRaiseIn("snapshot", error=error).strike(0, Scene(Point(1, 0), stream(1), None, strikes.append))  # type: ignore[arg-type]  # Typed as text above.
    assert strikes[0].first_value == expected.__name__


def test_a_disk_is_full() -> None:
    with pytest.raises(OSError, match="injected") as full:
        GovernorRaiseIn("snapshot", error="os").strike(0, Scene(Point(1, 0), stream(1), None, lambda _strike: None))
    assert full.value.errno == errno.ENOSPC


def test_passages_count_from_one() -> None:
    with pytest.raises(Unfit, match="nth counts from 1"):
        GovernorRaiseIn("snapshot", nth=0)


def test_a_detector_fails_where_it_is_asked() -> None:
    assert GovernorRaiseIn("detector").allowed_phases == ("detector_asked",)
