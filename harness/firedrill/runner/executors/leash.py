"""A child that ends with those who watch it, also where it stands still and can do nothing itself.

The parent of a child is the fork server, which goes when nobody holds the other end of a pipe any more; but every child
has got that end as well, so that it could start children of its own. One that stands still would keep the server alive for ever,
whoever was killed. So a child lets go of it, and the system kills what the server leaves behind.
"""

import contextlib
import ctypes
import os
import signal
import sys
from multiprocessing import forkserver

# From linux/prctl.h: the signal that a process gets when its parent is gone.
PR_SET_PDEATHSIG = 1


def follow_the_fork_server() -> None:
    """For a child of the fork server, once, before its work. Where the system is no Linux, an alarm is all that a child has."""
    if sys.platform != "linux":
        return
    # First this, so that the server cannot be gone before.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        return
    # It has no other name than this one.
    held = getattr(forkserver._forkserver, "_forkserver_alive_fd", None)
    if held is not None:
        with contextlib.suppress(OSError):
            os.close(held)
