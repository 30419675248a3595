"""Everything mutable of somebody else's training loop, taken apart into tensors and facts, and put together again.

The model's parameters and buffers, what its modules give as extra state, averaged weights, optimizer state under the names
of parameters and what an optimizer keeps beside that, parameter groups, schedulers, scaler and the count of steps. What is
left out, with the reason:

    the data stream and random generators   the same bad batch would strike again
    gradients                               they belong to weights that are gone, and are dropped
    how an optimizer computes               fused, foreach and the like belong to the process, and not to what was learnt
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils._pytree import tree_map_only

from tolaria.errors import ConfigError
from tolaria.governor.governed import Spec
from tolaria.governor.rollback import LayoutMismatch
from tolaria.host.finite import all_finite, held
from tolaria.integrations.loop_layout import check_made_alike, layout_of
from tolaria.integrations.nested import tensors_in
from tolaria.integrations.outdated_graphs import OutdatedGraphs
from tolaria.integrations.rates import scale_rates
from tolaria.integrations.state_values import decode, encode
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Ease

# What compiling puts before the names of everything inside.
COMPILED = "_orig_mod."

# The direction of past gradients, under the names that the optimizers of PyTorch give it: the reset policy forgets it.
FIRST_MOMENTS = frozenset({"momentum_buffer", "exp_avg"})

# Options of a parameter group that say how a step is computed.
IMPLEMENTATION = frozenset({"fused", "foreach", "capturable", "differentiable"})

# Averaged weights: a module, or tensors by name.
Ema = torch.nn.Module | Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """Nothing grows in a plain loop: the topology after a rollback is the one there is."""

    specs: Mapping[str, Spec]
    pruned: tuple[str, ...] = ()
    leaned: bool = False


@dataclass(frozen=True, slots=True)
class LoopParts:
    """The live objects of a loop, as their owner made them."""

    model: torch.nn.Module
    optimizers: Sequence[Optimizer]
    schedulers: Sequence[LRScheduler] = ()
    scaler: torch.amp.GradScaler | None = None
    ema: Ema | None = None


class LoopState:
    """What the governor works on. `steps` counts the optimizer steps that the weights have behind them."""

    def __init__(self, parts: LoopParts, graphs: OutdatedGraphs) -> None:
        self.steps = 0
        self.rate_scale = 1.0
        self._parts = parts
        self._graphs = graphs
        self._forgets = False
        for name, tensor in self._weights().items():
            if kind := _unfit(tensor):
                raise ConfigError(f"watch.{name}", kind, "a dense tensor that holds its numbers")
        for optimizer in parts.optimizers:
            self._named_groups(optimizer)

    def stable_tensors(self) -> dict[str, torch.Tensor]:
        """Live tensors: "model/<name>", "ema/<name>", "optimizer/model/<parameter>/<state key>"."""
        like = {
            f"optimizer/{name}/{field}": value
            for name, parameter, field, value in self._state()
            if isinstance(value, torch.Tensor) and is_like(value, parameter)
        }
        return self._weights() | like

    def facts(self) -> dict[str, Any]:
        """What of a snapshot is no tensor of the model's shapes: groups, counters, schedulers, scaler."""
        parts = self._parts
        groups = [[_options(group) for group in optimizer.param_groups] for optimizer in parts.optimizers]
        odd = [(name, field, value) for name, parameter, field, value in self._state() if not is_like(value, parameter)]
        extra = {name: module.get_extra_state() for name, module in self._extra().items()}
        return {
            "steps": self.steps,
            "rate_scale": self.rate_scale,
            "layout": self._layout(),
            "extra": encode(extra, "watch.model"),
            "groups": encode(groups, "watch.optimizer"),
            "odd_state": encode(odd, "watch.optimizer"),
            "shared_state": encode([_shared(optimizer) for optimizer in parts.optimizers], "watch.optimizer"),
            "schedulers": encode([scheduler.state_dict() for scheduler in parts.schedulers], "watch.scheduler"),
            "scaler": encode(parts.scaler.state_dict() if parts.scaler else None, "watch.scaler"),
        }

    def prepare(self, facts: dict[str, Any]) -> LoopPlan:
        """Whether the live loop still has what was recorded; changes nothing."""
        if "layout" not in facts:
            raise LayoutMismatch("found no record of what it was taken of, as an older version left it; expected one")
        check_made_alike(facts["layout"], self._layout())
        return LoopPlan({name: (tuple(tensor.shape), tensor.dtype) for name, tensor in self._weights().items()})

    def commit(self, plan: LoopPlan, at: Point) -> tuple[Event, ...]:
        """Nothing moves; from here on, graphs that were built before are outdated."""
        self._graphs.restores += 1
        return ()

    def restore_optimizers(self, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        """State from "optimizer/..." tensors. `policy`: "reset", "reset_all" or "restore". Written in place where that is possible."""
        self._forgets = policy == "reset_all"
        wanted: dict[str, dict[str, torch.Tensor]] = {}
        for path in sorted(saved):
            name, _, field = path.removeprefix("optimizer/").rpartition("/")
            wanted.setdefault(name, {})[field] = saved[path]
        for optimizer in self._parts.optimizers:
            for name, parameter, group in self._trained(optimizer):
                fields = {} if self._forgets else wanted.get(name, {})
                before = optimizer.state.pop(parameter, {})
                for field, value in fields.items():
                    live = before.get(field)
                    if not isinstance(live, torch.Tensor) or live.shape != value.shape:
                        live = torch.empty_like(value, device=_device(field, parameter, group))
                    # A copy: an optimizer works in place, and must never work on the snapshot itself.
                    with torch.no_grad():
                        optimizer.state[parameter][field] = live.copy_(value)
                        if policy == "reset" and field in FIRST_MOMENTS:
                            live.zero_()

    def settle(self, facts: dict[str, Any]) -> None:
        """Groups, schedulers, scaler and count back to the snapshot's; a learning rate that was cut since stays cut."""
        parts = self._parts
        for groups, optimizer in zip(decode(facts["groups"]), parts.optimizers, strict=True):
            for options, group in zip(groups, optimizer.param_groups, strict=False):
                _settle_group(group, options)
        self._settle_odd(facts)
        extra = decode(facts["extra"])
        for name, module in self._extra().items():
            module.set_extra_state(extra[name])
        for scheduler, state in zip(parts.schedulers, decode(facts["schedulers"]), strict=True):
            scheduler.load_state_dict(state)
        if parts.scaler:
            parts.scaler.load_state_dict(decode(facts["scaler"]))
        self.steps = facts["steps"]
        if self.rate_scale != facts["rate_scale"]:
            scale_rates(parts.optimizers, parts.schedulers, self.rate_scale / facts["rate_scale"])
        parts.model.zero_grad()

    def ease(self, factor: float, steps: int, skip_steps: int) -> Ease:
        """Every learning rate, also those to come by the schedulers, times a factor, for good; the data are the loop's own."""
        self.rate_scale *= factor
        scale_rates(self._parts.optimizers, self._parts.schedulers, factor)
        return Ease(self.rate_scale, 0)

    def probe(self) -> None:
        """There are no validation data."""
        return

    def nonfinite_places(self) -> tuple[str, ...]:
        """Which of parameters, buffers, averaged weights and optimizer state hold NaN or Inf."""
        parameters, buffers = held(self._parts.model)
        groups: dict[str, list[torch.Tensor]] = {
            "parameters": [*parameters],
            "buffers": buffers,
            "ema": [tensor for name, tensor in self._weights().items() if name.startswith("ema/")],
            "optimizer": [*tensors_in([value for *_, value in self._state()]), *tensors_in([*map(_shared, self._parts.optimizers)])],
        }
        # All at once first: a healthy model, which is nearly every one, costs one pass and one read of the device.
        if all_finite(chain.from_iterable(groups.values())):
            return ()
        return tuple(name for name, tensors in groups.items() if not all_finite(tensors))

    def _weights(self) -> dict[str, torch.Tensor]:
        parts = self._parts
        named = {f"model/{name}": tensor for name, tensor in _tensors_of(parts.model)}
        if isinstance(parts.ema, torch.nn.Module):
            return named | {f"ema/{name}": tensor for name, tensor in _tensors_of(parts.ema)}
        return named | {f"ema/{name}": tensor for name, tensor in (parts.ema or {}).items()}

    def _settle_odd(self, facts: dict[str, Any]) -> None:
        """Optimizer state that is unlike its parameter, and what belongs to no parameter."""
        owners: dict[str, tuple[Optimizer, torch.nn.Parameter]] = {}
        for optimizer, shared in zip(self._parts.optimizers, decode(facts["shared_state"]), strict=True):
            owners |= {name: (optimizer, parameter) for name, parameter, _ in self._trained(optimizer)}
            for key in _shared(optimizer):
                del optimizer.state[key]
            if not self._forgets:
                optimizer.state.update(_moved(shared, next(iter(self._parts.model.parameters())).device))
        for name, field, value in () if self._forgets else decode(facts["odd_state"]):
            optimizer, parameter = owners[name]
            optimizer.state[parameter][field] = _moved(value, parameter.device)

    def _layout(self) -> dict[str, Any]:
        parts = self._parts
        groups = ((type(each).__name__, [list(members) for members, _ in self._named_groups(each)]) for each in parts.optimizers)
        return layout_of(groups, parts.schedulers, parts.scaler, self._extra())

    def _extra(self) -> dict[str, torch.nn.Module]:
        """The modules that give a state beside their tensors."""
        named = ((_plain(f"{name}.").removesuffix("."), module) for name, module in self._parts.model.named_modules())
        return {name: module for name, module in named if type(module).get_extra_state is not torch.nn.Module.get_extra_state}

    def _named_groups(self, optimizer: Optimizer) -> list[tuple[dict[str, torch.nn.Parameter], dict[str, Any]]]:
        names = {id(parameter): f"model/{_plain(name)}" for name, parameter in self._parts.model.named_parameters()}
        strangers = sum(id(parameter) not in names for group in optimizer.param_groups for parameter in group["params"])
        if strangers:
            place = f"watch.optimizer.{self._parts.optimizers.index(optimizer)}"
            expected = "parameters of the model only; watch a ModuleList of all that is trained"
            raise ConfigError(place, f"{strangers} parameters that the model does not have", expected)
        return [({names[id(parameter)]: parameter for parameter in group["params"]}, group) for group in optimizer.param_groups]

    def _trained(self, optimizer: Optimizer) -> Iterator[tuple[str, torch.nn.Parameter, dict[str, Any]]]:
        for members, group in self._named_groups(optimizer):
            yield from ((name, parameter, group) for name, parameter in members.items())

    def _state(self) -> Iterator[tuple[str, torch.nn.Parameter, str, object]]:
        for optimizer in self._parts.optimizers:
            for name, parameter, _ in self._trained(optimizer):
                yield from ((name, parameter, field, value) for field, value in optimizer.state.get(parameter, {}).items())


def is_like(value: object, parameter: torch.nn.Parameter) -> bool:
    """Whether a piece of optimizer state is a tensor of its parameter's shape or a single number."""
    return isinstance(value, torch.Tensor) and value.shape in ((), parameter.shape)


def _tensors_of(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    # Tied weights come once; `state_dict` would leave out buffers that are not persistent.
    yield from ((_plain(name), parameter) for name, parameter in module.named_parameters())
    yield from ((_plain(name), buffer) for name, buffer in module.named_buffers())


def _plain(name: str) -> str:
    """The name that a tensor has in the model that was compiled, so that a snapshot fits it either way."""
    return name.replace(COMPILED, "")


def _unfit(tensor: torch.Tensor) -> str | None:
    """What keeps a tensor from being copied; None for an ordinary one."""
    if is_lazy(tensor):
        return "a lazy tensor that no forward pass has made yet"
    if tensor.is_meta:
        return "a tensor on the meta device"
    return None if tensor.layout is torch.strided else f"a tensor of layout {tensor.layout}"


def _shared(optimizer: Optimizer) -> dict[Any, Any]:
    """What an optimizer keeps under keys that are no parameters, for all of them together."""
    # PyTorch declares tensors alone, and takes anything.
    state: Any = optimizer.state
    return {key: value for key, value in state.items() if not isinstance(key, torch.Tensor)}


def _moved(value: Any, device: torch.device) -> Any:
    return tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), value)


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}


def _settle_group(group: dict[str, Any], options: dict[str, Any]) -> None:
    for key, value in options.items():
        if key in IMPLEMENTATION:
            continue
        if isinstance(group.get(key), torch.Tensor):
            group[key].copy_(value)
        else:
            group[key] = value


def _device(field: str, parameter: torch.nn.Parameter, group: dict[str, Any]) -> torch.device:
    # Optimizers count their steps on the CPU, unless the whole step is meant to stay on the device.
    on_device = field != "step" or group.get("fused") or group.get("capturable")
    return parameter.device if on_device else torch.device("cpu")
