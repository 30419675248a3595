from pathlib import Path

from tolaria.envelope.measure import Cell
from tolaria.envelope.picture import draw


def test_a_panel_for_each_suite(tmp_path: Path) -> None:
    cells = [Cell("drift", 1.02, "x a step", "good", 8, 8, 40.0, 44, "slow_drift")]
    draw({"default": cells}, tmp_path / "one.png")
    draw({"default": cells, "classic": cells}, tmp_path / "two.png")
    assert (tmp_path / "two.png").stat().st_size > (tmp_path / "one.png").stat().st_size
