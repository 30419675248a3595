import pytest

from firedrill.faults.chance import Chance
from firedrill.faults.fault import Unfit
from tolaria.seeding import stream

STEPS = 400


def struck(chance: Chance, seed: int = 1) -> list[int]:
    return [waited for waited in range(STEPS) if chance.strikes(waited, stream(seed, "luck"))]


def test_a_certain_strike_comes_in_every_step_up_to_the_limit() -> None:
    assert struck(Chance(probability=1.0, limit=3)) == [0, 1, 2]


def test_a_probability_is_met_in_the_long_run() -> None:
    # 400 steps at a quarter: 100, with a standard deviation below 9.
    assert 70 < len(struck(Chance(probability=0.25, limit=STEPS))) < 130


def test_a_mean_time_is_met_in_the_long_run() -> None:
    # 20 gaps of 10 steps end at about 200, with a standard deviation of 45.
    times = struck(Chance(mean_steps=10.0, limit=20))
    assert 10 < len(times) <= 20
    assert 60 < times[-1] < 340


def test_no_more_than_the_limit() -> None:
    assert len(struck(Chance(mean_steps=2.0, limit=4))) <= 4


def test_the_same_stream_gives_the_same_luck_and_another_one_other_luck() -> None:
    chance = Chance(probability=0.1, limit=9)
    assert struck(chance) == struck(chance) != struck(chance, seed=2)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"probability": 0.0, "limit": 1}, "probability"),
        ({"probability": 1.5, "limit": 1}, "probability"),
        ({"mean_steps": 0.0, "limit": 1}, "mean_steps"),
        ({"mean_steps": float("inf"), "limit": 1}, "mean_steps"),
        ({"probability": 0.5, "limit": 0}, "limit"),
    ],
)
def test_luck_that_never_comes_is_refused_by_its_field(fields: dict[str, float], named: str) -> None:
    with pytest.raises(Unfit) as refused:
        Chance(**fields)  # type: ignore[arg-type]  # Wrong on purpose.
    assert refused.value.field == named


@pytest.mark.parametrize("fields", [{}, {"probability": 0.5, "mean_steps": 3.0}])
def test_exactly_one_kind_of_chance_is_needed(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one of probability and mean_steps"):
        Chance(limit=1, **fields)  # type: ignore[arg-type]  # Wrong on purpose.
