"""The device belongs to one session at a time: a lock on a file that every session of this machine knows."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# For all users of the machine, whose devices may be one.
LOCK = Path(tempfile.gettempdir()) / "tolaria-gpu.lock"


@contextmanager
def held(say: Callable[[str], object], path: Path = LOCK) -> Iterator[None]:
    """Hold the device, after whoever holds it now; it is let go with the process, however that ends.

    The lock is the system's own (flock), as `filelock` takes it too, so that both see one another.
    """
    with open(path, "a+", encoding="utf-8") as file:  # noqa: PTH123 - the handle is what is held
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            say(f"gpu: waiting for the device, which {file.read().strip() or 'somebody'} holds")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield
