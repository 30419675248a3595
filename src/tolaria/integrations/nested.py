"""Tensors in whatever people nest them in."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import torch


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """Every tensor in mappings, lists, tuples and dataclasses, however deep."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            # A field that nobody has set yet is no attribute.
            yield from tensors_in(getattr(value, field.name, None))
