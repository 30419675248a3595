"""Hosts of the spirals task, trained two batches a step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import EnvConfig, GrowthEnv
from tolaria.lifecycle.gates import GateConfig
from tolaria.seams import NO_TAPS, Taps
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event

# Every gate is open as soon as the table knows the move.
OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)


@dataclass(slots=True)
class Told:
    """A host or an environment, and the events that it emitted."""

    subject: Any
    events: list[Event] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def open_gates() -> GateConfig:
    return OPEN


@pytest.fixture
def make_host() -> Callable[..., Told]:
    """A host in training and what it tells; keywords are those of `TrainingConfig`."""

    def build(seed: int = 0, taps: Taps = NO_TAPS, **settings: Any) -> Told:
        told = Told(None)
        config = TrainingConfig(**({"batches_per_step": 2} | settings))
        told.subject = CapsuleHost(TASKS["spirals"](), config, seed, torch.device("cpu"), taps, told.events.append)
        return told

    return build


@pytest.fixture
def make_env() -> Callable[..., Told]:
    """An environment and what it tells; keywords are those of `EnvConfig`."""

    def build(seed: int = 0, taps: Taps = NO_TAPS, **settings: Any) -> Told:
        told = Told(None)
        config = EnvConfig(**({"episode_steps": 8, "training": TrainingConfig(batches_per_step=2)} | settings))
        told.subject = GrowthEnv(TASKS["spirals"](), config, seed, taps=taps, emit=told.events.append)
        return told

    return build
