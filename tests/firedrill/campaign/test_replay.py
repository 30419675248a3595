from collections.abc import Callable
from pathlib import Path

import pytest

from firedrill.campaign.replay import NotFound, found
from firedrill.runner.result import CellResult, write_json
from firedrill.scenario.cell import Cell
from firedrill.scenario.token import token_of

Make = Callable[..., CellResult]


def test_a_token_and_a_name_in_a_file_lead_to_the_same_cell(tmp_path: Path, small: Cell, result: Make) -> None:
    path = tmp_path / "run.json"
    write_json(path, [result(id=small.id, token=token_of(small), history_digest="ab")])
    wanted = found(f"{path}#{small.id}")
    assert (wanted.cell.id, wanted.digest) == (small.id, "ab")
    assert found(token_of(small)).cell.id == small.id


def test_what_cannot_be_found_says_why(tmp_path: Path, result: Make) -> None:
    path = tmp_path / "run.json"
    write_json(path, [result()])
    for source, why in (
        (f"{path}#nan/y", "has no cell nan/y"),
        (f"{path}#nan/x[cpu,seed=1]", "without a token"),
        (f"{tmp_path / 'no.json'}#x", "No such file"),
        ("nonsense", "no token"),
    ):
        with pytest.raises(NotFound, match=why):
            found(source)
