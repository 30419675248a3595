"""What a run on any task promises, whatever its host and its data."""

from pathlib import Path

import pytest
import torch

from tolaria.env.config import TrainingConfig
from tolaria.errors import ConfigError
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend
from tolaria.seams import WEIGHTS_UPDATED, Seam, T
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.history import History
from tolaria.train.config import Move, TrainConfig
from tolaria.train.trainer import Trainer

OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0)


def config_for(task: str) -> TrainConfig:
    """One host with a gated seed that is half blended in the middle of the run."""
    blueprint = next(name for name, blueprint in BLUEPRINTS.items() if blueprint.family == TASKS[task]().family)
    actions = (Action(Op.GERMINATE, "s0", blueprint, Blend.GATE, tempo=3), Action(Op.ADVANCE, "s0"), Action(Op.ADVANCE, "s0"))
    script = tuple(Move(step, None, action) for step, action in enumerate(actions))
    training = TrainingConfig(batches_per_step=1)
    return TrainConfig(task=task, policy="scripted", envs=1, steps=6, script=script, gates=OPEN, training=training)


@pytest.mark.parametrize("task", TASKS)
def test_a_run_that_was_halted_and_resumed_ends_in_the_same_bytes(task: str, tmp_path: Path) -> None:
    whole = Trainer.start(config_for(task), tmp_path / "whole")
    assert whole.train()
    whole.close()
    halted = Trainer.start(config_for(task), tmp_path / "halted")
    polls = iter([False] * 4 + [True])
    assert not halted.train(lambda: next(polls))
    halted.close()
    resumed, remarks = Trainer.resume(tmp_path / "halted")
    assert resumed.train()
    resumed.close()
    assert remarks == []
    assert (tmp_path / "halted" / "events.jsonl").read_bytes() == (tmp_path / "whole" / "events.jsonl").read_bytes()


class Strike:
    """A NaN in the first weight of the host, in one step."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is WEIGHTS_UPDATED and at.step == 4:
            with torch.no_grad():
                next(value.host.parameters()).view(-1)[0] = torch.nan
        return value


@pytest.mark.parametrize("task", TASKS)
def test_a_struck_run_is_rolled_back_and_ends_finite(task: str) -> None:
    history = History()
    trainer = Trainer.tapped(config_for(task), history, Strike())
    assert trainer.train()
    assert [event.at.step for event in history.events if isinstance(event, RolledBack)] == [4]
    ended = trainer.run.envs.envs[0].training.all_tensors()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in ended.values() if tensor.is_floating_point())


def test_nothing_is_written_for_a_run_whose_data_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data_batch_1"):
        Trainer.start(TrainConfig(task="cifar10", data=str(tmp_path / "nowhere")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
