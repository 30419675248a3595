from dataclasses import replace

import pytest
from rich.console import Console

from firedrill.bench.ratios import Measured
from firedrill.report.ratios import ratios_table, symbol, verdict

REACHED = Measured("loop / stack", 2.6, 2.4, 2.8, 2.5, at_most=False, clock="cpu", contended=False)
MISSED = replace(REACHED, name="one / two", value=1.2)
UNDECIDED = replace(MISSED, clock="wall", contended=True)
UNPROMISED = replace(REACHED, bound=None)


@pytest.mark.parametrize(("one", "mark"), [(REACHED, "✓"), (MISSED, "✗"), (UNDECIDED, "?"), (UNPROMISED, "")])
def test_a_symbol_says_whether_a_bound_is_reached(one: Measured, mark: str) -> None:
    assert symbol(one) == mark


def test_a_row_has_the_ratio_its_interval_and_its_bound() -> None:
    screen = Console(width=100, record=True, file=None)
    with screen.capture() as shown:
        screen.print(ratios_table([REACHED, replace(MISSED, at_most=True, contended=True)]))
    text = shown.get()
    assert "loop / stack" in text
    assert "2.4 to 2.8" in text
    assert ">= 2.5" in text
    assert "1.2 ~" in text
    assert "<= 2.5" in text


def test_the_last_line_counts() -> None:
    assert verdict([REACHED, MISSED, UNPROMISED]) == "2 bounds: 1 reached, 1 missed, 0 undecided"
    assert verdict([REACHED, UNDECIDED]) == "2 bounds: 1 reached, 0 missed, 1 undecided; ~ others had the machine"
    assert verdict([UNPROMISED]) == "nothing was promised of these"
