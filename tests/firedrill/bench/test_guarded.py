from firedrill.bench.cases import Size
from firedrill.bench.guarded import HEALTHY_STEP, ROLLBACK, guarded


def test_a_healthy_step_and_a_rollback_can_be_timed_again_and_again() -> None:
    contestants = guarded(Size(2_000, 6, 2))
    assert list(contestants) == [HEALTHY_STEP, ROLLBACK]
    for _ in range(6):
        assert all(contestant.sampled().cpu > 0.0 for contestant in contestants.values())
