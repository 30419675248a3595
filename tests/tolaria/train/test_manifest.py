"""What is in a checkpoint is refused in words, also where its digest is right: whoever writes the files can compute that."""

import errno
import io
import json
import pickle
import struct
import zipfile
from typing import Any

import pytest
import torch
import xxhash
from safetensors.torch import save

from tolaria.errors import CheckpointDamaged
from tolaria.train import manifest
from tolaria.train.manifest import Facts, Tensors, header_of, pack, unpack

PAYLOAD = save({"a": torch.ones(3)})


def forged(payload: bytes, **changes: Any) -> bytes:
    """A manifest whose digest is right, whatever it says."""
    covered = {"version": 2, "step": 1, "bytes": len(payload), "facts": {}} | changes
    digest = xxhash.xxh3_128_hexdigest(json.dumps(covered, sort_keys=True).encode() + b"\0" + payload)
    return json.dumps({**covered, "digest": digest}, sort_keys=True).encode()


def read(written: bytes, payload: bytes) -> tuple[Tensors, Facts]:
    return unpack(header_of(written), written, payload)


def headed(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of tensors with this header, which may be told to be longer than it is."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype: str = "F32", shape: tuple[int, ...] = (1,), offsets: tuple[int, int] = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def zipped(size: int) -> bytes:
    """An archive of zeros, a thousandth of its content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * size)
    return file.getvalue()


def saved() -> bytes:
    file = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, file)
    return file.getvalue()


def test_what_is_packed_at_the_very_beginning_and_holds_nothing_is_unpacked_too() -> None:
    assert read(*pack(0, {}, {})) == ({}, {})


def test_every_tensor_is_copied_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, to = [], torch.Tensor.to

    def watched(tensor: torch.Tensor, *where: Any, **how: Any) -> torch.Tensor:
        asked.append((where, how))
        return to(tensor, *where, **how)

    monkeypatch.setattr(torch.Tensor, "to", watched)
    pack(1, {"a": torch.ones(1)}, {})
    assert asked == [(("cpu",), {"copy": True})]


def test_a_name_that_leads_out_of_the_checkpoint_is_not_written() -> None:
    with pytest.raises(AssertionError):
        pack(1, {"../a": torch.ones(1)}, {})


def test_what_is_packed_is_unpacked() -> None:
    written, payload = pack(7, {"a": torch.tensor([1.5])}, {"deep": [None, "x"]})
    tensors, facts = read(written, payload)
    assert (tensors["a"].tolist(), facts) == ([1.5], {"deep": [None, "x"]})
    assert written == forged(payload, step=7, facts={"deep": [None, "x"]})


PAYLOADS = [
    (saved(), "promises a header of"),
    (pickle.dumps({"a": [0.0]}), "promises a header of"),
    (zipped(1 << 24), "promises a header of"),
    (b"", "promises a header of 0 bytes in 0"),
    (headed({}, length=1 << 40), "promises a header of 1099511627776 bytes in 10"),
    (headed({}, length=3), "promises a header of 3 bytes in 10"),
    (bytes(7), "promises a header of 0 bytes in 7"),
    (bytes(8), "the header of tensors.safetensors: Expecting"),
    (headed({"a": tensor(offsets=(0, 1 << 40), shape=(1 << 38,))}, b"\0" * 4), "tensors.safetensors: "),
    (headed({"a": tensor(shape=(1 << 62, 1 << 62))}, b"\0" * 4), "tensors.safetensors: "),
    (headed({"a": tensor(shape=(2,))}, b"\0" * 4), "tensors.safetensors: "),
    (headed({"a": tensor(offsets=(4, 8))}, b"\0" * 8), "tensors.safetensors: "),
    (headed({"a": tensor(dtype="PICKLE")}, b"\0" * 4), "tensors.safetensors: "),
    (headed({"a": tensor()}, b"\0" * 4 + b"more"), "tensors.safetensors: "),
    (headed([]), "names no tensors"),
    (headed(b'{"a": 1'), "the header of tensors.safetensors: Expecting"),
    (headed(b"\xff\xfe{}"), "the header of tensors.safetensors: 'utf-8'"),
    (headed(b"[" * 100_000), "the header of tensors.safetensors: maximum recursion"),
    (
        headed(b'{"b": 0, "a": %s, "a": %s}' % (2 * (json.dumps(tensor()).encode(),)), b"\0" * 4),
        "the header of tensors.safetensors: the key 'a' stands there twice",
    ),
    *(
        (headed({name: tensor()}, b"\0" * 4), "leads out of the checkpoint")
        for name in ("../a", "/etc/a", "env/../../a", "..", "..\\a", "a\0b")
    ),
]


@pytest.mark.parametrize(("payload", "said"), PAYLOADS, ids=[f"{i} {said}" for i, (_, said) in enumerate(PAYLOADS)])
def test_what_is_no_file_of_tensors_is_refused_although_its_digest_is_right(payload: bytes, said: str) -> None:
    with pytest.raises(CheckpointDamaged, match=said):
        read(forged(payload), payload)


MANIFESTS = [
    (forged(PAYLOAD, version=3), "version 3, expected 2; a newer tolaria wrote it"),
    (forged(PAYLOAD, version=1), "version 1, expected 2$"),
    (forged(PAYLOAD, version="2"), "version '2', expected 2$"),
    (forged(PAYLOAD, version=True), "version True, expected 2$"),
    (forged(PAYLOAD, version=2.0), "the digest does not match"),
    (forged(PAYLOAD, bytes=1 << 50), "has 76 bytes, 1125899906842624 were written"),
    (forged(PAYLOAD, bytes=-1), "no manifest of a checkpoint"),
    (forged(PAYLOAD, step=True), "no manifest of a checkpoint"),
    (forged(PAYLOAD, step="../../x"), "no manifest of a checkpoint"),
    (forged(PAYLOAD, facts=[]), "no manifest of a checkpoint"),
    (forged(PAYLOAD, surplus=1), "no manifest of a checkpoint"),
    (b"[]", "no manifest of a checkpoint"),
    (b"{}", "no manifest of a checkpoint"),
    (b"", "manifest.json: Expecting value"),
    (b"\x80\x04N.", "manifest.json: 'utf-8'"),
    (b"[" * 100_000, "manifest.json: maximum recursion"),
    (b'{"step": %s}' % (b"9" * 5000), "manifest.json: Exceeds the limit"),
    (forged(PAYLOAD).replace(b'"step": 1', b'"step": 1, "step": 1'), "manifest.json: the key 'step' stands there twice"),
    (forged(PAYLOAD) + b" ", "the digest does not match"),
    (forged(PAYLOAD).replace(b'"step": 1', b'"step": 2'), "the digest does not match"),
]


@pytest.mark.parametrize(("written", "said"), MANIFESTS, ids=[f"{i} {said}" for i, (_, said) in enumerate(MANIFESTS)])
def test_what_is_no_manifest_is_refused(written: bytes, said: str) -> None:
    with pytest.raises(CheckpointDamaged, match=said):
        read(written, PAYLOAD)


@pytest.mark.parametrize(
    ("written", "payload", "said"),
    [
        (b"[]", PAYLOAD, "manifest.json is no manifest of a checkpoint"),
        (forged(PAYLOAD, surplus=1), PAYLOAD, "manifest.json is no manifest of a checkpoint"),
        (forged(PAYLOAD) + b" ", PAYLOAD, "the digest does not match its content"),
        (forged(headed([])), headed([]), "the header of tensors.safetensors names no tensors"),
    ],
)
def test_a_refusal_is_a_sentence_word_for_word(written: bytes, payload: bytes, said: str) -> None:
    with pytest.raises(CheckpointDamaged) as refused:
        read(written, payload)
    assert str(refused.value) == said


def test_manifest_and_header_may_come_to_64_megabytes_each(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (manifest.MANIFEST_BYTES_MAX, manifest.HEADER_BYTES_MAX) == (67_108_864, 67_108_864)
    header = int.from_bytes(PAYLOAD[:8], "little")
    monkeypatch.setattr(manifest, "HEADER_BYTES_MAX", header)
    read(forged(PAYLOAD), PAYLOAD)
    monkeypatch.setattr(manifest, "HEADER_BYTES_MAX", header - 1)
    with pytest.raises(CheckpointDamaged, match=f"promises a header of {header} bytes"):
        read(forged(PAYLOAD), PAYLOAD)


def test_facts_that_could_not_be_read_back_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    length = len(pack(1, {"a": torch.ones(1)}, {"long": "x" * 2000})[0])
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", length)
    pack(1, {"a": torch.ones(1)}, {"long": "x" * 2000})
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", length - 1)
    with pytest.raises(OSError, match="the facts of a checkpoint") as refused:
        pack(1, {"a": torch.ones(1)}, {"long": "x" * 2000})
    said = f"the facts of a checkpoint come to {length} bytes, {length - 1} may be read back"
    assert (refused.value.errno, refused.value.strerror) == (errno.EFBIG, said)
