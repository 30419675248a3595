import pytest

from tolaria.practice.presets import PLAIN, preset


def test_cartpole_has_the_parameters_of_the_zoo() -> None:
    config = preset("CartPole-v1", 100_000)
    ppo = config.ppo
    assert (config.envs, config.rollout_steps, config.rows // ppo.minibatches) == (8, 32, 256)
    assert (ppo.gamma, ppo.gae_lambda, ppo.epochs, ppo.entropy_coef, ppo.lr, ppo.clip) == (0.98, 0.8, 20, 0.0, 1e-3, 0.2)
    assert (ppo.lr_at(0), ppo.lr_at(391), ppo.clip_at(391)) == (1e-3, 0.0, 0.0)
    assert (config.network.widths, config.network.activation, config.network.value_trunk) == ((64, 64), "tanh", True)
    assert not config.normalize_observations


def test_acrobot_has_the_parameters_of_the_zoo() -> None:
    config = preset("Acrobot-v1", 100_000)
    assert (config.envs, config.rollout_steps, config.rows // config.ppo.minibatches) == (16, 256, 64)
    assert (config.ppo.gamma, config.ppo.gae_lambda, config.ppo.epochs, config.ppo.entropy_coef) == (0.99, 0.94, 4, 0.0)
    assert (config.ppo.lr_at(0), config.ppo.lr_at(23)) == (3e-4, 3e-4)
    assert config.normalize_observations
    assert config.ppo.normalize_rewards


@pytest.mark.parametrize("env", ["tolaria/TMaze-v0", "tolaria.environments.registered:tolaria/TMaze-v0"])
def test_what_needs_a_memory_gets_one_unless_it_is_said_otherwise(env: str) -> None:
    assert preset(env, 1).network.remembers
    forgetful = preset(env, 1, "none")
    assert not forgetful.network.remembers
    assert forgetful.ppo.gamma == preset(env, 1).ppo.gamma


def test_a_memory_that_is_chosen_against_it_leaves_what_is_to_be_learnt_as_it_was() -> None:
    forgetful = preset("tolaria/RepeatPrevious-v0", 1, "none")
    assert (forgetful.network, forgetful.rollout_steps, forgetful.ppo.lr) == (PLAIN.network, 128, 3e-4)
    assert (forgetful.ppo.gamma, forgetful.ppo.gae_lambda, forgetful.ppo.normalize_rewards) == (0.9, 0.9, True)
    assert not preset("tolaria/MaskedCounting-v0", 1, "lstm").ppo.normalize_rewards


def test_what_is_not_known_begins_with_what_often_works() -> None:
    assert preset("MountainCar-v0", 1) is PLAIN
    assert preset("MountainCar-v0", 1, "lstm").network.remembers
