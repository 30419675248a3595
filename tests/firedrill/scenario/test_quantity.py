import pytest
from hypothesis import given
from hypothesis import strategies as st

from firedrill.scenario.document import Node, Source
from firedrill.scenario.problem import Problem
from firedrill.scenario.quantity import STEPS, TIME, Dimension, looks_like_quantity, read_quantity


def read(value: str | float, dimension: Dimension) -> tuple[int | float, list[Problem]]:
    problems: list[Problem] = []
    return read_quantity(Node(Source("a.yaml", ()), 1, 1, value), dimension, problems), problems


GOOD = [
    ("1 steps", STEPS, 1),
    ("3steps", STEPS, 3),
    ("1 step", STEPS, 1),
    (4, STEPS, 4),
    ("60s", TIME, 60.0),
    ("250 ms", TIME, 0.25),
    ("1.5min", TIME, 90.0),
    ("2h", TIME, 7200.0),
]
BAD = [
    ("3s", STEPS, "FD014"),
    ("60", TIME, "FD014"),
    (60, TIME, "FD014"),
    ("60 stps", STEPS, "FD014"),
    ("-1s", TIME, "FD015"),
    ("1.5 steps", STEPS, "FD015"),
    (-2, STEPS, "FD015"),
]


@pytest.mark.parametrize(("value", "dimension", "expected"), GOOD)
def test_a_quantity_is_read_in_its_base_unit(value: str | float, dimension: Dimension, expected: float) -> None:
    assert read(value, dimension) == (expected, [])


@pytest.mark.parametrize(("value", "dimension", "code"), BAD)
def test_a_mistake_is_told_once(value: str | float, dimension: Dimension, code: str) -> None:
    assert [problem.code for problem in read(value, dimension)[1]] == [code]


@given(st.integers(0, 10**6))
def test_steps_come_back_as_they_were(steps: int) -> None:
    assert read(f"{steps} steps", STEPS) == (steps, [])


@pytest.mark.parametrize("value", [True, None, "first", "forever", [1]])
def test_other_words_are_left_to_the_schema(value: object) -> None:
    assert not looks_like_quantity(value)
