"""A learning controller that begins as a gardener: it watches the heuristic in episodes of their own, and takes over its decisions."""

from dataclasses import replace

from tolaria.policy.demonstrating import DemonstratingPolicy
from tolaria.policy.heuristic import HeuristicPolicy
from tolaria.policy.learned import LearnedPolicy
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.imitation import discounted, imitate
from tolaria.seams import NO_TAPS
from tolaria.seeding import derive_seed
from tolaria.telemetry.event import Point
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import WarmStarted
from tolaria.train.rollout import take_step
from tolaria.train.run import Run


def warm_start(run: Run) -> None:
    """Train the run's controller on `ppo.warm_start` episodes of the heuristic, with hosts that the run will not meet.

    They are governed like any other; what happens in them is not of this run, so that only what was learnt is told.
    """
    episodes = run.config.ppo.warm_start
    if episodes == 0 or run.learner is None:
        return
    assert isinstance(run.policy, LearnedPolicy), run.config.policy
    length = run.config.episode_length
    seed = derive_seed(run.config.seed, "warm_start")
    ppo = replace(run.config.ppo, minibatches=1)
    config = replace(run.config, policy="heuristic", envs=episodes, steps=length, rollout_steps=length, seed=seed, ppo=ppo)
    watched = Run(config, run.envs.envs[0].training.device, History(), NO_TAPS, run.task)
    policy = run.policy
    state = policy.agent.net.initial_state(episodes)
    watched.policy = DemonstratingPolicy(HeuristicPolicy(config.heuristic), policy.space, state)
    watched.buffer = RolloutBuffer(episodes, length, discounted(run.config.ppo))
    watched.begin()
    while not watched.finished:
        take_step(watched)
    watched.buffer.finish(dict.fromkeys(range(episodes), 0.0))
    found = imitate(policy.agent, watched.buffer, run.config.ppo, run.config.ppo.warm_start_epochs)
    # So that PPO goes on with rewards on the scale that the values were learnt on.
    run.buffer.normalizer.restore({**watched.buffer.normalizer.facts(), "returns": {}})
    run.history.emit(WarmStarted(Point(0), episodes, watched.buffer.num_rows, found.surprise_before, found.surprise, found.likely))
