from dataclasses import replace

import pytest

from firedrill.compare.compared import Change
from firedrill.compare.exact import compare_exactly
from firedrill.compare.facts import CellFacts, Facts

NAME = "nan-weight[cpu,seed=1]"


def with_cell(facts: Facts, cell: CellFacts) -> Facts:
    return replace(facts, cells={NAME: cell})


def changed(base: Facts, head: Facts) -> list[tuple[str, Change]]:
    """What is not unchanged."""
    return [(compared.metric, compared.change) for compared in compare_exactly(base, head) if compared.change is not Change.UNCHANGED]


def test_a_run_against_itself_is_unchanged_in_every_metric(base: Facts) -> None:
    metrics = [compared.metric for compared in compare_exactly(base, base)]
    assert metrics == ["verdict", "keys_matched", "twin", "rollbacks", "penalty delivered", "history"]
    assert changed(base, base) == []


@pytest.mark.parametrize(
    ("fields", "metric", "worse"),
    [
        ({"verdict": "missed", "failed": True}, "verdict", True),
        ({"verdict": "masked"}, "verdict", False),
        ({"verdict": "late"}, "verdict", True),
        ({"answers": {"keys_matched": "fail", "twin": "unknown"}}, "keys_matched", True),
        ({"answers": {"keys_matched": "unknown", "twin": "unknown"}}, "keys_matched", True),
        ({"answers": {"twin": "unknown"}}, "keys_matched", True),
        ({"answers": {"keys_matched": "pass", "twin": "pass"}}, "twin", False),
        ({"answers": {"keys_matched": "pass", "twin": "fail"}}, "twin", True),
        ({"rollbacks": 2}, "rollbacks", True),
        ({"rollbacks": 0}, "rollbacks", False),
        ({"penalty": -5.0}, "penalty delivered", True),
        ({"penalty": -20.0}, "penalty delivered", True),
    ],
)
def test_any_worsening_is_a_regression(base: Facts, cell: CellFacts, fields: dict[str, object], metric: str, worse: bool) -> None:
    found = changed(base, with_cell(base, replace(cell, **fields)))
    assert found == [(metric, Change.REGRESSION if worse else Change.IMPROVED)]


def test_red_is_worse_than_green_whatever_the_verdicts(base: Facts, cell: CellFacts) -> None:
    # A positive control that is expected to be missed, and no longer is.
    control = with_cell(base, replace(cell, verdict="missed"))
    healed = with_cell(base, replace(cell, verdict="recovered", failed=True))
    assert changed(control, healed) == [("verdict", Change.REGRESSION)]
    assert changed(healed, control) == [("verdict", Change.IMPROVED)]


def test_a_regression_tells_what_the_oracle_said(base: Facts, cell: CellFacts) -> None:
    head = replace(cell, answers={"keys_matched": "fail", "twin": "unknown"}, details={"keys_matched": "env 1: bn.mean is missing"})
    (found,) = [compared for compared in compare_exactly(base, with_cell(base, head)) if compared.change is Change.REGRESSION]
    assert (found.subject, found.base, found.head, found.detail) == (NAME, "pass", "fail", "env 1: bn.mean is missing")


def test_other_bytes_are_a_question_and_of_other_versions_no_question(base: Facts, cell: CellFacts) -> None:
    other = with_cell(base, replace(cell, digest="cd"))
    assert changed(base, other) == [("history", Change.INCONCLUSIVE)]
    assert changed(base, replace(other, versions={"torch": "2.14.0"})) == [("history", Change.NOT_COMPARABLE)]


def test_a_cell_of_one_side_only_is_neither_better_nor_worse(base: Facts) -> None:
    empty = replace(base, cells={})
    assert changed(base, empty) == [("verdict", Change.NOT_RUN)]
    assert changed(empty, base) == [("verdict", Change.NOT_COMPARABLE)]


def test_a_cell_that_was_not_run_is_never_green(base: Facts, cell: CellFacts) -> None:
    idle = with_cell(base, replace(cell, verdict="not_run", answers={}))
    assert changed(base, idle) == changed(idle, idle) == [("verdict", Change.NOT_RUN)]
    assert changed(idle, base) == [("verdict", Change.NOT_COMPARABLE)]
