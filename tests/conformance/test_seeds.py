"""What every seed promises its host: at attachment it changes nothing, and before it is blended it cannot be noticed."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.host.host import Host
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.alpha import Ramp
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import Stage
from tolaria.tasks.task import Task
from tolaria.telemetry.event import Point

NAMES = sorted(BLUEPRINTS)
DTYPES = [torch.float32, torch.bfloat16]
OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)
STEPS = 200

SmallTask = Callable[[str], Task]
Train = Callable[..., CapsuleHost]


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def raw_all(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: raw(tensor) for name, tensor in tensors.items()}


def formats_of(family: str) -> list[torch.memory_format]:
    return [torch.contiguous_format, torch.channels_last] if family == "conv" else [torch.contiguous_format]


def placed(host: Host, x: torch.Tensor, dtype: torch.dtype, memory_format: torch.memory_format) -> tuple[Host, torch.Tensor]:
    host = host.to(dtype)
    if x.dim() == 4:
        host = host.to(memory_format=memory_format)  # type: ignore[call-overload] # torch's overloads miss it
    return host, x.to(dtype, memory_format=memory_format) if x.is_floating_point() else x


def run(host: Host, task: Task, x: torch.Tensor) -> tuple[bytes, dict[str, bytes | None], dict[str, bytes]]:
    """What a pass forward and back comes to: logits, gradients of the host, and the host's own tensors afterwards."""
    host.zero_grad()
    logits = host(x)
    task.loss(logits.float(), task.train.targets[: len(x)]).backward()
    gradients = {name: None if p.grad is None else raw(p.grad) for name, p in host.own_parameters().items()}
    return raw(logits), gradients, {name: raw(tensor) for name, tensor in host.tensors().items() if not name.startswith("slots.")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_attaching_a_seed_changes_no_bit_of_a_pass(name: str, dtype: torch.dtype, training: bool, small_task: SmallTask) -> None:
    task = small_task(BLUEPRINTS[name].family)
    for memory_format in formats_of(task.family):
        for blend in Blend:
            twin, x = placed(task.build_host(1).train(training), task.train.inputs[:8], dtype, memory_format)
            host, _ = placed(task.build_host(1).train(training), x, dtype, memory_format)
            for slot_id in host.slots:
                host.germinate(slot_id, name, seed=2, blend=blend)
            assert run(host, task, x) == run(twin, task, x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_blending_a_fresh_seed_changes_no_bit_of_the_output_at_any_strength(name: str, dtype: torch.dtype, small_task: SmallTask) -> None:
    task = small_task(BLUEPRINTS[name].family)
    for memory_format in formats_of(task.family):
        host, x = placed(task.build_host(1).eval(), task.train.inputs[:8], dtype, memory_format)
        alone = raw(host(x))
        for blend in Blend:
            for alpha in (0.3, 1.0):
                grown, _ = placed(task.build_host(1).eval(), x, dtype, memory_format)
                for slot_id in grown.slots:
                    grown.germinate(slot_id, name, seed=2, blend=blend)
                    grown.slot(slot_id).state = replace(grown.slot(slot_id).state, stage=Stage.HOLDING, ramp=Ramp(alpha, alpha))
                assert raw(grown(x)) == alone


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_seed_that_is_not_finite_is_contained_at_alpha_zero(name: str, value: float, small_task: SmallTask) -> None:
    task = small_task(BLUEPRINTS[name].family)
    for dtype in DTYPES:
        twin, x = placed(task.build_host(1), task.train.inputs[:8], dtype, torch.contiguous_format)
        expected = run(twin, task, x)
        for blend in Blend:
            for stage in (Stage.GERMINATED, Stage.TRAINING, Stage.BLENDING, Stage.HOLDING, Stage.FOSSILIZED):
                host, _ = placed(task.build_host(1), x, dtype, torch.contiguous_format)
                for slot_id in host.slots:
                    host.germinate(slot_id, name, seed=2, blend=blend)
                    slot = host.slot(slot_id)
                    slot.state = replace(slot.state, stage=stage, ramp=Ramp(0.0, 1.0, 5))
                    with torch.no_grad():
                        for tensor in host.seed_tensors(slot_id).values():
                            tensor.fill_(value)
                assert run(host, task, x) == expected


def own_trajectory(host: CapsuleHost) -> dict[str, bytes]:
    """Weights, statistics and optimizer of the host itself."""
    return raw_all({name: tensor for name, tensor in host.all_tensors().items() if "/slots." not in name})


# The cheaper objective takes the same way through the host for every blueprint of a family.
CASES = [*((name, "shadow") for name in NAMES), ("conv_light", "regression"), ("residual_mlp", "regression"), ("lora", "regression")]


@pytest.mark.parametrize(("name", "objective"), CASES)
def test_two_hundred_steps_beside_a_learning_seed_leave_no_trace_in_the_host(name: str, objective: str, train_small: Train) -> None:
    family = BLUEPRINTS[name].family
    blend = list(Blend)[NAMES.index(name) % len(Blend)]
    twin, host = train_small(family), train_small(family, seed_objective=objective)
    assert host.apply(Action(Op.GERMINATE, "s0", name, blend), OPEN, Point(0))
    assert host.apply(Action(Op.ADVANCE, "s0"), OPEN, Point(0))
    fresh = raw_all(host.host.seed_tensors("s0"))
    for step in range(STEPS):
        twin.train(Point(step))
        host.train(Point(step))
    assert host.state("s0").stage is Stage.TRAINING
    assert own_trajectory(host) == own_trajectory(twin)
    learnt = raw_all(host.host.seed_tensors("s0"))
    assert [name for name in fresh if fresh[name] == learnt[name]] == []
