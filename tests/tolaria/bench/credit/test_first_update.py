import pytest

from tolaria.bench.credit.first_update import Fall, change_of, falls


@pytest.mark.parametrize("arm", ["shipped", "last", "cause"])
def test_one_update_makes_the_bait_less_likely(arm: str) -> None:
    assert all(change_of(arm, seed) < 0.0 for seed in range(2))


def test_forgetting_and_cutting_off_make_it_likelier() -> None:
    assert list(falls(2, ["clear", "truncate"])) == [Fall("clear", 2, 0), Fall("truncate", 2, 0)]
