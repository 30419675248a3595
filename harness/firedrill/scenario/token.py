"""A replay token: one word that holds a whole cell, resolved, with every setting and without anything to look up.

    fd1.<checksum>.<data>     data: the cell as a scenario file with its id, as JSON, deflated, in the letters of base64url

The data go through the same door as a scenario file, so a token can ask for nothing that a file could not ask for.
"""

import base64
import binascii
import hashlib
import json
import re
import zlib
from pathlib import Path

from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.document import BYTES_MAX
from firedrill.scenario.load import ROOT_NAME, InvalidScenario, load_text
from firedrill.scenario.write import document, text

VERSION = 1
SHAPE = re.compile(r"fd([0-9]{1,4})\.([0-9a-f]{12})\.([A-Za-z0-9_=-]+)")


class BadToken(ValueError):
    """The word is no token that can be replayed; says why."""


def token_of(cell: Cell) -> str:
    """The token of a cell; the same cell gives the same token."""
    body = json.dumps({"id": cell.scenario.id, "text": text(document(cell, complete=True))}, separators=(",", ":"))
    data = base64.urlsafe_b64encode(zlib.compress(body.encode(), 9)).decode()
    return f"fd{VERSION}.{_checksum(data)}.{data}"


def cell_of(token: str) -> Cell:
    """The cell that a token holds; raises `BadToken`."""
    shape = SHAPE.fullmatch(token.strip())
    if shape is None:
        raise BadToken("this is no token: one begins with fd1. and is a single word")
    version, checksum, data = int(shape[1]), shape[2], shape[3]
    if version > VERSION:
        raise BadToken(f"the token is of version {version}, and this firedrill reads up to version {VERSION}")
    if _checksum(data) != checksum:
        raise BadToken("the token is damaged: its checksum does not fit")
    try:
        body = json.loads(_inflated(base64.urlsafe_b64decode(data)))
        cell = cells(load_text(body["text"], Path(ROOT_NAME) / f"{body['id']}.yaml"))[0]
    except InvalidScenario as error:
        raise BadToken(f"the token asks for what this firedrill does not know:\n{error}") from error
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError) as error:
        raise BadToken(f"the token is damaged: {type(error).__name__}: {error}") from error
    return cell


def _inflated(data: bytes) -> bytes:
    # No short word may unfold into a long text.
    inflater = zlib.decompressobj()
    body = inflater.decompress(data, 2 * BYTES_MAX)
    if inflater.unconsumed_tail:
        raise ValueError("it unfolds into too much")
    return body


def _checksum(data: str) -> str:
    return hashlib.sha256(data.encode()).hexdigest()[:12]
