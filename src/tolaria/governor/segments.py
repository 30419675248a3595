"""Segments: the trunk of a host, and each of its slots. What grows and shrinks alone has storage of its own.

So a seed that germinates, becomes a fossil or is pruned re-plans the storage of its slot; that of the trunk and of all
other slots stays where it is.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import torch

from tolaria.governor.governed import Spec
from tolaria.governor.pages import ALIGNMENT, SharedPages, prefaulted

Layout = dict[str, Spec]
TRUNK = "trunk"
# Tensors that lie in host memory although the model does not, as the counters of some optimizers; no device copies them.
IN_HOST_MEMORY = "@host"
# One run is copied and then checked, while the cache of a core still holds it. Of 64 KiB to 2 MiB, measured from 1M to 100M
# parameters, these cost least: smaller ones are more calls, larger ones are read from afar.
RUN_BYTES = 640 << 10

_SLOT = re.compile(r"(?:^|/)(slots\.[^./]+)\.")


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Flat storage for the tensors of one segment, one flat tensor a dtype, with a view for every tensor."""

    layout: Layout
    flats: dict[torch.dtype, torch.Tensor]
    views: dict[str, torch.Tensor]

    @staticmethod
    def allocate(layout: Layout, device: torch.device, pinned: bool, shared: SharedPages | None = None) -> "Segment":
        """Zeroed storage, so that its pages exist before the first snapshot is timed."""
        offsets: dict[str, int] = {}
        sizes: dict[torch.dtype, int] = {}
        for name, (shape, dtype) in layout.items():
            offsets[name] = sizes.get(dtype, 0)
            step = max(1, ALIGNMENT // dtype.itemsize)
            sizes[dtype] = offsets[name] + (math.prod(shape) + step - 1) // step * step
        flats = {dtype: prefaulted(size, dtype, device, pinned, shared) for dtype, size in sizes.items()}
        views = {
            name: flats[dtype][offsets[name] : offsets[name] + math.prod(shape)].view(shape) for name, (shape, dtype) in layout.items()
        }
        return Segment(layout, flats, views)

    def runs(self, bytes_min: int = RUN_BYTES) -> Iterator[tuple[tuple[str, ...], torch.Tensor]]:
        """Names of neighbours, and the piece of flat storage that they fill; together they hold every tensor once.

        A piece ends with the tensor that brings it to so many bytes.
        """
        for dtype, flat in self.flats.items():
            names: list[str] = []
            start = 0
            for name, view in self.views.items():
                if view.dtype is not dtype:
                    continue
                names.append(name)
                end = int(view.storage_offset() - flat.storage_offset()) + view.numel()
                if (end - start) * dtype.itemsize >= bytes_min:
                    yield tuple(names), flat[start:end]
                    names, start = [], end
            if names:
                yield tuple(names), flat[start:]


def segment_of(name: str) -> str:
    """The segment of a tensor by its name: "host/slots.s0.seed.weight" and its optimizer's state belong to "slots.s0"."""
    found = _SLOT.search(name)
    return found[1] if found else TRUNK


def planned(layout: Layout, in_host_memory: frozenset[str]) -> dict[str, Layout]:
    """A layout taken apart into those of its segments."""

    def key(name: str) -> str:
        return segment_of(name) + (IN_HOST_MEMORY if name in in_host_memory else "")

    return {segment: {name: layout[name] for name in names} for segment, names in groupby(sorted(layout, key=lambda n: (key(n), n)), key)}


def layout_of(tensors: Mapping[str, torch.Tensor]) -> Layout:
    """Shapes and dtypes by name, sorted: a digest must not depend on the order in which tensors come back from a checkpoint."""
    return {name: spec_of(tensors[name]) for name in sorted(tensors)}


def spec_of(tensor: torch.Tensor) -> Spec:
    """Shape and dtype of a tensor."""
    return tuple(tensor.shape), tensor.dtype
