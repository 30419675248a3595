"""A cell as its recording needs it."""

from dataclasses import replace

from firedrill.oracles.frugal import Frugal
from firedrill.oracles.oracle import Oracle
from firedrill.oracles.twin import Twin
from firedrill.scenario.cell import Cell
from firedrill.scenario.scenario import Scenario
from firedrill.scenario.subject import UNGUARDED
from firedrill.subjects.loop import Setup
from tolaria.env.config import TrainingConfig
from tolaria.train.config import Move, TrainConfig


def config_of(cell: Cell, governed: bool = True) -> TrainConfig:
    """The configuration of the run that a cell trains."""
    subject = cell.scenario.subject
    governor = subject.governor if governed else replace(subject.governor, enabled=False)
    return TrainConfig(
        task=subject.task,
        policy=subject.policy,
        envs=subject.envs,
        steps=subject.steps,
        seed=cell.seed,
        device=cell.device,
        backend=subject.backend,
        width=subject.width,
        rollout_steps=subject.rollout_steps or subject.steps,
        checkpoint_every=subject.checkpoint_every or TrainConfig().checkpoint_every,
        script=tuple(Move(line.step, line.env, line.action) for line in subject.script),
        training=TrainingConfig(batches_per_step=subject.batches_per_step, optimizer=subject.optimizer, gate=subject.gate),
        gates=subject.gates,
        governor=governor,
    )


def setup_of(cell: Cell, governed: bool = True) -> Setup:
    """A loop as the subject builds it; without `governed` nothing stands in the way of a fault."""
    subject = cell.scenario.subject
    return Setup(
        seed=cell.seed,
        device=cell.device,
        steps=subject.steps,
        mechanism=subject.guard if governed else UNGUARDED,
        task=subject.task,
        optimizer=subject.optimizer,
        amp=subject.amp,
        factory=subject.loop or "",
        governor=subject.governor,
    )


def twin_steps(scenario: Scenario) -> int:
    """How long a twin must walk beside a rolled-back environment; 0 where no oracle asks for one."""
    return max((oracle.steps for oracle in scenario.oracles if isinstance(oracle, Twin)), default=0)


def is_asked(scenario: Scenario, kind: type[Oracle]) -> bool:
    """Whether an oracle of this kind judges the scenario: some need a run of their own, which others would wait for in vain."""
    return any(isinstance(oracle, kind) for oracle in scenario.oracles)


def takes_census(scenario: Scenario) -> bool:
    """Whether what the process holds must be counted, which takes longer than a step."""
    return is_asked(scenario, Frugal)
