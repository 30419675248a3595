"""A controller that draws uniformly from what is legal: the baseline that anything clever must beat."""

from collections.abc import Mapping
from typing import cast

import numpy as np
from torch import Tensor

from tolaria.lifecycle.action import Action
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.fixed import FixedPolicy
from tolaria.policy.masks import masks_of
from tolaria.policy.policy import JSON
from tolaria.policy.view import View
from tolaria.seeding import stream


class RandomPolicy(FixedPolicy):
    """Uniform over the legal ops, then over the op's legal slots, then over every free factor; a stream for each environment."""

    def __init__(self, space: ActionSpace, seed: int) -> None:
        self.space = space
        self._seed = seed
        self._streams: dict[int, np.random.Generator] = {}

    def decide(self, view: View) -> Action:
        """A legal decision."""
        rng = self._stream(view.env)
        masks = masks_of(view)
        op = int(rng.choice(np.flatnonzero(masks.op)))
        slot = int(rng.choice(np.flatnonzero(masks.slot_by_op[op])))
        return self.space.decode((op, slot, *(int(rng.integers(size)) for size in self.space.sizes[2:])))

    def position(self, env: int) -> JSON:
        """Where the environment's stream stands."""
        return _position(self._stream(env))

    def rewind(self, env: int, position: JSON) -> None:
        """Draw the same numbers once more."""
        _wind(self._stream(env), cast("Mapping[str, str]", position))

    def facts(self) -> dict[str, JSON]:
        """Where every stream stands."""
        return {str(env): _position(rng) for env, rng in self._streams.items()}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Wind every stream to where it stood."""
        assert not tensors, sorted(tensors)
        self._streams = {}
        for env, position in facts.items():
            _wind(self._stream(int(env)), cast("Mapping[str, str]", position))

    def _stream(self, env: int) -> np.random.Generator:
        if env not in self._streams:
            self._streams[env] = stream(self._seed, "random_policy", env)
        return self._streams[env]


def _position(rng: np.random.Generator) -> dict[str, JSON]:
    """PCG64's state; its integers have 128 bits, which some JSON readers would round, so they are text."""
    state = rng.bit_generator.state
    numbers = {**state["state"], "has_uint32": state["has_uint32"], "uinteger": state["uinteger"]}
    return {name: str(number) for name, number in numbers.items()}


def _wind(rng: np.random.Generator, position: Mapping[str, str]) -> None:
    numbers = {name: int(text) for name, text in position.items()}
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": numbers["state"], "inc": numbers["inc"]},
        "has_uint32": numbers["has_uint32"],
        "uinteger": numbers["uinteger"],
    }
