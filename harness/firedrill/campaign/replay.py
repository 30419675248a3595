"""Finding the cell that is to be run again: by its token, or by its id in a file of results."""

from dataclasses import dataclass
from pathlib import Path

from firedrill.runner.result import ForeignResults, read_json
from firedrill.scenario.cell import Cell
from firedrill.scenario.token import BadToken, cell_of


class NotFound(ValueError):
    """Nothing that can be run again; says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A cell, and the digest of its history when it was run before; empty where nobody knows."""

    cell: Cell
    digest: str


def found(source: str) -> Wanted:
    """The cell of a token, or of a name such as run.json#nan/nan-weight[cpu,seed=11]; raises `NotFound`."""
    file, separator, identity = source.partition("#")
    try:
        if not separator:
            return Wanted(cell_of(source), "")
        result = next((result for result in read_json(Path(file)).cells if result.id == identity), None)
        if result is None:
            raise NotFound(f"{file} has no cell {identity}; firedrill report shows what it has")
        if not result.token:
            raise NotFound(f"{identity} was written down without a token, by a firedrill that knew none")
        return Wanted(cell_of(result.token), result.history_digest)
    except (BadToken, ForeignResults) as error:
        raise NotFound(str(error)) from error
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from error
