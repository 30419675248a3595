"""A network in training with slots between its blocks: features flow block, slot, block, slot, ..., head."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.germination import PROBE_SHAPES, build_seed
from tolaria.host.slot import Slot
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import EXPERIMENTAL


class Host(nn.Module):
    """Blocks, a slot after each block that asks for one ("s0" after block 0), and a head that gives logits [B, K],
    or [B, T, K] where every place of a sequence is an answer.

    `widths` are the channels after each block, `slots` the ids that are wanted, in order of execution.
    """

    def __init__(self, blocks: Sequence[nn.Module], widths: Sequence[int], head: nn.Module, family: str, slots: Sequence[str]) -> None:
        super().__init__()
        possible = tuple(f"s{position}" for position in range(len(blocks)))
        _check_slots(slots, possible)
        if family not in PROBE_SHAPES:
            raise ConfigError("host.family", family, f"one of {', '.join(PROBE_SHAPES)}")
        assert len(widths) == len(blocks), (len(widths), len(blocks))
        self.family = family
        self.channels = {slot_id: width for slot_id, width in zip(possible, widths, strict=True) if slot_id in slots}
        self.blocks = nn.ModuleList(blocks)
        self.slots = nn.ModuleDict({slot_id: Slot(slot_id, width) for slot_id, width in self.channels.items()})
        self.head = head

    def forward(self, x: torch.Tensor, without: Collection[str] = ()) -> torch.Tensor:
        """Logits [B, K]; slots named in `without` pass the features through, as if their seeds were not there."""
        for position, block in enumerate(self.blocks):
            x = block(x)
            slot_id = f"s{position}"
            if slot_id in self.slots and slot_id not in without:
                x = self.slots[slot_id](x)
        logits: torch.Tensor = self.head(x)
        return logits

    def features_at(self, slot_id: str) -> torch.Tensor:
        """The detached features [B, C, ...] of the last training forward at a slot whose seed is in TRAINING."""
        features = self.slot(slot_id).features
        assert features is not None, f"no training forward was made with a seed in TRAINING at {slot_id}"
        return features

    def gradient_at(self, slot_id: str) -> torch.Tensor:
        """The gradient [B, C, ...] of the loss at these features, as the host's own pass back has just computed it."""
        gradient = self.slot(slot_id).gradient
        assert gradient is not None, f"no gradient of the host's loss reached {slot_id}"
        return gradient

    def shadow(self, slot_id: str, features: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] with this seed at alpha 1 and the rest of the host as it is, in eval mode.

        The graph also leads to the tail's parameters: take gradients with `torch.autograd.grad` for the seed's alone.
        """
        assert not features.requires_grad, "the shadow pass starts from detached features"
        slot = self.slot(slot_id)
        tail = [module for path in self._path_after(slot_id) for module in path.modules()]
        with _evaluating(tail):
            x = slot.mixed_fully(features)
            for module in self._path_after(slot_id):
                x = module(x)
        return x

    def germinate(
        self,
        slot_id: str,
        blueprint: str,
        *,
        seed: int,
        blend: Blend = Blend.ADD,
        steps: int = 5,
        target: float = 1.0,
        curve: Curve = Curve.LINEAR,
    ) -> SlotState:
        """Build a seed aside and attach it last; `seed` initialises it, the rest is the blend that it will follow later.

        Raises `IllegalMove` for a slot that is not dormant and `ConfigError` for a blueprint that does not fit; nothing has changed then.
        """
        slot = self.slot(slot_id)
        state = slot.state.germinated(blueprint, blend, steps, target, curve)
        slot.attach(build_seed(blueprint, self.family, slot.channels, seed, self.like, blend), state)
        return state

    @property
    def like(self) -> torch.Tensor:
        """A parameter whose device and dtype a new seed takes over."""
        return next(self.blocks.parameters())

    def slot(self, slot_id: str) -> Slot:
        """The slot of that name."""
        if slot_id not in self.slots:
            raise ConfigError("slot", slot_id, f"one of {', '.join(self.slots)}")
        slot = self.slots[slot_id]
        assert isinstance(slot, Slot)
        return slot

    def slot_states(self) -> dict[str, SlotState]:
        """The state of every slot, in order of execution."""
        return {slot_id: self.slot(slot_id).state for slot_id in self.slots}

    def experimental_slots(self) -> tuple[str, ...]:
        """Slots whose live seed is experimental: a rollback prunes it."""
        return tuple(slot_id for slot_id, state in self.slot_states().items() if state.stage in EXPERIMENTAL)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Every parameter and every buffer, also non-persistent ones, by name; tied ones once."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    def stable_tensors(self) -> dict[str, torch.Tensor]:
        """What a rollback restores: all tensors but those of experimental seeds."""
        experimental = tuple(seed_prefix(slot_id) for slot_id in self.experimental_slots())
        return {name: tensor for name, tensor in self.tensors().items() if not name.startswith(experimental)}

    def seed_tensors(self, slot_id: str) -> dict[str, torch.Tensor]:
        """Parameters and buffers of one seed by their full names; empty where there is no seed."""
        seed = self.slot(slot_id).seed
        return {} if seed is None else module_tensors(seed, seed_prefix(slot_id))

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters of the host itself, those of no seed, by name: what its own optimizer holds."""
        return {name: parameter for name, parameter in self.named_parameters() if not name.startswith("slots.")}

    def host_parameters(self) -> int:
        """How many numbers the host itself learns."""
        return sum(parameter.numel() for parameter in self.own_parameters().values())

    def seed_parameters(self) -> int:
        """How many parameters all seeds have together, fossils included."""
        return sum(parameter.numel() for parameter in self.slots.parameters())

    def _path_after(self, slot_id: str) -> Iterator[nn.Module]:
        position = int(slot_id.removeprefix("s"))
        for later in range(position + 1, len(self.blocks)):
            yield self.blocks[later]
            if f"s{later}" in self.slots:
                yield self.slots[f"s{later}"]
        yield self.head


def seed_prefix(slot_id: str) -> str:
    """What the names of a seed's tensors begin with."""
    return f"slots.{slot_id}.seed."


def module_tensors(module: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """Parameters and all buffers of a module, each name with the prefix in front."""
    return {f"{prefix}{name}": tensor for name, tensor in (*module.named_parameters(), *module.named_buffers())}


def _check_slots(slots: Sequence[str], possible: Sequence[str]) -> None:
    if isinstance(slots, str) or not slots:
        raise ConfigError("host.slots", slots, "a list of at least one slot id")
    if list(slots) != [slot_id for slot_id in possible if slot_id in slots]:
        raise ConfigError("host.slots", list(slots), f"some of {', '.join(possible)}, each once and in this order")


@contextmanager
def _evaluating(modules: Sequence[nn.Module]) -> Iterator[None]:
    # The flag itself is set, because `train` and `eval` would also reach children that stood otherwise.
    modes = [(module, module.training) for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
