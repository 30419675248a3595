"""Text as a task: which character comes next, at every place of a window of text.

Documents are shared out among the splits as wholes. Those of a manual or a library quote each other, so a paragraph that
stands in several splits is kept in one alone: in the test split before validation, and there before training.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from string import printable

import numpy as np
import numpy.typing as npt
import torch

from tolaria.errors import ConfigError
from tolaria.host.host import Host
from tolaria.seeding import stream
from tolaria.tasks.task import Split, Task

SPLIT_SEED = 0
# The characters that are told apart, whatever the text; every other one is token 0.
ALPHABET = "\n" + "".join(sorted(set(printable) - set("\t\n\r\v\f")))
VOCABULARY = len(ALPHABET) + 1
PARAGRAPH = "\n\n"

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text is cut: windows of so many characters, all of them for training, and a few from everywhere for the other splits."""

    context: int
    validation_windows: int
    test_windows: int


def text_task(
    name: str, documents: Mapping[str, str], reading: Reading, batch_size: int, learning_rate: float, build_host: Callable[[int], Host]
) -> Task:
    """The task of a collection of documents by name; it records which text it was, because that differs from machine to machine."""
    train, validation, test = (windows(encode(text), reading.context) for text in split_documents(documents))
    validation = apart(validation, train)
    return Task(
        name=name,
        family="transformer",
        classes=VOCABULARY,
        train=train,
        validation=some(validation, reading.validation_windows),
        test=some(apart(apart(test, train), validation), reading.test_windows),
        batch_size=batch_size,
        learning_rate=learning_rate,
        build_host=build_host,
        digest=digest_of(documents),
    )


def split_documents(documents: Mapping[str, str]) -> tuple[str, str, str]:
    """Train, validation and test text from 60, 20 and 20 percent of the documents, without a paragraph in common."""
    names = stream(SPLIT_SEED, "split").permutation(sorted(documents)).tolist()
    first, second = round(0.6 * len(names)), round(0.8 * len(names))
    seen: set[str] = set()
    test, validation, train = (
        _unseen((documents[name] for name in part), seen) for part in (names[second:], names[first:second], names[:first])
    )
    return train, validation, test


def encode(text: str) -> Tokens:
    """One token a character, [L]."""
    table = np.zeros(128, dtype=np.int64)
    table[[ord(character) for character in ALPHABET]] = np.arange(1, VOCABULARY)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    return np.where(codes < len(table), table[np.minimum(codes, len(table) - 1)], 0)


def windows(tokens: Tokens, context: int) -> Split:
    """Windows [N, T] that do not overlap, and for each place of them the token that follows."""
    count = (len(tokens) - 1) // context
    if count < 1:
        raise ConfigError("text", f"{len(tokens)} characters", f"more than {context} in every split")
    cut = torch.from_numpy(tokens[: count * context + 1])
    return Split(cut[:-1].reshape(count, context).clone(), cut[1:].reshape(count, context).clone())


def apart(split: Split, other: Split) -> Split:
    """The windows that do not stand in another split: a line of stars is in every manual."""
    known = {row.numpy().tobytes() for row in other.inputs}
    rows = torch.tensor([row.numpy().tobytes() not in known for row in split.inputs])
    return Split(split.inputs[rows], split.targets[rows])


def some(split: Split, wanted: int) -> Split:
    """So many windows from everywhere in the text, or all where there are fewer."""
    rows = torch.linspace(0, len(split.targets) - 1, min(wanted, len(split.targets))).long()
    return Split(split.inputs[rows].clone(), split.targets[rows].clone())


def digest_of(documents: Mapping[str, str]) -> str:
    """SHA-256 of names and texts, in the order of the names; each with its length, so that no two collections share one."""
    hasher = hashlib.sha256()
    for name in sorted(documents):
        for part in (name.encode(), documents[name].encode("utf-8", "surrogatepass")):
            hasher.update(len(part).to_bytes(8, "little") + part)
    return hasher.hexdigest()


def _unseen(texts: Iterable[str], seen: set[str]) -> str:
    kept = []
    for text in texts:
        for paragraph in text.split(PARAGRAPH):
            essence = paragraph.strip()
            if essence and essence not in seen:
                seen.add(essence)
                kept.append(paragraph.strip("\n"))
    return PARAGRAPH.join(kept)
