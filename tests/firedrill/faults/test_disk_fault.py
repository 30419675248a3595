import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from firedrill.faults.disk_fault import DiskFault
from firedrill.faults.fault import Scene, Strike, Unfit
from firedrill.faults.io_efbig import IoEfbig
from firedrill.faults.io_eio import IoEio
from firedrill.faults.io_enospc import IoEnospc
from firedrill.faults.io_short import IoShort
from tolaria.seeding import stream
from tolaria.telemetry.event import Point
from tolaria.train import checkpoint

Stored = tuple[list[Strike], OSError | None]


@pytest.fixture
def store(tmp_path: Path) -> Callable[[DiskFault], Stored]:
    """Store a second checkpoint on a disk that is struck; what the witness told, and the error."""
    checkpoint.write(tmp_path, 1, {"a": torch.ones(40)}, {"step": 1})

    def stored(fault: DiskFault) -> Stored:
        strikes: list[Strike] = []
        act = partial(checkpoint.write, tmp_path, 2, {"a": torch.zeros(40)}, {"step": 2})
        struck = fault.strike(act, Scene(Point(2), stream(1), None, strikes.append))
        assert strikes == [], "nothing has been stored yet"
        try:
            struck()
        except OSError as error:
            return strikes, error
        return strikes, None

    return stored


def newest(folder: Path) -> int:
    step: int = checkpoint.read_newest(folder, lambda _, facts: facts["step"])[0]
    return step


@pytest.mark.parametrize(
    ("fault", "number", "place"),
    [
        (IoEnospc(1), errno.ENOSPC, "open number 1 of a checkpoint"),
        (IoEnospc(2), errno.ENOSPC, "write number 2 of a checkpoint"),
        (IoEio(2, "write"), errno.EIO, "write number 2 of a checkpoint"),
        (IoEio(1, "fsync"), errno.EIO, "fsync number 1 of a checkpoint"),
        (IoEio(1, "close"), errno.EIO, "close number 1 of a checkpoint"),
        (IoEio(1, "rename"), errno.EIO, "rename number 1 of a checkpoint"),
        (IoEfbig(2), errno.EFBIG, "write number 2 of a checkpoint"),
    ],
)
def test_a_failure_is_told_and_leaves_the_checkpoint_before(
    store: Callable[[DiskFault], Stored], tmp_path: Path, fault: DiskFault, number: int, place: str
) -> None:
    (strike,), error = store(fault)
    assert error is not None
    assert (error.errno, strike.place) == (number, place)
    assert newest(tmp_path) == 1


def test_a_short_write_is_made_up_for(store: Callable[[DiskFault], Stored], tmp_path: Path) -> None:
    (strike,), error = store(IoShort(1))
    assert error is None
    assert strike.elements > 1
    assert newest(tmp_path) == 2


@pytest.mark.parametrize("fault", [IoShort(99), IoEnospc(99), IoEio(99, "any"), IoEfbig(99)])
def test_an_operation_that_never_comes_is_no_strike(store: Callable[[DiskFault], Stored], tmp_path: Path, fault: DiskFault) -> None:
    assert store(fault) == ([], None)
    assert newest(tmp_path) == 2


def test_operations_are_counted_from_one() -> None:
    with pytest.raises(Unfit):
        IoShort(0)
