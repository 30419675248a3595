from pathlib import Path

import pytest

from firedrill.scenario.claims import Claims, Spot

PARENT = """\
version: 1
name: parent
because: What two scenarios share.
expect:
  - core
  - twin: {steps: 5}
verdict: [recovered]
"""
CHILD = """\
version: 1
extends: parent.yaml
name: child
because: One of the two scenarios.
known_gap: nobody knows how
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parent.yaml").write_text(PARENT)
    (tmp_path / "child.yaml").write_text(CHILD)
    return tmp_path


def test_an_oracle_is_found_by_its_own_name_and_by_its_bundle(folder: Path) -> None:
    claims = Claims(folder / "parent.yaml")
    file = str(folder / "parent.yaml")
    assert claims.oracle("twin") == Spot(file, 6)
    assert claims.oracle("penalized") == Spot(file, 5)
    assert claims.oracle("quiet") == Spot(file, 4)
    assert claims.verdict() == Spot(file, 7)


def test_an_oracle_that_is_named_beside_its_bundle_is_found_at_its_name(folder: Path) -> None:
    (folder / "both.yaml").write_text("expect:\n  - core\n  - told\n")
    claims = Claims(folder / "both.yaml")
    assert (claims.oracle("told").line, claims.oracle("clean").line) == (3, 2)
    assert claims.verdict().line == 1


def test_a_claim_of_a_parent_is_shown_in_the_parent(folder: Path) -> None:
    claims = Claims(folder / "child.yaml")
    assert claims.oracle("twin") == Spot(str(folder / "parent.yaml"), 6)
    assert claims.key("known_gap") == Spot(str(folder / "child.yaml"), 5)


@pytest.mark.parametrize("text", [None, "", "a: [", "- 1", "expect: core"])
def test_a_file_that_says_nothing_has_its_first_line(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "lost.yaml").write_text(text)
    assert Claims(tmp_path / "lost.yaml").oracle("twin") == Spot(str(tmp_path / "lost.yaml"), 1)
