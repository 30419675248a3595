"""Kept runs: a folder with all that cells recorded, so that they can be judged again, or taken over by a run of the same cells.

    DIR/<id of the cell>/   cell.json (its token, its plan and what it was recorded by), the histories, ending.json

A cell is taken over where its content is the same: the cell itself, and every line of code that decides about its bytes.
"""

import importlib.metadata
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import xxhash
from filelock import FileLock, Timeout

import firedrill
import tolaria
from firedrill.oracles import BUNDLES, ORACLES
from firedrill.oracles.oracle import Oracle
from firedrill.runner.assess import result_of
from firedrill.runner.folder import tell, told_ending
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import End, Ending
from firedrill.scenario.cell import Cell, plan
from firedrill.scenario.token import BadToken, cell_of, token_of

SCHEMA = "firedrill.cell/1"
CELL = "cell.json"
# Beside the packages themselves, what decides about the bits of a run.
PACKAGES = ("torch", "numpy", "scikit-learn")


class CannotKeep(ValueError):
    """The folder cannot be used so; says why."""


@dataclass(frozen=True, slots=True)
class KeptCell:
    """A cell that was recorded, and where that lies."""

    cell: Cell
    folder: Path
    content: str
    seconds: float

    def judged(self, oracles: Sequence[Oracle] | None = None) -> CellResult:
        """Judge what was recorded, by the oracles of the scenario or by others."""
        scenario = self.cell.scenario if oracles is None else replace(self.cell.scenario, oracles=tuple(oracles))
        return result_of(replace(self.cell, scenario=scenario), self.folder, told_ending(self.folder), self.seconds)


class Keep:
    """A folder that one run at a time keeps its cells in. `taken_over` counts those that were found finished."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held = ExitStack()
        self.taken_over = 0

    @property
    def scratch(self) -> Path:
        """Where cells are recorded, so that keeping one is to rename its folder."""
        return self._root

    def __enter__(self) -> Self:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(FileLock(self._root / ".lock", timeout=0))
        except Timeout:
            raise CannotKeep(f"{self._root}: another run keeps its cells there just now") from None
        except OSError as error:
            raise CannotKeep(f"{self._root}: {error.strerror}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._held.close()

    def finished(self, cell: Cell) -> CellResult | None:
        """The result of a cell that was recorded here to its end, from the same content; None where it has to run.

        One that died or hung may have done so by its machine, and a machine without a GPU may have one now: these run again.
        """
        folder = self._root / cell.id
        try:
            known = read(folder)
        except CannotKeep:
            # Not there, of another version, or damaged: what is recorded now takes its place.
            return None
        if known.content != content_of(cell) or told_ending(folder).how is not End.ENDED:
            return None
        self.taken_over += 1
        return replace(known, cell=cell).judged()

    def put(self, cell: Cell, folder: Path, ending: Ending, seconds: float) -> None:
        """Take the folder of a cell that is over, in place of an older one."""
        tell(folder, ending.how, ending.detail)
        about = {
            "schema": SCHEMA,
            "id": cell.id,
            "file": str(cell.scenario.path),
            "content": content_of(cell),
            "seconds": round(seconds, 3),
            "token": token_of(cell),
            "plan": plan(cell),
        }
        (folder / CELL).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        place = self._root / cell.id
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)


def kept_cells(root: Path) -> Iterator[KeptCell]:
    """Every cell in a folder, in the order of their ids; raises `CannotKeep` for what cannot be read."""
    for about in sorted(root.rglob(CELL)):
        # A cell under way, or of a run that was killed, is none.
        if not about.relative_to(root).parts[0].startswith("firedrill-"):
            yield read(about.parent)


def read(folder: Path) -> KeptCell:
    """One kept cell; raises `CannotKeep` where it was not written by this version, or was damaged."""
    try:
        about = json.loads((folder / CELL).read_text(encoding="utf-8"))
        if about["schema"] != SCHEMA:
            raise CannotKeep(f"{folder / CELL}: the schema is {about['schema']!r}, this version of firedrill reads {SCHEMA!r} only")
        cell = cell_of(about["token"])
        cell = replace(cell, id=about["id"], scenario=replace(cell.scenario, path=Path(about["file"])))
        return KeptCell(cell, folder, about["content"], float(about["seconds"]))
    except (OSError, BadToken, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CannotKeep):
            raise
        raise CannotKeep(f"{folder / CELL}: {error}") from error


def oracles_named(names: Sequence[str], cell: Cell) -> tuple[Oracle, ...]:
    """Oracles and bundles by their names, as the scenario of the cell has them, or else as they are by default."""
    own = {oracle.kind: oracle for oracle in cell.scenario.oracles}
    kinds = dict.fromkeys(kind for name in names for kind in BUNDLES.get(name, (name,)))
    if unknown := [kind for kind in kinds if kind not in ORACLES]:
        raise CannotKeep(f"{', '.join(unknown)}: no such oracle, known are {', '.join([*ORACLES, *BUNDLES])}")
    try:
        return tuple(own.get(kind) or ORACLES[kind]() for kind in kinds)
    except TypeError as missing:
        raise CannotKeep(f"{cell.id} does not say what an oracle needs to know: {missing}") from missing


def content_of(cell: Cell) -> str:
    """A digest of all that decides about the bytes of a cell's histories and about its verdict."""
    return xxhash.xxh3_128_hexdigest(f"{token_of(cell)} {code_digest()}".encode())


@cache
def code_digest() -> str:
    """Of the source of both packages as it lies there, committed or not, and of the versions of what they stand on."""
    hasher = xxhash.xxh3_128()
    for package in (tolaria, firedrill):
        root = Path(package.__path__[0])
        for source in sorted(root.rglob("*.py")):
            hasher.update(f"{source.relative_to(root)}\0".encode())
            hasher.update(source.read_bytes())
    for name in PACKAGES:
        hasher.update(f"{name} {_version_of(name)}\n".encode())
    return hasher.hexdigest()


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # It is on the path only.
        return ""
