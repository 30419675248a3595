from dataclasses import replace

from firedrill.compare.compared import Change, Compared, MetricClass, counts, gathered, worst_first

ONE = Compared("a", "verdict", MetricClass.EXACT, Change.UNCHANGED, "recovered", "recovered")


def test_regressions_come_first_and_otherwise_nothing_moves() -> None:
    found = [
        ONE,
        replace(ONE, subject="b", change=Change.IMPROVED),
        replace(ONE, subject="c", change=Change.REGRESSION),
        replace(ONE, subject="d"),
    ]
    assert [compared.subject for compared in worst_first(found)] == ["c", "b", "a", "d"]


def test_changes_are_counted_in_words() -> None:
    assert counts([ONE, ONE, replace(ONE, change=Change.REGRESSION)]) == "1 regression, 2 unchanged"
    assert counts([]) == "nothing was compared"


def test_what_differs_by_name_only_is_one_row() -> None:
    found = gathered([ONE, replace(ONE, subject="b"), replace(ONE, subject="c", head="missed")])
    assert [compared.subject for compared in found] == ["a and 1 more", "c"]
