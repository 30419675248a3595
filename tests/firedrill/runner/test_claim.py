from dataclasses import replace

from firedrill.runner.claim import claim_of
from firedrill.runner.plan import config_of
from firedrill.scenario.cell import Cell
from tolaria.governor.config import GovernorConfig


def test_a_claim_is_measured_by_what_the_run_is_configured_to_be(small: Cell) -> None:
    governor = GovernorConfig(penalty=-3.0, optimizer="restore", live_seeds="restore", rewind=True)
    cell = replace(small, scenario=replace(small.scenario, subject=replace(small.scenario.subject, governor=governor)))
    claim, config = claim_of(cell, 0.5), config_of(cell)
    assert (claim.gamma, claim.gae_lambda) == (config.ppo.gamma, config.ppo.gae_lambda)
    assert (claim.penalty, claim.optimizer_policy, claim.live_seeds, claim.rewind) == (-3.0, "restore", "restore", True)
    assert (claim.envs, claim.steps, claim.struck_envs, claim.declared_strikes) == (2, 8, frozenset({1}), (1,))
    assert claim.fault_kinds == ("tensor.set",)
    assert claim.chance_loss == 0.5
