import base64
import hashlib
import json
import zlib
from pathlib import Path

import pytest

from firedrill.scenario.cell import Cell, cells, plan
from firedrill.scenario.load import load_text
from firedrill.scenario.token import BadToken, cell_of, token_of

TINY = """\
version: 1
name: tiny
because: It is as small as a scenario can be.
subject: {steps: 4, envs: 2}
matrix: {device: [cuda], seed: [5]}
faults:
  - {at: {step: last, env: all}, do: tensor.set, target: {params: "head.*"}, with: {value: -inf}}
expect: [told]
"""


@pytest.fixture
def cell() -> Cell:
    return cells(load_text(TINY, Path("scenarios/nan/tiny.yaml")))[0]


def packed(body: object) -> str:
    """A token that is whole, whatever it holds."""
    data = base64.urlsafe_b64encode(zlib.compress(json.dumps(body).encode())).decode()
    return f"fd1.{hashlib.sha256(data.encode()).hexdigest()[:12]}.{data}"


def test_a_token_gives_back_the_cell(cell: Cell) -> None:
    again = cell_of(token_of(cell))
    assert plan(again) == plan(cell)
    assert again.id == "nan/tiny[cuda,seed=5]"


def test_the_same_cell_has_the_same_token(cell: Cell) -> None:
    assert token_of(cell_of(token_of(cell))) == token_of(cell)


def test_a_token_is_one_word_that_a_shell_leaves_alone(cell: Cell) -> None:
    assert set(token_of(cell)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-=")


def test_a_changed_letter_is_noticed(cell: Cell) -> None:
    token = token_of(cell)
    changed = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    with pytest.raises(BadToken, match="checksum"):
        cell_of(changed)


def test_a_newer_version_is_refused_by_its_number(cell: Cell) -> None:
    with pytest.raises(BadToken, match="version 2, and this firedrill reads up to version 1"):
        cell_of(token_of(cell).replace("fd1.", "fd2.", 1))


def test_other_words_are_no_tokens() -> None:
    with pytest.raises(BadToken, match="no token"):
        cell_of("scenarios/nan/nan-weight.yaml")


def test_an_unknown_fault_is_told_like_a_mistake_of_a_file() -> None:
    with pytest.raises(BadToken, match="FD013"):
        cell_of(packed({"id": "nan/tiny", "text": TINY.replace("tensor.set", "tensor.melt")}))


@pytest.mark.parametrize("body", [{"id": "nan/tiny"}, ["nan/tiny"], {"id": "nan/other", "text": TINY}])
def test_a_whole_token_with_nonsense_in_it_is_refused(body: object) -> None:
    with pytest.raises(BadToken):
        cell_of(packed(body))


def test_a_short_token_may_not_unfold_into_a_long_text() -> None:
    with pytest.raises(BadToken, match="too much"):
        cell_of(packed({"id": "nan/tiny", "text": "#" * 2_000_000}))
