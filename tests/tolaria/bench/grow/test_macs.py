import pytest
import torch

from tolaria.bench.grow.macs import Meter
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import EnvConfig, GrowthEnv
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.seams import BATCH_READY, STEP_FINISHED, Batch
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point

OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0)
GERMINATE = Action(op=Op.GERMINATE, slot="s1", blueprint="residual_mlp", tempo=3)
ADVANCE = Action(op=Op.ADVANCE, slot="s1")
# A batch of 32 through 2 x 24, 24 x 24 and 24 x 3.
FORWARD = 32 * (48 + 576 + 72)
# Every weight has a gradient, and every input but the data.
HOST = 2 * FORWARD + 32 * (576 + 72)
# residual_mlp at width 24, from 24 to 48 and back.
SEED = 32 * 2 * 24 * 48
HEAD = 32 * 72


def metered(actions: list[Action], task: str = "spirals", batches: int = 2) -> Meter:
    seen: list[CapsuleHost] = []
    meter = Meter(seen.append)  # type: ignore[arg-type]  # a capsule host is a host in training
    env = GrowthEnv(TASKS[task](), EnvConfig(50, TrainingConfig(batches_per_step=batches), OPEN), 0, taps=meter)
    for step, action in enumerate(actions):
        env.advance(action, Point(step, 0))
        meter.pass_through(STEP_FINISHED, Point(step, 0), env.training)
    meter.close()
    assert len(seen) == len(actions)
    return meter


def test_a_host_alone_costs_its_products_forward_and_backward() -> None:
    assert metered([WAIT, WAIT]).by_step == [2 * HOST, 2 * HOST]


def test_a_seed_is_paid_for_from_when_it_learns_and_for_what_it_needs_to_learn() -> None:
    by_step = metered([GERMINATE, ADVANCE, ADVANCE, WAIT]).by_step
    # A seed that has only germinated multiplies nothing.
    assert by_step[0] == 2 * HOST
    # Beside the host's own batch: the seed and the head behind it, and back through both; its input needs no gradient.
    isolated = (SEED + HEAD) + (SEED + SEED // 2 + HEAD)
    assert by_step[1] == 2 * (HOST + isolated)
    # At an alpha of 0, with which blending begins, the seed is not run; after that it is a part of the host, with a gradient to its input.
    assert by_step[2] == 2 * HOST
    assert by_step[3] == 2 * (HOST + 3 * SEED)


def test_convolutions_and_attention_are_counted() -> None:
    # 32 images of 8x8 through 3x3 convolutions from 1 to 16 channels, and of 4x4 from 16 to 32; pooled, 32 to 10.
    first, second, head = 32 * 64 * 9 * 16, 32 * 16 * 9 * 16 * 32, 32 * 320
    assert metered([WAIT], "digits", batches=1).by_step == [2 * first + 3 * second + 3 * head]
    task = TASKS["pydoc_lm"]()
    host = task.build_host(0)
    linear = sum(module.weight.numel() for module in host.modules() if isinstance(module, torch.nn.Linear))
    tokens = task.batch_size * task.train.inputs.shape[1]
    # Attention comes on top of all linear layers, each of which makes three products of its size.
    assert metered([WAIT], "pydoc_lm", batches=1).by_step[0] > 3 * tokens * linear


def test_what_is_known_is_not_counted_again_and_costs_the_same() -> None:
    meter = metered([WAIT] * 3, batches=3)
    assert meter.by_step == [3 * HOST] * 3
    assert len(meter._known) == 1


def test_counting_changes_no_number() -> None:
    def trained(meter: Meter | None) -> dict[str, torch.Tensor]:
        config = EnvConfig(50, TrainingConfig(batches_per_step=2), OPEN)
        env = GrowthEnv(TASKS["spirals"](), config, 0, **({} if meter is None else {"taps": meter}))  # type: ignore[arg-type]  # taps
        for step, action in enumerate([GERMINATE, ADVANCE, ADVANCE]):
            env.advance(action, Point(step, 0))
        return {name: tensor.clone() for name, tensor in env.training.all_tensors().items()}

    ours, theirs = trained(Meter()), trained(None)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_batch_that_is_broken_off_leaves_nobody_counting() -> None:
    meter = Meter()
    meter.pass_through(BATCH_READY, Point(0, 0, 0), Batch(torch.zeros(1), torch.zeros(1)))
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is not None
    meter.close()
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None
    with pytest.raises(KeyError):
        meter._known[meter._shape]
