"""Parameters that are known to work, by the name of the environment."""

from dataclasses import replace

from tolaria.policy.config import NetworkConfig
from tolaria.ppo.config import PpoConfig
from tolaria.practice.config import PracticeConfig

# Policy and value apart, two layers of tanh, orthogonal weights: "MlpPolicy" of Stable-Baselines3.
MLP_POLICY = NetworkConfig(
    widths=(64, 64), activation="tanh", layer_norm=False, memory="none", value_trunk=True, orthogonal=True
)  # fmt: skip
# What all of these have in common. The usual loss of the value is twice ours, and the usual updates have no limit of divergence.
USUAL = PpoConfig(value_coef=1.0, target_kl=None, entropy_floor=0.0, entropy_coef=0.0, shuffle=True)


def preset(env: str, steps: int) -> PracticeConfig:
    """What is recommended for an environment that is practised for so many steps; for one that is not known, what often works."""
    # Both from rl-baselines3-zoo, hyperparams/ppo.yml.
    if env.startswith("CartPole-"):
        updates = -(-steps // (8 * 32))
        ppo = replace(
            USUAL, gamma=0.98, gae_lambda=0.8, lr=1e-3, lr_decay_updates=updates, clip_decay_updates=updates, epochs=20,
            normalize_rewards=False,
        )  # fmt: skip
        return PracticeConfig(envs=8, rollout_steps=32, network=MLP_POLICY, ppo=ppo)
    if env.startswith("Acrobot-"):
        ppo = replace(USUAL, gae_lambda=0.94, minibatches=64)
        return PracticeConfig(envs=16, rollout_steps=256, normalize_observations=True, network=MLP_POLICY, ppo=ppo)
    return PracticeConfig(envs=8, rollout_steps=128, network=MLP_POLICY, ppo=replace(USUAL, epochs=10, minibatches=16))
