from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tolaria.bench.grow.picture import draw
from tolaria.bench.grow.sheet import Sheet

MakeSheet = Callable[..., Sheet]


def test_every_task_of_which_there_is_something_is_drawn(make_sheet: MakeSheet, tmp_path: Path) -> None:
    draw([make_sheet(), make_sheet(), replace(make_sheet(), runs=())], tmp_path / "grow.png")
    assert (tmp_path / "grow.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_not_drawn(make_sheet: MakeSheet, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no task"):
        draw([replace(make_sheet(), runs=())], tmp_path / "grow.png")
