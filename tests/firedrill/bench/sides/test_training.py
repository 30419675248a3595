import pytest

from firedrill.bench.paired import SUBJECTS
from firedrill.bench.side import block
from firedrill.bench.sides import training


def test_judging_and_seams_are_timed_once_and_not_with_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firedrill.bench.side.WARMUPS", 0)
    operations = {case: list(block(training.begin, case, 1)["seconds"]) for case in ("a convolutional host", "32 perceptrons, stacked")}
    assert operations == {
        "a convolutional host": ["a step", "judging", "a thousand seams"],
        "32 perceptrons, stacked": ["a step"],
    }


def test_every_case_that_is_timed_where_no_other_is_asked_for_is_known() -> None:
    backends = [training._config(case).backend for case in SUBJECTS["training"]]
    assert backends == ["loop", "loop", "stacked", "loop", "stacked"]
