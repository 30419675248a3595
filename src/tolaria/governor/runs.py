"""Runs: neighbours in an arena that are copied and then checked, while a cache still holds what was copied.

A finite sum proves that every number is finite. One that is not may have overflowed; then each tensor is asked by itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch

from tolaria.governor.pages import ALIGNMENT, Raw, memory_of
from tolaria.governor.segments import RUN_BYTES, Segment

SMALL_RANGE = 1e5
# How Python reads a number of these where it lies.
FORMATS: dict[torch.dtype, Literal["f", "d"]] = {torch.float32: "f", torch.float64: "d"}


@dataclass(frozen=True, slots=True, eq=False)
class Total:
    """Where sums of one dtype are put, and how the last one is read.

    Right after training, making a tensor for a sum and asking it for its number would cost as much as a small sum.
    """

    place: torch.Tensor
    read: Callable[[], complex]

    @staticmethod
    def of(dtype: torch.dtype) -> "Total":
        """A place of its own."""
        place = torch.zeros((), dtype=dtype)
        there = FORMATS.get(dtype)
        return Total(place, cast(Callable[[], complex], memory_of(place).cast(there, ()).tolist if there else place.item))


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Neighbours in an arena's storage in host memory: their places in the layout, their bytes, and the piece that they fill.

    `parts` are of tensors that are too large for one run: place, bytes, and which of the tensor's bytes these are.
    `is_checked`: the piece may hold NaN or Inf; `widens`: its sum is to be one of single precision. All runs of an arena share the
    totals of its dtypes.
    """

    places: tuple[int, ...]
    targets: tuple[Raw, ...]
    parts: tuple[tuple[int, Raw, slice], ...]
    piece: torch.Tensor
    is_checked: bool
    widens: bool
    total: Total

    def summed(self) -> complex:
        """The sum of the piece; whatever overflows is Inf or NaN."""
        total = self.total
        torch.sum(self.piece.float() if self.widens else self.piece, 0, out=total.place)
        return total.read()


def runs_of(segment: Segment, places: Mapping[str, int], raws: Mapping[str, Raw], totals: dict[torch.dtype, Total]) -> Iterator[Run]:
    """All of a segment, once; a tensor that is too large for a cache comes in parts. What is missing in `totals` is added."""
    for names, piece in segment.runs():
        *before, last = names
        raw = raws[last]
        # Parts of one size, because a small one at the end would cost a check of its own. They begin on cache lines.
        count = max(1, round(len(raw) / RUN_BYTES))
        step = -(-len(raw) // count // ALIGNMENT) * ALIGNMENT or ALIGNMENT
        if len(raw) <= step:
            yield _run(names, (), piece, places, raws, totals)
            continue
        begin = piece.numel() * piece.itemsize - len(raw)
        for start in range(0, len(raw), step):
            part = slice(start, min(start + step, len(raw)))
            # Smaller neighbours come along with the first part.
            low, high = begin + start if start else 0, begin + part.stop
            part_of = ((places[last], raw[part], part),)
            part_of_piece = piece[low // piece.itemsize : high // piece.itemsize]
            yield _run(() if start else tuple(before), part_of, part_of_piece, places, raws, totals)


def may_be_nonfinite(tensor: torch.Tensor) -> bool:
    """Whether its dtype has NaN or Inf at all."""
    return tensor.is_floating_point() or tensor.is_complex()


def widened(tensor: torch.Tensor) -> torch.Tensor:
    """Floating point of a small range as single precision: sums of sixteen bits overflow soon, and eight know no arithmetic."""
    return tensor.float() if is_small(tensor) else tensor


def is_small(tensor: torch.Tensor) -> bool:
    """Whether its dtype is floating point of a small range."""
    return tensor.itemsize < torch.float32.itemsize and tensor.is_floating_point() and torch.finfo(tensor.dtype).max < SMALL_RANGE


def sum_of(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of all elements, on the device of the tensor."""
    return widened(tensor).sum()


def _run(
    names: tuple[str, ...],
    parts: tuple[tuple[int, Raw, slice], ...],
    piece: torch.Tensor,
    places: Mapping[str, int],
    raws: Mapping[str, Raw],
    totals: dict[torch.dtype, Total],
) -> Run:
    targets = tuple(raws[name] for name in names)
    widens = is_small(piece)
    dtype = torch.float32 if widens else piece.dtype
    if dtype not in totals:
        totals[dtype] = Total.of(dtype)
    return Run(tuple(places[name] for name in names), targets, parts, piece, may_be_nonfinite(piece), widens, totals[dtype])
