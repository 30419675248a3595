"""Parameters of many modules of one shape, laid side by side, and followed downhill together.

The modules' own parameters become views into the rows: whoever snapshots, restores, strikes or measures a host goes on
doing so through the very same tensors, and nothing is gathered or scattered around a step. Momentum lies beside them in
the same way. Whatever else was put in the place of such a view is noticed and brought back by `hold`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tolaria.env.descent import EPSILON, MOMENTUM

# Numbers from one parameter to the next, and from one row to the next: whole cache lines, and whole registers.
STRIDE, ROW = 16, 32


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One module's parameters in their order, and the optimizer that follows their gradients; None where nobody does."""

    parameters: tuple[nn.Parameter, ...]
    optimizer: torch.optim.Optimizer | None


class Lanes:
    """Rows [G, P] of G modules, each with the same P numbers; `lot` has them by name [G, ...], as leaves that take gradients."""

    def __init__(self, names: Sequence[str], lanes: Sequence[Lane], momentum: float) -> None:
        self.lanes = tuple(lanes)
        self.momentum = momentum
        first = self.lanes[0].parameters
        self._spans: list[tuple[int, torch.Size]] = []
        end = 0
        for parameter in first:
            self._spans.append((end, parameter.shape))
            end += math.ceil(parameter.numel() / STRIDE) * STRIDE
        width = math.ceil(end / ROW) * ROW
        like = first[0].detach()
        self.values, self.gradients, self.momenta = (like.new_zeros(len(self.lanes), width) for _ in range(3))  # each [G, P]
        self.learns = all(lane.optimizer is not None for lane in self.lanes)
        self.lot = {name: view.detach().requires_grad_(self.learns) for name, view in zip(names, self._columns(self.values), strict=True)}
        # Addresses and no views, which would be as many tensors again.
        self._value_places, self._gradient_places, self._momentum_places = (
            [[view.data_ptr() for view in self._row(flat, lane)] for lane in range(len(self.lanes))]
            for flat in (self.values, self.gradients, self.momenta)
        )
        # Lanes with a parameter that has no momentum yet.
        self._fresh: set[int] = set()
        self.hold()

    @property
    def leaves(self) -> list[torch.Tensor]:
        """What gradients are asked for, in the order in which `take` wants them."""
        return list(self.lot.values())

    def hold(self) -> None:
        """See that every parameter and its momentum lie in their row; what does not is copied there, and becomes a view."""
        for number, (lane, places) in enumerate(zip(self.lanes, self._value_places, strict=True)):
            if [parameter.data_ptr() for parameter in lane.parameters] != places:
                self._move(number)
        if self.momentum:
            for number, lane in enumerate(self.lanes):
                if lane.optimizer is not None:
                    self._hold_momentum(number, lane, lane.optimizer)

    def take(self, gradients: Sequence[torch.Tensor | None]) -> None:
        """Keep these gradients, in the order of the leaves; None where a leaf has none."""
        # What fills up a row too: a NaN that a lane once had would stay there, and in the norm of whoever comes after it.
        self.gradients.zero_()
        for column, gradient in zip(self._columns(self.gradients), gradients, strict=True):
            if gradient is not None:
                column.copy_(gradient)

    def show(self, lane: int) -> None:
        """Let the parameters of a lane have their gradients, for whoever is to see or to change them."""
        for parameter, view in zip(self.lanes[lane].parameters, self._row(self.gradients, lane), strict=True):
            parameter.grad = view

    def heed(self, lane: int) -> None:
        """Take over gradients that have been put in the place of those that were shown."""
        parameters, places = self.lanes[lane].parameters, self._gradient_places[lane]
        for parameter, place, view in zip(parameters, places, self._row(self.gradients, lane), strict=True):
            if parameter.grad is None:
                view.zero_()
            elif parameter.grad.data_ptr() != place:
                view.copy_(parameter.grad)

    def clip(self, norm_max: float, some: Sequence[int] | None) -> torch.Tensor:
        """Scale the gradients of each lane, or of some, by itself until its norm is at most this; returns all norms [G] as they were."""
        norms: torch.Tensor = torch.linalg.vector_norm(self.gradients, dim=1)
        scales = torch.clamp(norm_max / (norms + EPSILON), max=1.0)
        if some is None:
            self.gradients.mul_(scales[:, None])
        else:
            for lane in some:
                self.gradients[lane].mul_(scales[lane])
        return norms

    def descend(self, rates: Sequence[float], decay: float, some: Sequence[int] | None) -> None:
        """One step of each lane, or of some, with the rates of all of them; a lane that is left out does not change in any bit."""
        values, gradients, momenta = self.values, self.gradients, self.momenta
        rows = None if some is None else torch.tensor(some, device=values.device)
        steps = torch.tensor(rates, dtype=values.dtype, device=values.device)[:, None]
        if rows is not None:
            values, gradients, momenta, steps = (flat.index_select(0, rows) for flat in (values, gradients, momenta, steps))
        directions = gradients.add(values, alpha=decay) if decay else gradients
        if self.momentum:
            directions = momenta.mul_(self.momentum).add_(directions)
        values.addcmul_(directions, steps, value=-1.0)
        if rows is not None:
            self.values.index_copy_(0, rows, values)
            self.momenta.index_copy_(0, rows, momenta)
        for lane in self._fresh.intersection(range(len(self.lanes)) if some is None else some):
            self._remember(lane)

    def _move(self, lane: int) -> None:
        pairs = zip(self.lanes[lane].parameters, self._value_places[lane], self._row(self.values, lane), strict=True)
        for parameter, place, view in pairs:
            if parameter.data_ptr() != place:
                view.copy_(parameter.detach())
                parameter.data = view

    def _hold_momentum(self, lane: int, held: Lane, optimizer: torch.optim.Optimizer) -> None:
        kept = [optimizer.state[p].get(MOMENTUM) if p in optimizer.state else None for p in held.parameters]
        if [None if buffer is None else buffer.data_ptr() for buffer in kept] == self._momentum_places[lane]:
            return
        views = self._row(self.momenta, lane)
        for parameter, buffer, place, view in zip(held.parameters, kept, self._momentum_places[lane], views, strict=True):
            if buffer is None:
                # PyTorch's first step has the gradient itself as its momentum, which it also is after one step from zero.
                view.zero_()
                self._fresh.add(lane)
            elif buffer.data_ptr() != place:
                view.copy_(buffer)
                optimizer.state[parameter][MOMENTUM] = view

    def _remember(self, lane: int) -> None:
        optimizer = self.lanes[lane].optimizer
        assert optimizer is not None, lane
        for parameter, view in zip(self.lanes[lane].parameters, self._row(self.momenta, lane), strict=True):
            state = optimizer.state[parameter]
            if MOMENTUM not in state:
                state[MOMENTUM] = view
        self._fresh.discard(lane)

    def _columns(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Views [G, ...], one a parameter."""
        return [flat[:, start : start + shape.numel()].view(len(flat), *shape) for start, shape in self._spans]

    def _row(self, flat: torch.Tensor, lane: int) -> list[torch.Tensor]:
        return [flat[lane, start : start + shape.numel()].view(shape) for start, shape in self._spans]
