"""Checkpoints on disk: tensors and facts, written aside, brought to the disk, and put in place by one rename.

A checkpoint is a folder `checkpoints/step-00000020` with `tensors.safetensors` and `manifest.json`, whose digest covers
both files to the last byte. Two are kept. Reading refuses whatever is damaged and never unpickles anything.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors

from tolaria.errors import CheckpointDamaged

VERSION = 1
KEPT = 2
# The checkpoint of the same step that a new one takes the place of; still found while it waits to be removed.
REPLACED = ".replaced"


def write(folder: Path, step: int, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> Path:
    """Store a checkpoint of a run; the ones before it are dropped only when it is on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"step-{step:08d}"
    aside = folder / f".{place.name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    # Tensors that share storage are refused by safetensors; a checkpoint holds each by its own name.
    payload = dump_tensors({name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()})
    _store(aside / "tensors.safetensors", payload)
    _store(aside / "manifest.json", _manifest(step, facts, payload))
    _sync(aside)
    replaced = place.with_suffix(REPLACED)
    if place.exists():
        # A folder cannot be renamed over another, and the old one must be whole until the new one is in place.
        shutil.rmtree(replaced, ignore_errors=True)
        place.rename(replaced)
    aside.rename(place)
    _sync(folder)
    shutil.rmtree(replaced, ignore_errors=True)
    for old in _places(folder)[:-KEPT]:
        shutil.rmtree(old)
    return place


def read_newest(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], list[str]]:
    """Tensors and facts of the newest checkpoint that is whole, and a sentence for each newer one that is not.

    Raises `CheckpointDamaged` when there is none.
    """
    complaints: list[str] = []
    for place in reversed(_places(folder)):
        try:
            tensors, facts = read(place)
        except CheckpointDamaged as error:
            complaints.append(str(error))
            continue
        return tensors, facts, complaints
    raise CheckpointDamaged("; ".join(complaints) or f"{folder}: there is no checkpoint")


def read(place: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """One checkpoint, its digest checked before anything is parsed as tensors; raises `CheckpointDamaged`."""
    try:
        written = (place / "manifest.json").read_bytes()
        payload = (place / "tensors.safetensors").read_bytes()
        header = json.loads(written)
    except (OSError, ValueError) as error:
        raise CheckpointDamaged(f"{place}: {error}") from error
    if not isinstance(header, dict) or header.keys() != {"version", "step", "digest", "facts"}:
        raise CheckpointDamaged(f"{place}: manifest.json is no manifest of a checkpoint")
    if header["version"] != VERSION:
        raise CheckpointDamaged(f"{place}: version {header['version']}, expected {VERSION}")
    # Byte for byte, because JSON has more than one way to write the same.
    if written != _manifest(header["step"], header["facts"], payload):
        raise CheckpointDamaged(f"{place}: the digest does not match its content")
    return parse_tensors(payload), header["facts"]


def _manifest(step: int, facts: dict[str, Any], payload: bytes) -> bytes:
    covered = {"version": VERSION, "step": step, "facts": facts}
    digest = xxhash.xxh3_128_hexdigest(json.dumps(covered, sort_keys=True).encode() + b"\0" + payload)
    return json.dumps({**covered, "digest": digest}, sort_keys=True).encode()


def _places(folder: Path) -> list[Path]:
    """Oldest first; a checkpoint that is being replaced counts as older than the one in its place."""
    found = (path for path in folder.glob("step-*") if path.is_dir())
    return sorted(found, key=lambda path: (path.stem, path.suffix != REPLACED))


def _store(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
