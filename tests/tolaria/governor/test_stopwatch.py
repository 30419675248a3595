from tolaria.governor.stopwatch import Stopwatch
from tolaria.telemetry.governor_events import Durations


def test_time_belongs_to_the_phase_that_is_going_on_and_a_second_attempt_adds_to_the_first() -> None:
    moments = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    watch = Stopwatch(lambda: next(moments))
    for phase in ("validate", "rebuild", "validate", "copy"):
        watch.begin(phase)
    assert watch.stop() == Durations(choose=1.0, validate=6.0, rebuild=3.0, copy=5.0, settle=0.0)
