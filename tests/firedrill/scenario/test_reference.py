from pathlib import Path

import pytest

from firedrill.scenario.reference import complaint_about, names_in


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package whose code must never be run."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "untouchable"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('this was run')\n")
    (package / "loops.py").write_text("import torch.nn as nn\nLIMIT: int = 3\nmake = one = None\nclass Loop: ...\ndef factory(): ...\n")
    return tmp_path


@pytest.mark.parametrize("name", ["factory", "Loop", "make", "one", "LIMIT", "nn"])
def test_whatever_a_module_defines_can_be_named(here: Path, name: str) -> None:
    assert complaint_about(f"untouchable.loops:{name}") == ("", "")


def test_a_name_that_is_not_there_is_answered_with_those_that_are(here: Path) -> None:
    assert complaint_about("untouchable.loops:facotry") == (
        "untouchable.loops defines no facotry",
        "one of LIMIT, Loop, factory, make, nn, one",
    )


@pytest.mark.parametrize(("reference", "missing"), [("nowhere.loops:f", "nowhere"), ("untouchable.lops:f", "lops in untouchable")])
def test_a_module_that_is_not_there_is_named(here: Path, reference: str, missing: str) -> None:
    assert f"there is no module {missing}" in complaint_about(reference)[0]


@pytest.mark.parametrize(
    "reference", ["untouchable.loops", "untouchable.loops:", "untouchable..loops:f", "a b:c", "untouchable/loops.py:f"]
)
def test_what_has_not_the_shape_names_nothing(here: Path, reference: str) -> None:
    assert complaint_about(reference) == (f"{reference} names no factory", "package.module:factory")


@pytest.mark.parametrize("text", ["from os import *\n", "def broken(\n"])
def test_a_text_that_does_not_tell_is_believed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "loops.py"
    path.write_text(text)
    assert names_in(path) is None


def test_a_name_may_be_defined_under_a_condition_but_not_inside_a_function(tmp_path: Path) -> None:
    path = tmp_path / "loops.py"
    path.write_text("if True:\n    try:\n        one = 1\n    finally:\n        two = 2\ndef three():\n    four = 4\n")
    assert names_in(path) == {"one", "two", "three"}
