"""A seam that nobody listens at is one call that gives back what it got."""

from collections.abc import Callable

from tolaria.seams import LOSS_READY, NO_TAPS
from tolaria.telemetry.event import Point

CALLS = 1000
NANOSECONDS_MAX = 2000


def bare_call(seam: object, at: object, value: object) -> object:
    """The least that any seam could be."""
    return value


def calling(function: Callable[..., object]) -> Callable[[], None]:
    """A thousand calls, so that the clock is not what is measured."""
    at = Point(0, 0)

    def calls() -> None:
        for _ in range(CALLS):
            function(LOSS_READY, at, 1.0)

    return calls


def test_an_unarmed_seam_costs_hardly_more_than_a_function_call(contest) -> None:
    contest.shuffle({"seam": calling(NO_TAPS.pass_through), "bare call": calling(bare_call)}, rounds=200)
    nanoseconds = 1e9 * min(contest.cpu["seam"]) / CALLS
    contest.benchmark.extra_info["nanoseconds a seam"] = nanoseconds
    contest.say(f"{nanoseconds:.0f} ns a seam")
    assert nanoseconds <= NANOSECONDS_MAX
    assert contest.compare("seam", "bare call").low <= 3
