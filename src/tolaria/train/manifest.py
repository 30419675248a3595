"""A checkpoint as two pieces of bytes, and back: tensors in the format of safetensors, and a manifest that vouches for both.

The digest finds every accident. It is no signature: whoever can write the files can compute it. So nothing is believed of
the content either, before names, sizes and shapes have been looked at, and nothing in it can be executed.
"""

import errno
import json
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors

from tolaria.errors import CheckpointDamaged

VERSION = 2
KEYS = {"version", "step", "bytes", "digest", "facts"}
# What a manifest, and what the header of the tensors, may come to; both are far below in any run.
MANIFEST_BYTES_MAX = 64 << 20
HEADER_BYTES_MAX = 64 << 20
# The header of the tensors begins with its own length.
PREFIX = 8

Tensors = dict[str, torch.Tensor]
Facts = dict[str, Any]


def pack(step: int, tensors: Tensors, facts: Facts) -> tuple[bytes, bytes]:
    """The manifest and the tensors, as bytes."""
    for name in tensors:
        assert _stays_inside(name), name
    # Tensors that share storage are refused by safetensors; a checkpoint holds each by its own name.
    payload = dump_tensors({name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()})
    written = _manifest(step, facts, payload)
    if len(written) > MANIFEST_BYTES_MAX:
        raise OSError(errno.EFBIG, f"the facts of a checkpoint come to {len(written)} bytes, {MANIFEST_BYTES_MAX} may be read back")
    return written, payload


def header_of(written: bytes) -> dict[str, Any]:
    """The manifest's own values, not yet compared with the tensors; raises `CheckpointDamaged`."""
    header = _parsed(written, "manifest.json")
    if not isinstance(header, dict) or "version" not in header:
        raise CheckpointDamaged("manifest.json is no manifest of a checkpoint")
    version = header["version"]
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        raise CheckpointDamaged(f"version {version!r}, expected {VERSION}{'; a newer tolaria wrote it' if newer else ''}")
    if header.keys() != KEYS or not _is_count(header["step"]) or not _is_count(header["bytes"]) or not isinstance(header["facts"], dict):
        raise CheckpointDamaged("manifest.json is no manifest of a checkpoint")
    return header


def unpack(header: dict[str, Any], written: bytes, payload: bytes) -> tuple[Tensors, Facts]:
    """Tensors and facts, once the digest and the shape of everything are found right; raises `CheckpointDamaged`."""
    if len(payload) != header["bytes"]:
        raise CheckpointDamaged(f"tensors.safetensors has {len(payload)} bytes, {header['bytes']} were written")
    # Byte for byte, because JSON has more than one way to write the same.
    if written != _manifest(header["step"], header["facts"], payload):
        raise CheckpointDamaged("the digest does not match its content")
    _check_header(payload)
    try:
        return parse_tensors(payload), header["facts"]
    # safetensors names a dtype that torch does not have by a KeyError.
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointDamaged(f"tensors.safetensors: {error}") from error


def _manifest(step: int, facts: Facts, payload: bytes) -> bytes:
    covered = {"version": VERSION, "step": step, "bytes": len(payload), "facts": facts}
    digest = xxhash.xxh3_128_hexdigest(json.dumps(covered, sort_keys=True).encode() + b"\0" + payload)
    return json.dumps({**covered, "digest": digest}, sort_keys=True).encode()


def _check_header(payload: bytes) -> None:
    """The header of the tensors promises what there is and nothing else."""
    length = int.from_bytes(payload[:PREFIX], "little")
    if len(payload) < PREFIX or length > min(HEADER_BYTES_MAX, len(payload) - PREFIX):
        raise CheckpointDamaged(f"tensors.safetensors promises a header of {length} bytes in {len(payload)}")
    header = _parsed(payload[PREFIX : PREFIX + length], "the header of tensors.safetensors")
    if not isinstance(header, dict):
        raise CheckpointDamaged("the header of tensors.safetensors names no tensors")
    if outside := sorted(name for name in header if not _stays_inside(name)):
        raise CheckpointDamaged(f"tensors.safetensors: the name {outside[0]!r} leads out of the checkpoint")


def _parsed(written: bytes, what: str) -> object:
    try:
        return json.loads(written.decode("utf-8"), object_pairs_hook=_each_once)
    # Brackets by the thousand end in a RecursionError.
    except (ValueError, RecursionError) as error:
        raise CheckpointDamaged(f"{what}: {error}") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands there twice")
    return values


def _stays_inside(name: str) -> bool:
    """Whether a tensor's name, taken for a path, stays below where it begins."""
    return not name.startswith("/") and ".." not in name.split("/") and "\0" not in name and "\\" not in name


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
