import pytest

from firedrill.scenario.problem import Problem, nearest


def test_a_problem_shows_its_line_with_a_caret_and_what_to_write() -> None:
    found = Problem("a.yaml", 7, 9, "FD013", "there is no fault tensor.sett here", "one of tensor.set", "tensor.set", "    do: tensor.sett")
    assert found.render().splitlines() == [
        "a.yaml:7:9: FD013 there is no fault tensor.sett here",
        "    7 |     do: tensor.sett",
        "      |         ^",
        "      expected one of tensor.set",
        "      did you mean tensor.set?",
    ]


def test_the_caret_of_a_long_line_stays_under_its_column() -> None:
    shown = Problem("a.yaml", 1, 301, "FD010", "here", text="x" * 300 + "Y" + "x" * 300).render().splitlines()
    assert shown[1][shown[2].index("^")] == "Y"


def test_a_code_that_is_not_listed_cannot_be_used() -> None:
    with pytest.raises(AssertionError):
        Problem("a.yaml", 1, 1, "FD999", "no")


def test_nothing_is_suggested_for_a_word_like_no_other() -> None:
    assert nearest("zzz", ["tensor.set"]) == ""
