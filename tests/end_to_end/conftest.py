"""Cells of small scenarios, a way to record one of them in this very process, and operations that fail."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from power.drills import written
from torch.utils._python_dispatch import TorchDispatchMode

from firedrill.runner.assess import result_of
from firedrill.runner.cell import record
from firedrill.runner.folder import told_ending
from firedrill.runner.result import CellResult
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load
from tolaria.env.capsule import CapsuleHost
from tolaria.governor.arena import Arena
from tolaria.host.slot import Slot


@pytest.fixture
def cell_of(tmp_path: Path) -> Callable[[str], Cell]:
    """The cell of one of these scenarios."""
    return lambda name: cells(load(written(name, tmp_path / "scenarios")))[0]


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[str], Path]:
    """The file of one of these scenarios."""
    return lambda name: written(name, tmp_path / "scenarios")


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[Cell], CellResult]:
    """Record a cell here, and judge it."""

    def recorded(cell: Cell) -> CellResult:
        folder = tmp_path / "recorded"
        folder.mkdir()
        record(cell, folder)
        return result_of(cell, folder, told_ending(folder), 0.0)

    return recorded


# Operations that fail.


@dataclass
class Failing:
    """Raises at the operation of a number, counted from 0, or from it on."""

    number: int
    persists: bool
    count: int = 0

    def operate(self) -> None:
        self.count += 1
        if self.count - 1 == self.number or (self.persists and self.count > self.number >= 0):
            raise RuntimeError("struck")

    def wrapped(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.operate()
            return operation(*args, **kwargs)

        return call


class FailingTorch(TorchDispatchMode):
    """Raises before an operation of torch."""

    def __init__(self, failing: Failing) -> None:
        super().__init__()
        self.failing = failing

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.failing.operate()
        return func(*args, **(kwargs or {}))


OPERATIONS: dict[str, tuple[tuple[Any, tuple[str, ...]], ...]] = {
    "parts": (
        (Slot, ("attach", "detach_seed")),
        (CapsuleHost, ("stable_tensors", "prepare", "commit", "renew_optimizers", "restore_optimizers", "settle")),
        (Arena, ("digest", "copy_out")),
    ),
    "digest": ((Arena, ("digest",)),),
    "disk": ((os, ("mkdir", "open", "write", "fsync", "rename", "unlink", "rmdir")),),
}


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Failing], contextlib.AbstractContextManager[None]]:
    """A context in which operations of torch, the parts of a rollback, digests or operations on the disk fail."""

    @contextlib.contextmanager
    def strike(what: str, failing: Failing) -> Iterator[None]:
        with monkeypatch.context() as patched:
            if what == "torch":
                with FailingTorch(failing):
                    yield
                return
            for owner, names in OPERATIONS[what]:
                for name in names:
                    patched.setattr(owner, name, failing.wrapped(getattr(owner, name)))
            yield

    return strike


@pytest.fixture
def new_failing() -> Callable[[int, bool], Failing]:
    """What fails at an operation of a number, once or for good."""
    return Failing
