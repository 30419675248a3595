from tolaria.bench.credit.arms import ABOUT, ARMS, SHIPPED
from tolaria.practice.config import PracticeConfig


def test_the_first_arm_changes_nothing() -> None:
    assert next(iter(ARMS)) == SHIPPED
    assert ARMS[SHIPPED](PracticeConfig()) == PracticeConfig()
    assert ABOUT[SHIPPED] == "split, terminal, fixed"
