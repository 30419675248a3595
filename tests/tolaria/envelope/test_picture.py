from pathlib import Path

import pytest

from tolaria.envelope.measure import Cell
from tolaria.envelope.picture import draw, row_name


def test_a_panel_for_each_suite(tmp_path: Path) -> None:
    cells = [Cell("drift", 1.02, "x a step", "good", 8, 8, 40.0, 44, "slow_drift")]
    draw({"default": cells}, tmp_path / "one.png")
    draw({"default": cells, "classic": cells}, tmp_path / "two.png")
    assert (tmp_path / "two.png").stat().st_size > (tmp_path / "one.png").stat().st_size


@pytest.mark.parametrize(
    ("shape", "magnitude", "unit", "words"),
    [
        ("step", 0.95, "x L0", "step to 0.95 L0"),
        ("drift", 1.02, "x a step", "drift, +2 % a step"),
        ("ramp", 3.0, "x a step", "ramp, +200 % a step"),
        ("not finite", float("nan"), "loss", "loss is nan"),
        ("uniform output", 1.0, "answers", "uniform output"),
        ("single class", 0.999, "sure", "single class, 99.9 % sure"),
    ],
)
def test_a_row_says_in_words_what_happens(shape: str, magnitude: float, unit: str, words: str) -> None:
    assert row_name(Cell(shape, magnitude, unit, "good", 8, 8, 1.0, 2, "skill_lost")) == words
