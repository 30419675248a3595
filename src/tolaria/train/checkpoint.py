"""Checkpoints on disk: tensors and facts, written aside, brought to the disk, and put in place by one rename.

A checkpoint is a folder `step-00000020` with `tensors.safetensors` and `manifest.json`, whose digest covers both files to
the last byte. Two are kept. Reading refuses whatever is damaged, or is not what it says it is, and takes the older one.
What was refused, or is doubted since, is set aside: still there for a look, but never read again and none of the two.
"""

import re
from collections.abc import Callable, Iterable, Mapping
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
# One that is set aside, until it is older than the two that are kept.
ASIDE = ".aside"
PLACE = re.compile(rf"step-(\d{{8,}})({re.escape(REPLACED)}|{re.escape(ASIDE)})?")

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
    _tidy(folder, place)
    return place


def read_newest(folder: Path, accept: Callable[[Tensors, Facts], T]) -> tuple[T, list[str]]:
    """What `accept` makes of the newest checkpoint that is whole and that it accepts, and a sentence for each newer one.

    `accept` refuses by `CheckpointDamaged`, and then the next older one is tried; raises it when none is left.
    """
    accepted, refused = _newest(folder, accept)
    return accepted, _complaints(refused)


def take_up(folder: Path, accept: Callable[[Tensors, Facts], T]) -> tuple[T, list[str]]:
    """The same for whoever goes on writing there: what was refused is set aside, where something was accepted."""
    accepted, refused = _newest(folder, accept)
    set_aside(refused)
    return accepted, _complaints(refused)


def set_aside(doubted: Iterable[Path]) -> None:
    """Let no reader find these checkpoints any more; each goes by one rename."""
    for place in doubted:
        aside = place.with_suffix(ASIDE)
        disk.remove(aside)
        place.rename(aside)
        disk.sync(place.parent)


def read(place: Path) -> tuple[Tensors, Facts]:
    """One checkpoint, its digest checked before anything is parsed as tensors; raises `CheckpointDamaged`."""
    if place.is_symlink():
        raise CheckpointDamaged("is a symbolic link")
    written = disk.read(place / MANIFEST, MANIFEST_BYTES_MAX)
    header = header_of(written)
    if place.stem != f"step-{header['step']:08d}":
        raise CheckpointDamaged(f"it is the checkpoint of step {header['step']}")
    return unpack(header, written, disk.read(place / TENSORS, header["bytes"]))


def _newest(folder: Path, accept: Callable[[Tensors, Facts], T]) -> tuple[T, dict[Path, CheckpointDamaged]]:
    refused: dict[Path, CheckpointDamaged] = {}
    for place in reversed(places(folder)):
        try:
            return accept(*read(place)), refused
        except CheckpointDamaged as error:
            refused[place] = error
    raise CheckpointDamaged("; ".join(_complaints(refused)) or f"{folder}: there is no checkpoint, begin anew")


def _complaints(refused: Mapping[Path, CheckpointDamaged]) -> list[str]:
    return [f"{place}: {error}" for place, error in refused.items()]


def _tidy(folder: Path, written: Path) -> None:
    """Remove what is older than the two newest, save the one just written, and finish replacements that were cut off."""
    for replaced in folder.glob(f"step-*{REPLACED}"):
        if replaced.with_suffix("").exists():
            disk.remove(replaced)
        else:
            replaced.rename(replaced.with_suffix(""))
    steps = _steps(folder)
    kept = places(folder)[-KEPT:]
    for place, step in steps.items():
        is_old = step < steps[kept[0]] if place.suffix == ASIDE else place not in kept
        if is_old and place != written:
            disk.remove(place)


def places(folder: Path) -> list[Path]:
    """Every checkpoint of a folder, oldest first; a checkpoint that is being replaced counts as older than the one in its place."""
    found = [(step, not place.suffix, place) for place, step in _steps(folder).items() if place.suffix != ASIDE]
    return [place for *_, place in sorted(found)]


def newer(folder: Path, step: int) -> list[Path]:
    """The checkpoints of later steps."""
    steps = _steps(folder)
    return [place for place in places(folder) if steps[place] > step]


def _steps(folder: Path) -> dict[Path, int]:
    named = ((PLACE.fullmatch(path.name), path) for path in (folder.iterdir() if folder.is_dir() else ()))
    return {path: int(match[1]) for match, path in named if match}
