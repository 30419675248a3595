"""What a machine has that a run needs: a line for each thing that was looked at."""

import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil
import torch

from tolaria.train.trainer import commit, version_of

PACKAGES = ("tolaria", "torch", "numpy", "scikit-learn", "gymnasium", "safetensors")
PYTHON_MIN = (3, 11)
# What is written to find out whether a disk keeps it, and the free space below which a warning is due.
PROBE = bytes(range(256)) * 4096
FREE_MIN = 1 << 30


class Standing(StrEnum):
    """How a thing was found."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing, how it was found, and what was found."""

    subject: str
    standing: Standing
    found: str


def examine(runs: Path) -> list[Check]:
    """Look at everything; `runs` is the folder that runs will be stored in, which need not exist yet."""
    return [check_python(), check_versions(), check_cores(), *check_devices(), check_disk(runs)]


def check_python() -> Check:
    """Whether the interpreter is new enough."""
    standing = Standing.GOOD if sys.version_info >= PYTHON_MIN else Standing.BAD
    return Check("python", standing, f"{platform.python_version()} at {sys.executable}")


def check_versions() -> Check:
    """What decides about the bits of a run."""
    return Check("packages", Standing.GOOD, ", ".join(f"{name} {version_of(name)}" for name in PACKAGES) + f"; commit {commit()}")


def check_cores() -> Check:
    """How many cores this process may use, and how many threads PyTorch would."""
    allowed = len(psutil.Process().cpu_affinity()) if psutil.LINUX else os.cpu_count()
    memory = psutil.virtual_memory()
    found = f"{allowed} of {os.cpu_count()} usable, {torch.get_num_threads()} threads in PyTorch (a run sets its own, 1 unless it says so)"
    return Check("cores", Standing.GOOD, f"{found}; {_size(memory.available)} of {_size(memory.total)} memory free")


def check_devices() -> list[Check]:
    """Every GPU, after a calculation on it; that there is none is no fault."""
    if not torch.cuda.is_available():
        return [Check("gpu", Standing.NOTE, "none that PyTorch sees; runs use the CPU")]
    return [check_gpu(index) for index in range(torch.cuda.device_count())]


def check_gpu(index: int) -> Check:
    """Whether a GPU calculates."""
    facts = torch.cuda.get_device_properties(index)
    found = f"cuda:{index} {facts.name}, {_size(facts.total_memory)}"
    try:
        total = float(torch.ones(64, 64, device=f"cuda:{index}").sum())
    except RuntimeError as error:
        return Check("gpu", Standing.BAD, f"{found}: {str(error).splitlines()[0]}")
    return Check("gpu", Standing.GOOD if total == 4096.0 else Standing.BAD, f"{found}, a sum of 4096 ones is {total:g}")


def check_disk(runs: Path) -> Check:
    """Whether the folder of runs takes a file, brings it to the disk and gives it back."""
    # The nearest folder that exists, because looking must leave nothing behind.
    place = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.is_dir())
    begun = time.perf_counter()
    try:
        with tempfile.NamedTemporaryFile(dir=place) as file:
            file.write(PROBE)
            file.flush()
            os.fsync(file.fileno())
            kept = Path(file.name).read_bytes() == PROBE
    except OSError as error:
        return Check("disk", Standing.BAD, f"{place}: {error.strerror}")
    took_ms = 1000.0 * (time.perf_counter() - begun)
    free = shutil.disk_usage(place).free
    found = f"{place}: 1 MiB written, synchronized and read back in {took_ms:.0f} ms, {_size(free)} free"
    if not kept:
        return Check("disk", Standing.BAD, f"{place}: what was read is not what was written")
    return Check("disk", Standing.GOOD if free >= FREE_MIN else Standing.NOTE, found)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"
