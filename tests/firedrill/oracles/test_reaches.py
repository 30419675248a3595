from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.oracles.oracle import Answer, Evidence
from firedrill.oracles.reaches import Reaches
from tolaria.telemetry.run_events import RunFinished

Edit = Callable[..., Evidence]


@pytest.mark.parametrize(("needed", "answer"), [(0.85, Answer.PASS), (0.86, Answer.FAIL)])
def test_the_struck_environment_is_measured(healed: Evidence, needed: float, answer: Answer) -> None:
    assert Reaches(test_accuracy=needed).judge(healed).answer is answer


@pytest.mark.parametrize("accuracies", [(0.9, None), (0.9, float("nan")), (0.9,)])
def test_an_environment_without_an_accuracy_fails(edit: Edit, accuracies: tuple[float | None, ...]) -> None:
    assert Reaches(test_accuracy=0.1).judge(edit(RunFinished, test_accuracies=accuracies)).answer is Answer.FAIL


def test_a_run_without_an_end_fails(drop: Edit) -> None:
    assert Reaches(test_accuracy=0.1).judge(drop(RunFinished)).answer is Answer.FAIL


def test_without_a_struck_environment_there_is_nothing_to_judge(healed: Evidence) -> None:
    nobody = replace(healed, claim=replace(healed.claim, struck_envs=frozenset()))
    assert Reaches(test_accuracy=0.1).judge(nobody).answer is Answer.UNKNOWN
