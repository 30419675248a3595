"""Other libraries drive our environments, growth among them."""

import gymnasium
import pytest

from tolaria.environments import registered

sb3 = pytest.importorskip("stable_baselines3")
sb3_contrib = pytest.importorskip("sb3_contrib")

GROWTH = {"task": "spirals", "episode_steps": 4, "batches_per_step": 1}
SMALL = {"n_steps": 16, "batch_size": 8, "n_epochs": 1, "device": "cpu", "seed": 0}


def growth() -> gymnasium.Env:
    assert "tolaria/Growth-v0" in registered.NAMES
    return gymnasium.make("tolaria/Growth-v0", **GROWTH)


@pytest.mark.parametrize(
    ("library", "algorithm", "policy"),
    [
        ("stable_baselines3", "PPO", "MlpPolicy"),
        ("sb3_contrib", "MaskablePPO", "MlpPolicy"),
        ("sb3_contrib", "RecurrentPPO", "MlpLstmPolicy"),
    ],
)
def test_other_libraries_learn_to_grow(library: str, algorithm: str, policy: str) -> None:
    made = getattr(pytest.importorskip(library), algorithm)(policy, growth(), **SMALL)
    made.learn(32)
    assert made.num_timesteps == 32
    episodes = [episode["l"] for episode in made.ep_info_buffer]
    assert episodes == [4] * 8


def test_their_masked_agent_only_does_what_is_legal() -> None:
    env = gymnasium.make("tolaria/MaskedCounting-v0")
    agent = sb3_contrib.MaskablePPO("MlpPolicy", env, **SMALL)
    observation, _ = env.reset(seed=0)
    for _ in range(8):
        mask = env.unwrapped.action_masks()
        action, _ = agent.predict(observation, action_masks=mask)
        assert mask[action]
        observation, *_ = env.step(action)


def test_their_checker_accepts_what_we_registered() -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(growth().unwrapped, warn=False, skip_render_check=True)
