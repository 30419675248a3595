"""Counting what training costs: multiplications with their additions, of every product that a batch really makes.

The first batch of every shape that a host takes on is run under PyTorch's own formulas, forward and backward, with whatever
its seeds learn beside it; after that a batch of the same shape is known. Element by element work is not counted, as usual.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tolaria.env.training import HostTraining
from tolaria.lifecycle.stage import Stage
from tolaria.seams import ACTION_APPLIED, BATCH_READY, STEP_FINISHED, WEIGHTS_UPDATED, Seam, T
from tolaria.telemetry.event import Point

aten = torch.ops.aten
# On a CPU attention has kernels of its own, which do the same products.
ON_CPU = {
    aten._scaled_dot_product_flash_attention_for_cpu: aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: aten._scaled_dot_product_flash_attention_backward,
}

# What decides about a batch's products, for each slot: stage, blueprint, blend, whether alpha is above 0, and whether it is pulled back.
Shape = tuple[tuple[Stage, str | None, str, bool, bool], ...]


class Meter:
    """Taps that count the training of one environment; `by_step` are the multiply-accumulates of each finished step.

    `then` is called with the host in training at the end of every step.
    """

    def __init__(self, then: Callable[[HostTraining], None] = lambda _: None) -> None:
        self.by_step: list[int] = []
        self._then = then
        self._known: dict[Shape, int] = {}
        self._shape: Shape = ()
        self._this_step = 0
        self._products: _Products | None = None

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """The value as it came; only counting is done."""
        if seam is ACTION_APPLIED:
            assert isinstance(value, HostTraining)
            self._shape = shape_of(value)
            self._this_step = 0
        elif seam is BATCH_READY:
            self._stop()
            if self._shape not in self._known:
                self._products = _Products()
                self._products.__enter__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        elif seam is WEIGHTS_UPDATED:
            if self._products is not None:
                self._known[self._shape] = self._stop()
            self._this_step += self._known[self._shape]
        elif seam is STEP_FINISHED:
            assert isinstance(value, HostTraining)
            self.by_step.append(self._this_step)
            self._then(value)
        return value

    def close(self) -> None:
        """Stop counting, also where a batch was broken off."""
        self._stop()

    def _stop(self) -> int:
        counting, self._products = self._products, None
        if counting is None:
            return 0
        counting.__exit__(None, None, None)  # type: ignore[no-untyped-call]  # torch does not annotate it
        return counting.macs


class _Products(TorchDispatchMode):
    """While it is entered, adds up what every product costs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run it, and count it where it is a product."""
        result = func(*args, **(kwargs or {}))
        packet = ON_CPU.get(func._overloadpacket, func._overloadpacket)
        if packet in flop_registry:
            # Two operations make one multiply-accumulate.
            self.macs += flop_registry[packet](*args, **(kwargs or {}), out_val=result) // 2
        return result


def shape_of(training: HostTraining) -> Shape:
    """What decides about the cost of the batches to come."""
    most = training.config.seed_magnitude_max
    states = [slot.state for slot in training.slots()]
    return tuple((s.stage, s.blueprint, s.blend.value, s.alpha > 0.0, s.magnitude is not None and s.magnitude > most) for s in states)
