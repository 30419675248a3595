"""Parameters that are known to work, by the name of the environment."""

from dataclasses import replace

from tolaria.policy.config import NetworkConfig
from tolaria.ppo.config import PpoConfig
from tolaria.practice.config import PracticeConfig

# Policy and value apart, two layers of tanh, orthogonal weights: "MlpPolicy" of Stable-Baselines3.
MLP_POLICY = NetworkConfig(widths=(64, 64), activation="tanh", layer_norm=False, memory="none", value_trunk=True, orthogonal=True)
# With forget gates half closed, nothing of a sign is left ten steps later.
LSTM_POLICY = NetworkConfig(widths=(64,), activation="tanh", layer_norm=False, memory_size=64, orthogonal=True, forget_bias=1.0)
# What all of these have in common. The usual loss of the value is twice ours, and the usual updates have no limit of divergence.
USUAL = PpoConfig(value_coef=1.0, target_kl=None, entropy_floor=0.0, entropy_coef=0.0, shuffle=True)
# Where nothing else is known: for agents without memory, and for those with one.
PLAIN = PracticeConfig(envs=8, rollout_steps=128, network=MLP_POLICY, ppo=replace(USUAL, epochs=10, minibatches=16))
REMEMBERING = PracticeConfig(
    envs=16, rollout_steps=64, network=LSTM_POLICY, ppo=replace(USUAL, lr=1e-3, epochs=10, minibatches=4, entropy_coef=0.01)
)  # fmt: skip


def preset(env: str, steps: int, memory: str | None = None) -> PracticeConfig:
    """What is recommended for an environment that is practised for so many steps; `memory` may be chosen against that."""
    config = _recommended(env.partition(":")[2] or env, steps)
    if memory is None or memory == config.network.memory:
        return config
    other = REMEMBERING if memory == "lstm" else PLAIN
    # What is to be learnt stays as it is, and how changes.
    ppo = replace(other.ppo, gamma=config.ppo.gamma, gae_lambda=config.ppo.gae_lambda, normalize_rewards=config.ppo.normalize_rewards)
    return replace(other, ppo=ppo, normalize_observations=config.normalize_observations)


def _recommended(env: str, steps: int) -> PracticeConfig:
    # CartPole and Acrobot from rl-baselines3-zoo, hyperparams/ppo.yml.
    match env.rpartition("-")[0]:
        case "CartPole":
            updates = -(-steps // (8 * 32))
            ppo = replace(
                USUAL, gamma=0.98, gae_lambda=0.8, lr=1e-3, lr_decay_updates=updates, clip_decay_updates=updates, epochs=20,
                normalize_rewards=False,
            )  # fmt: skip
            return PracticeConfig(envs=8, rollout_steps=32, network=MLP_POLICY, ppo=ppo)
        case "Acrobot":
            ppo = replace(USUAL, gae_lambda=0.94, minibatches=64)
            return PracticeConfig(envs=16, rollout_steps=256, normalize_observations=True, network=MLP_POLICY, ppo=ppo)
        case "tolaria/MaskedCounting":
            return replace(PLAIN, ppo=replace(PLAIN.ppo, lr=1e-3, gamma=0.9, normalize_rewards=False))
        case "tolaria/RepeatPrevious":
            ppo = replace(REMEMBERING.ppo, gamma=0.9, gae_lambda=0.9, entropy_coef=0.0)
            return replace(REMEMBERING, rollout_steps=51, ppo=ppo)
        case "tolaria/TMaze":
            return replace(REMEMBERING, ppo=replace(REMEMBERING.ppo, normalize_rewards=False))
        case "tolaria/Growth":
            return REMEMBERING
    return PLAIN
