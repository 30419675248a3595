"""Which tensors, and which elements of them, a fault strikes.

Names are those of the host's `named_parameters` and `named_buffers`; optimizer state is named
"<optimizer>/<parameter>/<state key>", as in "host/head.weight/momentum_buffer" or "s1.3/slots.s1.seed.0.weight/exp_avg".
Activations are named by the module that gives them, as in `named_modules`. Only floating-point tensors can be selected: a
step counter has no NaN.
"""

from __future__ import annotations

import difflib
from bisect import bisect_right
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from firedrill.faults.fault import CouldNotStrike, Scene, Strike, Unfit, check_positive_count, places, tensors_digest
from tolaria.lifecycle.stage import Stage
from tolaria.seams import (
    ACTION_APPLIED,
    GRADIENTS_READY,
    ROLLED_BACK,
    SNAPSHOT_TAKEN,
    STEP_BEGUN,
    STEP_FINISHED,
    WEIGHTS_UPDATED,
    Observed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import torch

    from tolaria.seams import Trainee

    Named = tuple[str, torch.Tensor]

SELECTORS = ("params", "grads", "buffers", "activations", "optimizer", "slot")
Role = Literal["trunk", "head", "seed", "fossil"]

# The seams at which a host with its optimizers passes, alone or in an `Observed`; the usual one first.
TENSOR_PHASES = tuple(
    seam.name for seam in (WEIGHTS_UPDATED, GRADIENTS_READY, STEP_BEGUN, ACTION_APPLIED, STEP_FINISHED, SNAPSHOT_TAKEN, ROLLED_BACK)
)


class SelectorMatchedNothing(CouldNotStrike):
    """A selector fits no tensor of the live host; tells which names come nearest."""

    def __init__(self, selector: str, names: Sequence[str]) -> None:
        near = difflib.get_close_matches(selector.partition(": ")[2].partition(" (")[0], names, n=3, cutoff=0.2)
        hint = f"; the nearest names are {', '.join(near)}" if near else "; there is nothing of this kind"
        super().__init__(f"{selector} matches nothing{hint}")
        self.near = tuple(near)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Some of the elements: one by its flat index, a count of random ones, or a random fraction and `at_least` so many."""

    index: int | None = None
    count: int | None = None
    fraction: float | None = None
    at_least: int = 1

    def __post_init__(self) -> None:
        if sum(choice is not None for choice in (self.index, self.count, self.fraction)) != 1:
            raise ValueError("say exactly one of index, count and fraction")
        if self.index is not None and self.index < 0:
            raise Unfit("index", f"elements are numbered from 0, so {self.index} is none")
        if self.count is not None:
            check_positive_count("count", self.count)
        if self.fraction is not None and not 0.0 < self.fraction <= 1.0:
            raise Unfit("fraction", f"a fraction lies above 0 and is at most 1, {self.fraction:g} is not")
        check_positive_count("at_least", self.at_least)

    def of(self, total: int, rng: np.random.Generator) -> list[int]:
        """Flat indices in ascending order; empty where the index lies behind the end."""
        if self.index is not None:
            return [self.index] if self.index < total else []
        wanted = self.count if self.fraction is None else max(self.at_least, round(self.fraction * total))
        assert wanted is not None
        return sorted(int(index) for index in rng.choice(total, size=min(wanted, total), replace=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Exactly one selector: a glob over names of one sort of tensor, or the id of a slot for all of its parameters.

    What it selects may be narrowed: by the `type` of the module that a tensor belongs to, a glob over names of classes; by
    its `role` in the network; and by `depth`, the place of its module among those that are left, from 0 or back from -1.
    """

    params: str | None = None
    grads: str | None = None
    buffers: str | None = None
    activations: str | None = None
    optimizer: str | None = None
    slot: str | None = None
    type: str | None = None
    role: Role | None = None
    depth: int | None = None
    pick: Pick | None = None

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not None for name in SELECTORS) != 1:
            raise ValueError(f"say exactly one of {', '.join(SELECTORS)}")

    def __str__(self) -> str:
        narrowed = [f"{name} {getattr(self, name)}" for name in ("type", "role", "depth") if getattr(self, name) is not None]
        return f"{self.sort}: {getattr(self, self.sort)}" + (f" ({', '.join(narrowed)})" if narrowed else "")

    @property
    def sort(self) -> str:
        """Which selector it is."""
        return next(name for name in SELECTORS if getattr(self, name) is not None)

    def select(self, trainee: Trainee) -> list[Named]:
        """The tensors that match, by name; raises SelectorMatchedNothing where none does."""
        sort, pattern = self.sort, getattr(self, self.sort)
        if sort == "slot":
            sort, pattern = "params", f"slots.{pattern}.*"
        if sort == "activations":
            raise CouldNotStrike("activations are there only while they are computed")
        candidates = [(name, tensor) for name, tensor in _candidates(sort, trainee) if tensor.is_floating_point() and tensor.numel()]
        chosen = [(name, tensor) for name, tensor in candidates if fnmatchcase(name, pattern)]
        owners = self._narrowed([_owner(name, sort) for name, _ in chosen], trainee)
        chosen = [(name, tensor) for name, tensor in chosen if _owner(name, sort) in owners]
        if not chosen:
            raise SelectorMatchedNothing(str(self), [name for name, _ in candidates])
        return chosen

    def module(self, trainee: Trainee) -> tuple[str, torch.nn.Module]:
        """The module whose activations are meant: the first that matches; raises SelectorMatchedNothing where none does."""
        assert self.activations is not None
        modules = {name: module for name, module in trainee.host.named_modules() if name}
        chosen = self._narrowed([name for name in modules if fnmatchcase(name, self.activations)], trainee)
        if not chosen:
            raise SelectorMatchedNothing(str(self), list(modules))
        return chosen[0], modules[chosen[0]]

    def _narrowed(self, owners: Sequence[str], trainee: Trainee) -> list[str]:
        """Those of some modules, each once and in their order, that have the type, the role and the depth."""
        modules = dict(trainee.host.named_modules())
        left = [
            owner
            for owner in dict.fromkeys(owners)
            if (self.type is None or fnmatchcase(type(modules[owner]).__name__, self.type))
            and (self.role is None or _role(owner, trainee) == self.role)
        ]
        if self.depth is None:
            return left
        return [left[self.depth]] if -len(left) <= self.depth < len(left) else []

    def elements(self, tensors: Sequence[Named], rng: np.random.Generator) -> Sequence[int]:
        """Flat indices into the tensors laid end to end; all of them where nothing is picked."""
        total = sum(tensor.numel() for _, tensor in tensors)
        return range(total) if self.pick is None else self.pick.of(total, rng)


def strike_elements(value: Trainee | Observed, scene: Scene, change: Callable[[torch.Tensor], torch.Tensor]) -> Trainee | Observed:
    """Write the changed elements of the scene's target in place, tell the witness, and let the same value go on.

    Activations are changed, and told of, when their module computes the next time.
    """
    assert scene.target is not None
    trainee = value.trainee if isinstance(value, Observed) else value
    if scene.target.activations is not None:
        _await_activation(trainee, scene, change)
        return value
    tensors = scene.target.select(trainee)
    elements = scene.target.elements(tensors, scene.rng)
    if not elements:
        raise CouldNotStrike(f"{scene.target} has no element number {scene.target.pick.index if scene.target.pick else 0}")
    touched = list(_by_tensor(tensors, elements))
    before = tensors_digest(tensor for _, tensor, _ in touched)
    first = ""
    for _, tensor, indices in touched:
        # Written through a copy, because a tensor may be strided, and detached, because a leaf that learns refuses writing.
        flat = tensor.detach().clone().flatten()
        flat[indices] = change(flat[indices])
        tensor.detach().copy_(flat.view(tensor.shape))
        first = first or str(flat[indices[0]].item())
    after = tensors_digest(tensor for _, tensor, _ in touched)
    scene.witness(Strike(places(name for name, _, _ in touched), len(elements), before, after, first))
    return value


def _await_activation(trainee: Trainee, scene: Scene, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    target = scene.target
    assert target is not None
    name, module = target.module(trainee)

    def computed(_module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor | None:
        waiting.remove()
        elements = list(target.elements([(name, output)], scene.rng))
        if not elements:
            return None
        flat = output.flatten()
        # A copy, because the graph still needs what it has.
        changed = flat.clone()
        changed[elements] = change(flat[elements])
        before, after = (tensors_digest([flat[elements]]) for flat in (flat, changed))
        scene.witness(Strike(f"output of {name}", len(elements), before, after, str(changed[elements[0]].item())))
        return changed.view(output.shape)

    waiting = module.register_forward_hook(computed)


def _owner(name: str, sort: str) -> str:
    """The name of the module that a tensor belongs to; optimizer state belongs where its parameter does."""
    return (name.split("/")[1] if sort == "optimizer" else name).rpartition(".")[0]


def _role(owner: str, trainee: Trainee) -> Role:
    """What a module is in the network."""
    root, _, rest = owner.partition(".")
    if root != "slots" or not rest:
        return "head" if root == "head" else "trunk"
    stage = trainee.host.slot_states()[rest.partition(".")[0]].stage
    return "fossil" if stage is Stage.FOSSILIZED else "seed"


def _candidates(sort: str, trainee: Trainee) -> list[Named]:
    parameters = list(trainee.host.named_parameters())
    match sort:
        case "params":
            return [(name, parameter) for name, parameter in parameters]
        case "grads":
            return [(name, parameter.grad) for name, parameter in parameters if parameter.grad is not None]
        case "buffers":
            return list(trainee.host.named_buffers())
    names = {id(parameter): name for name, parameter in parameters}
    return [
        (f"{optimizer}/{names.get(id(parameter), 'unknown')}/{key}", tensor)
        for optimizer, engine in trainee.optimizers.items()
        for parameter, state in engine.state.items()
        for key, tensor in state.items()
        # Some optimizers keep plain numbers beside their tensors.
        if not isinstance(tensor, (int, float, bool, type(None)))
    ]


def _by_tensor(tensors: Sequence[Named], elements: Sequence[int]) -> list[tuple[str, torch.Tensor, list[int]]]:
    ends = list(accumulate(tensor.numel() for _, tensor in tensors))
    indices: dict[int, list[int]] = {}
    for element in elements:
        place = bisect_right(ends, element)
        indices.setdefault(place, []).append(element - (ends[place - 1] if place else 0))
    return [(*tensors[place], found) for place, found in indices.items()]
