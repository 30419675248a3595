"""What the oracles measure a cell by."""

from firedrill.oracles.oracle import Claim
from firedrill.scenario.cell import Cell
from tolaria.ppo.config import PpoConfig


def claim_of(cell: Cell, chance_loss: float) -> Claim:
    """All that the scenario of a cell declares."""
    scenario = cell.scenario
    envs, governor, ppo = scenario.subject.envs, scenario.subject.governor, PpoConfig()
    return Claim(
        envs=envs,
        steps=scenario.subject.steps,
        struck_envs=frozenset(env for planned in scenario.faults for env in planned.at.environments(envs)),
        declared_strikes=tuple(planned.declared_strikes(envs) for planned in scenario.faults),
        fault_kinds=tuple(planned.fault.kind for planned in scenario.faults),
        fault_phases=tuple(planned.at.phase or "" for planned in scenario.faults),
        beside=all(planned.fault.aside for planned in scenario.faults),
        batches_per_step=scenario.subject.batches_per_step,
        penalty=governor.penalty,
        penalty_attribution=ppo.penalty_attribution,
        optimizer_policy=governor.optimizer,
        live_seeds=governor.live_seeds,
        rewind=governor.rewind,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        chance_loss=chance_loss,
        rollbacks_max=scenario.budget.rollbacks,
    )
