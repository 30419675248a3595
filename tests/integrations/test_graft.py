"""A model of Hugging Face, built from a config, grown and governed like any host of our own."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tolaria.env.config import TrainingConfig
from tolaria.errors import ConfigError
from tolaria.host.graft import GraftedHost, graft
from tolaria.host.randomness import seeded
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import Stage
from tolaria.seams import NO_TAPS, WEIGHTS_UPDATED
from tolaria.tasks import TASKS
from tolaria.tasks.pydoc_lm import CONTEXT, pydoc_lm
from tolaria.tasks.task import Split, Task
from tolaria.tasks.text import VOCABULARY
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import History
from tolaria.train.config import Move, TrainConfig
from tolaria.train.trainer import Trainer

transformers = pytest.importorskip("transformers")

AT = ["transformer.h.0.mlp", "transformer.h.1.attn.resid_dropout"]
OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)


def logits_of(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(tokens, use_cache=False).logits
    return logits


def gpt2(seed: int) -> GraftedHost:
    sizes = {"vocab_size": VOCABULARY, "n_positions": CONTEXT, "n_embd": 16, "n_layer": 2, "n_head": 2}
    with seeded(seed):
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, attn_implementation="eager"))
    return graft(model, AT, torch.zeros(2, CONTEXT, dtype=torch.int64), logits_of)


def grown_text() -> Task:
    task = pydoc_lm()
    few = Split(task.validation.inputs[:8], task.validation.targets[:8])
    return replace(task, name="grown_text", validation=few, test=few, batch_size=4, build_host=gpt2)


def raw(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


class Strike:
    """A NaN in one weight of the model, once."""

    def pass_through(self, seam: Any, at: Point, value: Any) -> Any:
        if seam is WEIGHTS_UPDATED and (at.step, at.env, at.batch) == (8, 1, 0):
            with torch.no_grad():
                value.host.module.transformer.h[1].mlp.c_fc.weight[0, 0] = torch.nan
        return value


def test_a_grafted_language_model_grows_and_is_rolled_back_and_its_neighbour_notices_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "grown_text", grown_text)
    moves = ((1, Op.GERMINATE), (2, Op.ADVANCE), (4, Op.ADVANCE))
    script = tuple(Move(step, None, Action(op, "s0", "lora" if op is Op.GERMINATE else "", Blend.GATE, tempo=3)) for step, op in moves)
    training = TrainingConfig(batches_per_step=2)
    config = TrainConfig(task="grown_text", policy="scripted", script=script, envs=2, steps=12, gates=OPEN, training=training)
    histories = History(), History()
    struck, calm = (Trainer.tapped(config, history, taps) for history, taps in zip(histories, (Strike(), NO_TAPS), strict=True))
    assert struck.train()
    assert calm.train()
    assert [(event.at.env, event.at.step) for event in histories[0].events if isinstance(event, RolledBack)] == [(1, 8)]
    ours, theirs = (run.run.envs.envs[0].training.all_tensors() for run in (struck, calm))
    assert raw(ours) == raw(theirs)
    blended = [event for event in histories[1].events if isinstance(event, StageChanged) and event.stage_to is Stage.BLENDING]
    assert [(event.at.env, event.slot) for event in blended] == [(0, "s0"), (1, "s0")]


def test_a_fresh_seed_changes_no_bit_of_the_model() -> None:
    tokens = pydoc_lm().train.inputs[:2]
    host = gpt2(1).eval()
    alone = host(tokens)
    for slot_id in host.slots:
        host.germinate(slot_id, "causal_attention", seed=2, steps=0)
        host.slot(slot_id).state = host.slot(slot_id).state.advanced().advanced()
        assert host.slot(slot_id).state.alpha == 1.0
    assert torch.equal(host(tokens), alone)


def test_a_place_that_gives_several_things_is_named() -> None:
    model = gpt2(1).module
    with pytest.raises(ConfigError, match="one tensor of features"):
        graft(model, ["transformer.h.0.attn"], torch.zeros(2, CONTEXT, dtype=torch.int64), logits_of)
