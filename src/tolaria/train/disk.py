"""The few ways in which the disk tier touches a disk; each is one call to the system, and so each can be struck by a test."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tolaria.errors import CheckpointDamaged, ConfigError

LOCK = ".lock"
READ_BYTES = 1 << 24


def make_folder(folder: Path) -> None:
    """The folder with all its parents, each entry of them on the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def store(path: Path, content: bytes) -> None:
    """A new file, on the disk when this returns; its entry in the folder is not."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            # A disk may take less than it was offered.
            taken = os.write(descriptor, rest)
            if not taken:
                raise OSError(errno.EIO, "the disk takes no more", str(path))
            rest = rest[taken:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """The file with this content, or as it was before; never anything between."""
    aside = path.with_name(f".{path.name}.tmp")
    remove(aside)
    store(aside, content)
    aside.rename(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Bring the entries of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a folder or a file where there is one; of a symbolic link the link and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read(path: Path, bytes_max: int) -> bytes:
    """A plain file of at most so many bytes; raises `CheckpointDamaged` for anything else, before it is read."""
    try:
        # A link may lead anywhere, and a pipe would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        why = "is a symbolic link" if error.errno == errno.ELOOP else (error.strerror or str(error))
        raise CheckpointDamaged(f"{path.name}: {why}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CheckpointDamaged(f"{path.name} is no plain file")
        if found.st_size > bytes_max:
            raise CheckpointDamaged(f"{path.name} has {found.st_size} bytes, at most {bytes_max} were expected")
        parts = []
        while part := os.read(descriptor, READ_BYTES):
            parts.append(part)
        return b"".join(parts)
    except OSError as error:
        raise CheckpointDamaged(f"{path.name}: {error.strerror}") from error
    finally:
        os.close(descriptor)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else writes into this folder meanwhile; raises `ConfigError` where somebody does. A process that is killed lets go of it."""
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError("run-dir", str(folder), "a folder that no other process is writing into") from None
    try:
        yield
    finally:
        lock.release()
