"""Checkpoints on disk: tensors and facts, written aside, brought to the disk, and put in place by one rename.

A checkpoint is a folder `step-00000020` with `tensors.safetensors` and `manifest.json`, whose digest covers both files to
the last byte. Two are kept. Reading refuses whatever is damaged, or is not what it says it is, and takes the older one.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tolaria.errors import CheckpointDamaged
from tolaria.train import disk
from tolaria.train.manifest import MANIFEST_BYTES_MAX, Facts, Tensors, header_of, pack, unpack

KEPT = 2
TENSORS = "tensors.safetensors"
MANIFEST = "manifest.json"
# The checkpoint of the same step that a new one takes the place of; still found while it waits to be removed.
REPLACED = ".replaced"
PLACE = re.compile(rf"step-(\d{{8,}})({re.escape(REPLACED)})?")

T = TypeVar("T")


def write(folder: Path, step: int, tensors: Tensors, facts: Facts) -> Path:
    """Store a checkpoint; the ones before it are dropped only when it is on the disk."""
    written, payload = pack(step, tensors, facts)
    disk.make_folder(folder)
    place = folder / f"step-{step:08d}"
    aside = folder / f".{place.name}.tmp"
    # What a failure has left takes room that this one may need.
    for stale in folder.glob(".step-*.tmp"):
        disk.remove(stale)
    aside.mkdir()
    disk.store(aside / TENSORS, payload)
    disk.store(aside / MANIFEST, written)
    disk.sync(aside)
    if place.exists():
        # A folder cannot be renamed over another, and the old one must be whole until the new one is in place.
        replaced = place.with_suffix(REPLACED)
        disk.remove(replaced)
        place.rename(replaced)
    aside.rename(place)
    disk.sync(folder)
    _tidy(folder)
    return place


def read_newest(folder: Path, accept: Callable[[Tensors, Facts], T]) -> tuple[T, list[str]]:
    """What `accept` makes of the newest checkpoint that is whole and that it accepts, and a sentence for each newer one.

    `accept` refuses by `CheckpointDamaged`, and then the next older one is tried; raises it when none is left.
    """
    complaints: list[str] = []
    for place in reversed(places(folder)):
        try:
            return accept(*read(place)), complaints
        except CheckpointDamaged as error:
            complaints.append(f"{place}: {error}")
    raise CheckpointDamaged("; ".join(complaints) or f"{folder}: there is no checkpoint, begin anew")


def read(place: Path) -> tuple[Tensors, Facts]:
    """One checkpoint, its digest checked before anything is parsed as tensors; raises `CheckpointDamaged`."""
    if place.is_symlink():
        raise CheckpointDamaged("is a symbolic link")
    written = disk.read(place / MANIFEST, MANIFEST_BYTES_MAX)
    header = header_of(written)
    if place.stem != f"step-{header['step']:08d}":
        raise CheckpointDamaged(f"it is the checkpoint of step {header['step']}")
    return unpack(header, written, disk.read(place / TENSORS, header["bytes"]))


def _tidy(folder: Path) -> None:
    """Remove what is older than the two newest, and finish replacements that were cut off."""
    for replaced in folder.glob(f"step-*{REPLACED}"):
        if replaced.with_suffix("").exists():
            disk.remove(replaced)
        else:
            replaced.rename(replaced.with_suffix(""))
    for old in places(folder)[:-KEPT]:
        disk.remove(old)


def places(folder: Path) -> list[Path]:
    """Every checkpoint of a folder, oldest first; a checkpoint that is being replaced counts as older than the one in its place."""
    named = ((PLACE.fullmatch(path.name), path) for path in (folder.iterdir() if folder.is_dir() else ()))
    found = [(int(match[1]), match[2] is None, path) for match, path in named if match]
    return [path for *_, path in sorted(found)]
