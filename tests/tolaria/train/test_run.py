import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.policy.distribution import GrowthActions
from tolaria.policy.heuristic import HeuristicPolicy
from tolaria.policy.learned import LearnedPolicy
from tolaria.policy.random_policy import RandomPolicy
from tolaria.policy.scripted import ScriptedPolicy
from tolaria.ppo.config import PpoConfig
from tolaria.seams import NO_TAPS
from tolaria.tasks.pydoc_lm import pydoc_lm
from tolaria.telemetry.governor_events import SnapshotTaken
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import RunStarted
from tolaria.train.config import TrainConfig
from tolaria.train.rollout import take_step
from tolaria.train.run import Run, build_task, check_backend, check_workers, choose_device
from tolaria.train.trainer import Trainer

Configure = Callable[..., TrainConfig]


def build(config: TrainConfig) -> Run:
    run = Run(config, torch.device("cpu"), History(), NO_TAPS)
    run.begin()
    return run


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "cpu:x", ""])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="device"):
        choose_device(name)


def test_what_no_pool_can_do_is_refused() -> None:
    for device in ("cuda", "mps"):
        with pytest.raises(ConfigError, match=f"^workers: found 2, expected 1 on {device}"):
            check_workers(2, torch.device(device))
        check_workers(1, torch.device(device))
    with pytest.raises(ConfigError, match=r"^backend: found 'graphs on mps'"):
        check_backend("graphs", torch.device("mps"))
    check_backend("graphs", torch.device("cuda", 1))
    check_backend("stacked", torch.device("cpu"))


def test_auto_is_cuda_where_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("heuristic", HeuristicPolicy), ("ppo", LearnedPolicy), ("random", RandomPolicy), ("scripted", ScriptedPolicy)],
)
def test_the_policy_is_the_one_that_was_asked_for(name: str, kind: type, small_config: Configure) -> None:
    run = build(small_config(name))
    assert type(run.policy) is kind
    assert (run.learner is not None) == (name == "ppo")


def test_a_controller_that_learns_has_the_floor_of_its_config(small_config: Configure) -> None:
    policy = build(replace(small_config("ppo"), ppo=PpoConfig(op_floor=0.02))).policy
    assert isinstance(policy, LearnedPolicy)
    assert isinstance(policy.agent.distribution, GrowthActions)
    assert policy.agent.distribution.op_floor == 0.02


def test_every_host_has_a_snapshot_before_the_first_step(small_config: Configure) -> None:
    run = build(small_config(envs=2))
    taken = [event for event in run.history.events if isinstance(event, SnapshotTaken)]
    assert [(event.at.env, event.at.step, event.reason) for event in taken] == [(0, 0, "begin"), (1, 0, "begin")]


def test_a_run_is_finished_when_its_steps_are_done_or_nobody_is_left(small_config: Configure) -> None:
    run = build(small_config(envs=2, steps=1))
    assert not run.finished
    run.envs.retired = {0, 1}
    assert run.finished
    run.envs.retired = {0}
    take_step(run)
    assert run.finished


@pytest.mark.parametrize("policy", ["heuristic", "ppo", "random", "schedule", "noop", "scripted"])
def test_a_capsule_holds_the_whole_state(policy: str, small_config: Configure) -> None:
    config = small_config(policy, episode_steps=5)
    run = build(config)
    for _ in range(8):
        if run.step == 6:
            run.buffer.finish(dict.fromkeys(range(3), 0.0))
            run.buffer.clear()
            run.buffer.begin(run.policy.recurrent_state())
        take_step(run)
    tensors, facts = run.capsule()
    other = build(config)
    other.restore({name: tensor.clone() for name, tensor in tensors.items()}, json.loads(json.dumps(facts)))
    tensors_again, facts_again = other.capsule()
    # The number of the next event belongs to the history, which is resumed apart.
    assert facts_again | {"next_seq": 0} == json.loads(json.dumps(facts)) | {"next_seq": 0}
    assert tensors_again.keys() == tensors.keys()
    assert all(torch.equal(tensors_again[name], tensor) for name, tensor in tensors.items())


def test_removing_one_environment_leaves_the_others_as_they_were(small_config: Configure) -> None:
    def trained(envs: int) -> Run:
        run = build(small_config("random", envs=envs))
        while not run.finished:
            if run.step == 6:
                run.buffer.clear()
                run.buffer.begin(run.policy.recurrent_state())
            take_step(run)
        return run

    two, three = trained(2), trained(3)
    for env in (0, 1):
        ours, theirs = (run.envs.envs[env].training.all_tensors() for run in (two, three))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert [repr(e) for e in two.history.events if e.at.env == env] == [repr(e) for e in three.history.events if e.at.env == env]


def test_a_task_is_read_from_the_folder_that_the_config_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data_batch_1"):
        build_task(TrainConfig(task="cifar10", data=str(tmp_path)))


def test_a_run_goes_on_with_the_very_text_that_it_began_with(small_config: Configure) -> None:
    run = build(replace(small_config("random"), task="pydoc_lm", envs=1))
    tensors, facts = run.capsule()
    run.restore(tensors, facts)
    with pytest.raises(ConfigError, match="pydoc_lm that the run began with, SHA-256 of-another-python"):
        run.restore(tensors, facts | {"data": "of-another-python"})


def test_a_run_on_text_tells_which_text_it_was(small_config: Configure) -> None:
    history = History()
    Trainer.tapped(replace(small_config("random"), task="pydoc_lm", envs=1), history, NO_TAPS)
    started = history.events[0]
    assert isinstance(started, RunStarted)
    assert dict(started.versions)["data of pydoc_lm"] == pydoc_lm().digest
