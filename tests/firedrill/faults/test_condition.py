import pytest

from firedrill.faults.condition import Condition
from firedrill.faults.fault import Unfit
from tolaria.telemetry.event import Point
from tolaria.telemetry.run_events import StepFinished


def finished(val_loss: float, gradient_norm: float | None = 1.0) -> StepFinished:
    return StepFinished(Point(3, 1), "wait", "s0", True, 0.5, val_loss, 0.75, gradient_norm, 0.1)


def test_the_number_itself_is_excluded() -> None:
    condition = Condition(metric="val_loss", below=0.5)
    assert [condition.holds(finished(loss)) for loss in (0.4, 0.5, 0.6)] == [True, False, False]
    assert Condition(metric="val_accuracy", above=0.7).holds(finished(0.5))


def test_what_is_missing_or_not_finite_meets_nothing() -> None:
    assert not Condition(metric="val_loss", above=0.0).holds(finished(float("inf")))
    assert not Condition(metric="gradient_norm", above=0.0).holds(finished(0.5, gradient_norm=None))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"metric": "val_accuracy", "above": 1.0}, "above"),
        ({"metric": "val_loss", "above": float("inf")}, "above"),
        ({"metric": "val_loss", "below": 0.0}, "below"),
        ({"metric": "reward", "below": float("nan")}, "below"),
    ],
)
def test_what_is_never_so_is_refused_by_its_field(fields: dict[str, object], named: str) -> None:
    with pytest.raises(Unfit) as refused:
        Condition(**fields)  # type: ignore[arg-type]  # Wrong on purpose.
    assert refused.value.field == named


@pytest.mark.parametrize("fields", [{}, {"above": 0.1, "below": 0.2}])
def test_exactly_one_side_is_needed(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one of above and below"):
        Condition(metric="val_loss", **fields)
