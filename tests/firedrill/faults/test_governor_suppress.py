from firedrill.faults.fault import Scene, Strike
from firedrill.faults.governor_suppress import GovernorSuppress
from tolaria.governor.verdict import Standing, Verdict
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def suppressed(verdict: Verdict) -> tuple[object, list[Strike]]:
    strikes: list[Strike] = []
    return GovernorSuppress().strike(verdict, Scene(Point(1, 0), stream(1), None, strikes.append)), strikes


def test_a_collapse_becomes_healthy() -> None:
    assert suppressed(Verdict(Standing.COLLAPSED))[0] == Verdict.healthy()


def test_a_healthy_verdict_is_no_strike() -> None:
    assert suppressed(Verdict.healthy())[1] == []
