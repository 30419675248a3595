"""A network in training with slots: places where seeds can grow. Where they lie is said by `BlockHost` and `GraftedHost`."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.germination import PROBE_SHAPES, build_seed
from tolaria.host.slot import Slot
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import EXPERIMENTAL


class Host(nn.Module, ABC):
    """Slots with seeds, and a network that passes its features through them; which network it is, is the subclass's business.

    `channels` are the slots by id and the channels of their features, in order of execution; `family` says which blueprints fit.
    """

    # Whether a pass in training mode draws random numbers, so that whoever trains must lend it some.
    draws = False

    def __init__(self, family: str, channels: Mapping[str, int]) -> None:
        super().__init__()
        if family not in PROBE_SHAPES:
            raise ConfigError("host.family", family, f"one of {', '.join(PROBE_SHAPES)}")
        self.family = family
        self.channels = dict(channels)
        self.slots = nn.ModuleDict({slot_id: Slot(slot_id, width) for slot_id, width in channels.items()})

    @abstractmethod
    def forward(self, x: torch.Tensor, without: Collection[str] = ()) -> torch.Tensor:
        """Logits [B, K], or [B, T, K] where every place of a sequence is an answer.

        Slots named in `without` pass the features through, as if their seeds were not there.
        """

    @torch.no_grad()
    def versions(self, x: torch.Tensor, alphas: Sequence[Mapping[str, float]]) -> torch.Tensor:
        """Logits [K, B, ...] of K versions of the host in one pass: the inputs lie K times behind one another.

        In version k the slots that `alphas[k]` names are at that alpha, and all others as they are. Only in eval mode, where
        no sample hears of another; the numbers are those of K passes up to the rounding of larger products.
        """
        assert alphas, "at least one version"
        assert not self.training, "statistics of a training batch would mix the versions"
        slots = [self.slot(slot_id) for slot_id in self.slots]
        assert set().union(*alphas) <= set(self.slots), alphas
        try:
            for slot in slots:
                slot.alphas = tuple(version.get(slot.slot_id, slot.strength) for version in alphas)
            logits: torch.Tensor = self(torch.cat([x] * len(alphas)))
        finally:
            for slot in slots:
                slot.alphas = None
        versions: torch.Tensor = logits.unflatten(0, (len(alphas), len(x)))
        return versions

    @abstractmethod
    def shadow(self, slot_id: str, features: torch.Tensor) -> torch.Tensor:
        """Logits with this seed at alpha 1 and the rest of the host as it is, in eval mode.

        The graph also leads to the tail's parameters: take gradients with `torch.autograd.grad` for the seed's alone.
        """

    @property
    @abstractmethod
    def like(self) -> torch.Tensor:
        """A parameter whose device and dtype a new seed takes over, unless its slot says otherwise."""

    def like_at(self, slot_id: str) -> torch.Tensor:
        """The same of a seed in this slot, where its features are of another dtype."""
        assert slot_id in self.slots, slot_id
        return self.like

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
        slot.attach(build_seed(blueprint, self.family, slot.channels, seed, self.like_at(slot_id), blend), state)
        return state

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


def seed_prefix(slot_id: str) -> str:
    """What the names of a seed's tensors begin with."""
    return f"slots.{slot_id}.seed."


def module_tensors(module: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """Parameters and all buffers of a module, each name with the prefix in front."""
    return {f"{prefix}{name}": tensor for name, tensor in (*module.named_parameters(), *module.named_buffers())}


@contextmanager
def evaluating(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Within, exactly these modules are in eval mode; afterwards each is in the mode that it was in."""
    # The flag itself is set, because `train` and `eval` would also reach children that stood otherwise.
    modes = [(module, module.training) for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
