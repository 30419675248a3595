"""What the network of a learning controller is made of."""

import math
from dataclasses import dataclass

from tolaria.errors import ConfigError

ACTIVATIONS = ("relu", "tanh")
MEMORIES = ("lstm", "none")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """An encoder of linear layers, then a memory, then the heads.

    `widths`: the encoder's layers; `layer_norm` before each activation. `memory_size`: of the recurrent state. `value_trunk`: the
    value sees the observation through an encoder of its own. `orthogonal`: initial weights as in the usual implementations of PPO.
    `forget_bias`: how open the memory's forget gates begin; at 0 half is forgotten in every step (Jozefowicz et al. 2015).
    """

    widths: tuple[int, ...] = (64,)
    activation: str = "relu"
    layer_norm: bool = True
    memory: str = "lstm"
    memory_size: int = 64
    value_trunk: bool = False
    orthogonal: bool = False
    forget_bias: float = 0.0

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise ConfigError("network.widths", self.widths, "at least one layer, each of 1 feature or more")
        if self.activation not in ACTIVATIONS:
            raise ConfigError("network.activation", self.activation, f"one of {', '.join(ACTIVATIONS)}")
        if self.memory not in MEMORIES:
            raise ConfigError("network.memory", self.memory, f"one of {', '.join(MEMORIES)}")
        if self.memory_size < 1:
            raise ConfigError("network.memory_size", self.memory_size, "1 or more")
        if not math.isfinite(self.forget_bias):
            raise ConfigError("network.forget_bias", self.forget_bias, "a finite number")
        if self.value_trunk and self.memory != "none":
            raise ConfigError(
                "network.value_trunk", self.value_trunk, "a network without memory, because the value reads what is remembered"
            )

    @property
    def remembers(self) -> bool:
        """Whether there is a recurrent state."""
        return self.memory != "none"
