"""CIFAR-10 (Krizhevsky 2009) from a folder on this machine, as its authors and torchvision lay it out. Nothing is downloaded."""

import codecs
import hashlib
import pickle
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from tolaria.errors import ConfigError
from tolaria.host.cnn_host import CnnHost
from tolaria.host.host import Host
from tolaria.seeding import stream
from tolaria.tasks.task import Split, Task
from tolaria.tasks.text import digest_of

LAYOUT = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILE = "test_batch"
SHAPE = (3, 32, 32)
PIXEL_MAX = 255.0
# Of the training images, for each channel.
MEAN = (0.4914, 0.4822, 0.4465)
DEVIATION = (0.2470, 0.2435, 0.2616)
SPLIT_SEED = 0
# Validation comes at every step, so it is a small share; the test split is what its authors kept apart.
VALIDATION_SHARE = 0.04


@cache
def cifar10(folder: Path) -> Task:
    """The images in a folder, or in its `cifar-10-batches-py`; raises `ConfigError` for a folder that does not hold all of them."""
    place = folder / LAYOUT if (folder / LAYOUT).is_dir() else folder
    missing = [name for name in (*TRAIN_FILES, TEST_FILE) if not (place / name).is_file()]
    if missing:
        raise ConfigError("data", str(folder), f"a folder that holds {LAYOUT}, or its files; {', '.join(missing)} cannot be found")
    parts = [_read(place / name) for name in TRAIN_FILES]
    inputs, targets = torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts])
    order = torch.from_numpy(stream(SPLIT_SEED, "split").permutation(len(targets)))
    held_out = max(1, round(VALIDATION_SHARE * len(targets)))
    validation, train = order[:held_out], order[held_out:]
    return Task(
        name="cifar10",
        family="conv",
        classes=10,
        train=Split(inputs[train], targets[train]),
        validation=Split(inputs[validation], targets[validation]),
        test=_read(place / TEST_FILE),
        batch_size=128,
        learning_rate=0.05,
        build_host=_build_host,
        digest=digest_of({name: _sha256(place / name) for name in (*TRAIN_FILES, TEST_FILE)}),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> Split:
    try:
        with path.open("rb") as file:
            found = _Arrays(file, encoding="bytes").load()
        pixels, labels = np.asarray(found[b"data"]), np.asarray(found[b"labels"])
    # A file can be damaged in any way; whatever it is, it is no batch of this data set.
    except Exception as error:
        raise ConfigError("data", f"{path}: {type(error).__name__}: {error}", "a batch of CIFAR-10 as its authors wrote it") from error
    whole = pixels.dtype == np.uint8 and pixels.shape == (len(labels), int(np.prod(SHAPE))) and labels.dtype.kind == "i"
    if not whole or not len(labels) or not 0 <= labels.min() <= labels.max() <= 9:
        raise ConfigError("data", f"{path}: {pixels.dtype} {pixels.shape}", "rows of 3072 bytes, each with a label from 0 to 9")
    images = torch.from_numpy(pixels.reshape(-1, *SHAPE)).float().div(PIXEL_MAX)
    images = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    return Split(images, torch.from_numpy(labels.astype(np.int64)))


class _Arrays(pickle.Unpickler):
    """Reads dictionaries, lists, numbers and arrays of numbers. Any other name in a file is refused, so nothing is executed."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        super().__init__(file, encoding=encoding)

    def find_class(self, module: str, name: str) -> Any:
        """One of the few names that arrays need."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a batch of images")
        return ALLOWED[module, name]


_reconstruct = np.zeros(1).__reduce__()[0]

# Arrays that were written by any version of Python and of NumPy.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
}


def _build_host(seed: int) -> Host:
    return CnnHost(in_channels=3, width=32, depth=3, classes=10, seed=seed)
