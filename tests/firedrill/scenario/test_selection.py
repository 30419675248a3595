import pytest

from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load
from firedrill.scenario.selection import BadExpression, select

from .conftest import Write


@pytest.fixture
def cell(write: Write) -> Cell:
    (found,) = cells(load(write()))
    return found


@pytest.mark.parametrize(
    "expression",
    ["", "nan", "NAN", "smoke", "seed=11", "nan and smoke", "zebra or nan", "not zebra", "not (zebra or yak)", "nan or zebra and yak"],
)
def test_a_cell_that_fits_is_chosen(cell: Cell, expression: str) -> None:
    assert select([cell], expression) == [cell]


@pytest.mark.parametrize("expression", ["zebra", "not nan", "nan and zebra", "not nan or zebra", "(nan or zebra) and yak"])
def test_a_cell_that_does_not_fit_is_left_out(cell: Cell, expression: str) -> None:
    assert select([cell], expression) == []


@pytest.mark.parametrize("expression", ["and", "nan and", "not", "(nan", "nan)", "nan smoke", "()"])
def test_an_expression_that_cannot_be_read_is_refused(cell: Cell, expression: str) -> None:
    with pytest.raises(BadExpression):
        select([cell], expression)
