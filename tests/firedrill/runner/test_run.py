"""Cells, judged by what an executor that trains nothing says it recorded."""

import shutil
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from firedrill.runner.executors.executor import Done, Work
from firedrill.runner.keep import Keep
from firedrill.runner.run import execute
from firedrill.runner.verdict import Ending, Verdict
from firedrill.scenario.cell import Cell


@dataclass
class Copies:
    """An executor whose every recording is a copy of one, and which tells of cells in the order of its taste."""

    recorded: Path
    jobs: int = 3
    asked: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    def record(self, works: Iterable[Work]) -> Generator[Done]:
        under_way: list[Work] = []
        for work in works:
            self.asked.append(work.cell.id)
            self.folders.append(work.folder)
            shutil.copytree(self.recorded, work.folder, dirs_exist_ok=True)
            under_way.append(work)
        yield from (Done(work, Ending(), 0.5) for work in reversed(under_way))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


@pytest.fixture
def three(small: Cell) -> list[Cell]:
    """Three cells of other names and the same content."""
    return [replace(small, id=name, scenario=replace(small.scenario, id=name, name=name)) for name in ("a", "b", "c")]


def test_results_stand_in_the_order_of_their_cells_and_are_told_as_they_come(recorded: Path, three: list[Cell]) -> None:
    told: list[str] = []
    executor = Copies(recorded)
    results = execute(three, executor, lambda result: told.append(result.id))
    assert [result.id for result in results] == ["a", "b", "c"]
    assert told == ["c", "b", "a"]
    assert {result.verdict for result in results} == {Verdict.RECOVERED}
    assert not any(folder.exists() for folder in executor.folders)


def test_what_is_kept_is_taken_over_and_the_rest_is_recorded(recorded: Path, three: list[Cell], tmp_path: Path) -> None:
    with Keep(tmp_path / "kept") as keep:
        execute(three[:2], Copies(recorded), lambda _: None, keep)
    executor, told = Copies(recorded), list[str]()
    with Keep(tmp_path / "kept") as keep:
        results = execute(three, executor, lambda result: told.append(result.id), keep)
    assert executor.asked == ["c"]
    assert [result.id for result in results] == ["a", "b", "c"]
    assert sorted(told) == ["a", "b", "c"]
    assert keep.taken_over == 2


def test_an_interruption_keeps_what_was_told(recorded: Path, three: list[Cell], tmp_path: Path) -> None:
    def interrupt(_result: object) -> None:
        raise KeyboardInterrupt

    with Keep(tmp_path / "kept") as keep:
        with pytest.raises(KeyboardInterrupt):
            execute(three, Copies(recorded), interrupt, keep)
        assert keep.finished(three[2]) is not None
        assert keep.finished(three[0]) is None
    assert list((tmp_path / "kept").glob("firedrill-*")) == []
