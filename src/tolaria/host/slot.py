"""A place in a host where a seed can grow, and the seed in it.

Containment rests on one rule: unless the seed is blended at an alpha above 0, `forward` returns the host's tensor
itself. Nothing is computed with the seed, so no NaN in it can reach the host, neither forward nor backward; any
arithmetic (h + 0 * r, lerp, straight-through) would let it through. A seed in TRAINING learns in a pass of its own,
from a detached copy of the features that this slot keeps.
"""

from typing import Self

import torch
from torch import nn

from tolaria.host.blend import blend
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage

# In these stages the seed takes part in the host's output, if alpha is above 0.
MIXED = frozenset({Stage.BLENDING, Stage.HOLDING, Stage.FOSSILIZED})


class Slot(nn.Module):
    """Holds the seed and its state. `features` are the last detached inputs [B, C, ...] of a seed in TRAINING.

    Where the slot `hears_gradients`, `gradient` is that of the host's loss at these inputs, once it was computed.
    """

    def __init__(self, slot_id: str, channels: int) -> None:
        super().__init__()
        self.slot_id = slot_id
        self.channels = channels
        self.state = SlotState(slot=slot_id)
        self.seed: nn.Module | None = None
        self.features: torch.Tensor | None = None
        self.hears_gradients = False
        self.gradient: torch.Tensor | None = None
        # The alpha of each of K versions that lie behind one another in a batch, while `Host.versions` asks for them.
        self.alphas: tuple[float, ...] | None = None
        # The alpha [] that stands for the record's where this pass is captured once and replayed at other alphas.
        self.dial: torch.Tensor | None = None

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """The features h [B, C, ...], themselves or mixed with the seed's residual."""
        if self.training:
            learning = self.seed is not None and self.state.stage is Stage.TRAINING
            self.features = self._copy(h) if learning else None
            self.gradient = None
            if learning and self.hears_gradients and torch.is_grad_enabled():
                if not h.requires_grad:
                    # Nothing before it learns. The clone is no leaf, so that whatever comes after may work in place.
                    h = h.detach().requires_grad_().clone()
                # It listens and changes nothing.
                h.register_hook(self._hear)
        if self.seed is not None and self.alphas is not None:
            return self._versions(h, self.seed, self.alphas)
        if self.seed is None or self.strength == 0.0:
            return h
        return blend(h, self.seed(h), self.strength if self.dial is None else self.dial, self.state.blend)

    def attach(self, seed: nn.Module, state: SlotState) -> None:
        """Take a seed that was built and probed elsewhere; a fossil is frozen, any other seed is thawed."""
        assert state.slot == self.slot_id, (state.slot, self.slot_id)
        assert state.occupied, state.stage
        self.seed, self.state = seed, state
        self._forget()
        if state.stage is Stage.FOSSILIZED:
            self.freeze()
        else:
            seed.requires_grad_(True).train(self.training)

    def detach_seed(self, state: SlotState) -> None:
        """Let go of the seed, if there is one; the state says what the slot is afterwards."""
        assert state.slot == self.slot_id, (state.slot, self.slot_id)
        assert not state.occupied, state.stage
        self.seed, self.state = None, state
        self._forget()

    def freeze(self) -> None:
        """Make the seed a fossil: no gradients, statistics as they are. `train` keeps it so while the stage is FOSSILIZED."""
        assert self.seed is not None, self.slot_id
        self._forget()
        self.seed.requires_grad_(False).eval()
        self.seed.zero_grad(set_to_none=True)

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module.train`, but a fossil stays in eval mode."""
        super().train(mode)
        if self.seed is not None and self.state.stage is Stage.FOSSILIZED:
            self.seed.eval()
        return self

    def mixed_fully(self, features: torch.Tensor) -> torch.Tensor:
        """The features mixed at alpha 1, whatever the stage; what the shadow pass sends on."""
        assert self.seed is not None, self.slot_id
        return blend(features, self.seed(features), 1.0, self.state.blend)

    def change(self, features: torch.Tensor) -> torch.Tensor:
        """What the seed would change about the features at alpha 1."""
        return self.mixed_fully(features) - features

    @torch.no_grad()
    def magnitude(self, features: torch.Tensor) -> float:
        """The norm of what the seed would change at alpha 1 over the norm of the features; not clamped, NaN stays NaN."""
        assert self.seed is not None, self.slot_id
        was_training = self.seed.training
        self.seed.eval()
        change = self.change(features)
        self.seed.train(was_training)
        return float(change.norm() / features.norm())

    @property
    def strength(self) -> float:
        """The alpha at which the seed takes part in the host's output now; 0 where it does not."""
        return self.state.alpha if self.seed is not None and self.state.stage in MIXED else 0.0

    def _versions(self, h: torch.Tensor, seed: nn.Module, alphas: tuple[float, ...]) -> torch.Tensor:
        parts = list(h.chunk(len(alphas)))
        mixed = [version for version, alpha in enumerate(alphas) if alpha > 0.0]
        if not mixed:
            return h
        # The seed is run once. A version without it is the host's own tensor, whatever the seed would have made of it.
        residuals = seed(torch.cat([parts[version] for version in mixed])).chunk(len(mixed))
        for version, residual in zip(mixed, residuals, strict=True):
            parts[version] = blend(parts[version], residual, alphas[version], self.state.blend)
        return torch.cat(parts)

    def _forget(self) -> None:
        self.features, self.gradient = None, None

    def _hear(self, gradient: torch.Tensor) -> None:
        self.gradient = self._copy(gradient)

    @staticmethod
    def _copy(h: torch.Tensor) -> torch.Tensor:
        # A real and contiguous copy: backward through a detached channels_last view has crashed, and later in-place work must not reach it.
        return h.detach().clone(memory_format=torch.contiguous_format)
