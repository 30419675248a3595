"""Where the socket of the fork server lies: the system limits the length of its path, and folders for temporary files may be deep."""

import os
import tempfile
from multiprocessing import forkserver
from pathlib import Path

from firedrill.runner.executors.executor import CannotExecute

# The path of a socket has 107 bytes, of which multiprocessing takes these for names of its own.
PATH_MAX = 107 - len("/pymp-xxxxxxxx/listener-xxxxxxxx")
SHORT_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run/user/{user}")  # noqa: S108 - multiprocessing makes a private folder in it.


def start_fork_server() -> None:
    """Start the fork server if it does not run, with its socket where temporary files go, or else in the first place that is short."""
    before = tempfile.tempdir
    tempfile.tempdir = place(tempfile.gettempdir(), [Path(short.format(user=os.getuid())) for short in SHORT_PLACES])
    try:
        forkserver.ensure_running()
    finally:
        tempfile.tempdir = before


def place(wanted: str, short: list[Path]) -> str:
    """The folder that is wanted, or the first short one that can be written to; raises `CannotExecute` where there is none."""
    if len(os.fsencode(wanted)) <= PATH_MAX:
        return wanted
    for folder in short:
        if len(os.fsencode(folder)) <= PATH_MAX and os.access(folder, os.W_OK | os.X_OK):
            return str(folder)
    raise CannotExecute(
        f"the folder for temporary files, {wanted}, has a path of more than {PATH_MAX} bytes, in which no socket can lie, and none of "
        f"{', '.join(map(str, short))} can be written to: set TMPDIR to a shorter one"
    )
