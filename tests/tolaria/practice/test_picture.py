from pathlib import Path

from tolaria.practice.picture import draw


def test_curves_are_drawn_also_where_there_is_little_to_draw(tmp_path: Path) -> None:
    some = [(10 * i, float(i % 7)) for i in range(100)]
    path = tmp_path / "curves.png"
    draw({"a": {"seed 0": some, "seed 1": some[:1]}, "b": {"": []}, "c": {"": some}, "d": {"": some}}, path, {"a": 3.0})
    assert path.read_bytes().startswith(b"\x89PNG")
