"""A seam that nobody listens at is one call that gives back what it got."""

from firedrill.bench.governing import BOUNDS, CALLS, SEAM, bare_call, calling
from tolaria.seams import NO_TAPS

NANOSECONDS_MAX = 2000


def test_an_unarmed_seam_costs_hardly_more_than_a_function_call(contest) -> None:
    contest.shuffle({"seam": calling(NO_TAPS.pass_through), "bare call": calling(bare_call)}, rounds=200)
    nanoseconds = 1e9 * min(contest.cpu["seam"]) / CALLS
    contest.benchmark.extra_info["nanoseconds a seam"] = nanoseconds
    contest.say(f"{nanoseconds:.0f} ns a seam")
    assert nanoseconds <= NANOSECONDS_MAX
    assert contest.compare("seam", "bare call").low <= BOUNDS[SEAM]
