"""State dictionaries as JSON and back, type for type: what a scheduler, a scaler or a parameter group remembers.

JSON alone would turn the number keys of a `MultiStepLR` into text and its tuples into lists, and the restored scheduler
would never step again. So everything that is no plain JSON is written as `[kind, content]`.
"""

import base64
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tolaria.errors import ConfigError


def encode(value: object, path: str) -> Any:
    """A value as JSON. Raises `ConfigError` naming `path` for what nobody could restore.

    Tensors are written as their raw bytes, NaN and all; some optimizers keep long lists of large ones.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return ["tensor", [str(value.dtype).removeprefix("torch."), list(value.shape), _raw(value)]]
    if isinstance(value, (list, tuple)):
        return [type_name(value), [encode(item, f"{path}.{index}") for index, item in enumerate(value)]]
    if isinstance(value, dict):
        # A function is no state: it stays as it is in the live object.
        kept = [(key, item) for key, item in value.items() if not callable(item)]
        return [type_name(value), [[encode(key, path), encode(item, f"{path}.{key}")] for key, item in kept]]
    raise ConfigError(path, type(value).__name__, "numbers, text, tensors, and lists, tuples and dictionaries of them")


def decode(value: Any) -> Any:
    """What `encode` was given; tensors come back on the CPU."""
    if not isinstance(value, list):
        return value
    kind, content = value
    return DECODERS[kind](content)


def type_name(value: object) -> str:
    """The kind under which a collection is written; a subclass that is not listed counts as what it is built on."""
    if isinstance(value, Counter):
        return "counter"
    return next(name for name, kind in (("list", list), ("tuple", tuple), ("dict", dict)) if isinstance(value, kind))


def _tensor(content: Any) -> torch.Tensor:
    dtype, shape, raw = content
    tensor = torch.empty(shape, dtype=getattr(torch, dtype))
    tensor.flatten().view(torch.uint8).numpy()[:] = np.frombuffer(base64.b64decode(raw), np.uint8)
    return tensor


def _raw(tensor: torch.Tensor) -> str:
    elements = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return base64.b64encode(elements.numpy().data).decode("ascii")


def _dict(content: Any) -> dict[Any, Any]:
    return {decode(key): decode(item) for key, item in content}


DECODERS: dict[str, Callable[[Any], Any]] = {
    "list": lambda content: [decode(item) for item in content],
    "tuple": lambda content: tuple(decode(item) for item in content),
    "dict": _dict,
    "counter": lambda content: Counter(_dict(content)),
    "tensor": _tensor,
}
