"""A residual network that knows nothing of slots, grown like any host of our own."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.errors import ConfigError
from tolaria.host.graft import GraftedHost, graft
from tolaria.host.randomness import seeded
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.alpha import Ramp
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import Stage
from tolaria.seams import NO_TAPS, WEIGHTS_UPDATED
from tolaria.tasks import TASKS
from tolaria.tasks.digits import digits
from tolaria.tasks.task import Split, Task
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.history import History
from tolaria.train.config import Move, TrainConfig
from tolaria.train.trainer import Trainer

OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)
IMAGES = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels // stride, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Conv2d(channels // stride, channels, 1, stride=stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x), inplace=True)


class ResNet(nn.Module):
    """He et al. 2016, small; with dropout, which our own hosts lack."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.layer1 = nn.Sequential(ResidualBlock(8, 1))
        self.layer2 = nn.Sequential(ResidualBlock(16, 2), ResidualBlock(16, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(16, 10)
        self.unused = nn.Linear(2, 2)
        self.twice = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.layer2(self.layer1(F.relu(self.stem(x))))
        logits: torch.Tensor = self.fc(self.twice(self.dropout(self.twice(self.pool(features).flatten(1)))))
        return logits


class Paired(nn.Module):
    """Its part returns two things."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.LSTM(4, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.part(x)[0][:, -1])
        return logits


def resnet(seed: int = 1) -> GraftedHost:
    with seeded(seed):
        module = ResNet()
    return graft(module, ["layer1", "layer2.0"], IMAGES)


def residual_digits() -> Task:
    task = digits()
    few = Split(task.validation.inputs[:100], task.validation.targets[:100])
    return replace(task, name="residual_digits", validation=few, test=few, batch_size=4, build_host=resnet)


def raw(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def in_training() -> CapsuleHost:
    return CapsuleHost(residual_digits(), TrainingConfig(batches_per_step=1), 3, torch.device("cpu"), NO_TAPS, lambda _: None)


def test_grafting_changes_no_bit_of_the_network() -> None:
    with seeded(1):
        module = ResNet()
    before = raw(module.state_dict())
    alone = module.eval()(IMAGES)
    host = graft(module, ["layer1", "layer2.0"], IMAGES)
    assert raw(module.state_dict()) == before
    assert not module.training
    assert torch.equal(host.eval()(IMAGES), alone)
    assert host.module is module
    assert {name.removeprefix("module.") for name in host.own_parameters()} == dict(module.named_parameters()).keys()


def test_slots_stand_where_they_were_asked_for_with_the_width_that_is_there() -> None:
    host = resnet()
    assert host.family == "conv"
    assert host.places == {"s0": "layer1", "s1": "layer2.0"}
    assert host.channels == {"s0": 8, "s1": 16}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("blend", Blend)
def test_attaching_and_blending_a_fresh_seed_changes_no_bit(training: bool, blend: Blend) -> None:
    twin, host = resnet().train(training), resnet().train(training)
    host.module.dropout.p = twin.module.dropout.p = 0.0
    for slot_id in host.slots:
        host.germinate(slot_id, "conv_light", seed=2, blend=blend)
    assert raw({"": host(IMAGES)}) == raw({"": twin(IMAGES)})
    for slot_id in host.slots:
        host.slot(slot_id).state = replace(host.slot(slot_id).state, stage=Stage.HOLDING, ramp=Ramp(0.7, 0.7))
    assert raw({"": host(IMAGES)}) == raw({"": twin(IMAGES)})


def test_a_blended_seed_is_what_the_rest_of_the_network_sees() -> None:
    host = resnet().eval()
    host.germinate("s0", "conv_small", seed=2)
    slot = host.slot("s0")
    assert slot.seed is not None
    with torch.no_grad():
        for parameter in slot.seed.parameters():
            parameter.fill_(0.1)
    slot.state = replace(slot.state, stage=Stage.HOLDING, ramp=Ramp(1.0, 1.0))
    network = host.module
    features = network.layer1(F.relu(network.stem(IMAGES)))
    expected = network.fc(network.pool(network.layer2(features + slot.seed(features))).flatten(1))
    assert torch.equal(host(IMAGES), expected)
    assert torch.equal(host(IMAGES, without=["s0"]), network(IMAGES))


def test_the_shadow_pass_is_the_truth_at_full_strength_and_touches_nothing() -> None:
    host = resnet()
    host.germinate("s1", "conv_small", seed=2)
    slot = host.slot("s1")
    assert slot.seed is not None
    with torch.no_grad():
        for parameter in slot.seed.parameters():
            parameter.fill_(0.05)
    slot.state = slot.state.advanced()
    host(IMAGES)
    # So that features from the pass in training mode are those of evaluation.
    features = host.eval().module.layer2[0](host.module.layer1(F.relu(host.module.stem(IMAGES)))).detach()
    host.train()
    before = raw(host.tensors()), [module.training for module in host.modules()]
    loss = F.cross_entropy(host.shadow("s1", features), torch.tensor([0, 1, 2, 3]))
    gradients = torch.autograd.grad(loss, list(slot.seed.parameters()))
    assert all(float(gradient.abs().max()) > 0.0 for gradient in gradients)
    assert (raw(host.tensors()), [module.training for module in host.modules()]) == before
    assert torch.is_grad_enabled()
    slot.state = replace(slot.state, stage=Stage.HOLDING, ramp=Ramp(1.0, 1.0))
    assert torch.equal(loss, F.cross_entropy(host.eval()(IMAGES), torch.tensor([0, 1, 2, 3])))


def test_two_hundred_steps_beside_a_seed_leave_no_trace_in_the_network() -> None:
    twin, host = in_training(), in_training()
    assert host.apply(Action(Op.GERMINATE, "s0", "conv_bottleneck", Blend.GATE), OPEN, Point(0))
    assert host.apply(Action(Op.ADVANCE, "s0"), OPEN, Point(0))
    before = raw(host.host.seed_tensors("s0"))
    for step in range(200):
        twin.train(Point(step))
        host.train(Point(step))
    own = {name: tensor for name, tensor in host.all_tensors().items() if "/slots." not in name}
    assert raw(own) == raw(twin.all_tensors())
    assert all(value != before[name] for name, value in raw(host.host.seed_tensors("s0")).items())


def test_dropout_draws_from_the_hosts_own_stream() -> None:
    first, second = in_training(), in_training()
    first.train(Point(0))
    torch.rand(7)
    second.train(Point(0))
    assert raw(first.all_tensors()) == raw(second.all_tensors())


def config(**changes: Any) -> TrainConfig:
    moves = ((2, Op.GERMINATE), (3, Op.ADVANCE), (4, Op.ADVANCE))
    script = tuple(Move(step, None, Action(op, "s1", "conv_light" if op is Op.GERMINATE else "", tempo=3)) for step, op in moves)
    common: dict[str, Any] = {"task": "residual_digits", "policy": "scripted", "script": script, "envs": 2, "steps": 12, "gates": OPEN}
    return TrainConfig(**(common | {"training": TrainingConfig(batches_per_step=2)} | changes))


class Strike:
    """A NaN in one weight of the network, once."""

    def __init__(self, step: int) -> None:
        self.step = step

    def pass_through(self, seam: Any, at: Point, value: Any) -> Any:
        if seam is WEIGHTS_UPDATED and (at.step, at.env, at.batch) == (self.step, 1, 1):
            with torch.no_grad():
                value.host.module.layer2[1].conv1.weight[0, 0, 0, 0] = torch.nan
        return value


def test_a_struck_network_is_rolled_back_and_its_neighbour_notices_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "residual_digits", residual_digits)
    struck, calm = History(), History()
    trainer = Trainer.tapped(config(), struck, Strike(8))
    assert trainer.train()
    other = Trainer.tapped(config(), calm, NO_TAPS)
    assert other.train()
    assert [(event.at.env, event.at.step) for event in struck.events if isinstance(event, RolledBack)] == [(1, 8)]
    ours, theirs = (run.run.envs.envs[0].training.all_tensors() for run in (trainer, other))
    assert raw(ours) == raw(theirs)
    mended = trainer.run.envs.envs[1].training.all_tensors()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in mended.values() if tensor.is_floating_point())


def test_a_resumed_run_ends_in_the_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(TASKS, "residual_digits", residual_digits)
    whole = Trainer.start(config(), tmp_path / "whole")
    assert whole.train()
    whole.close()
    halted = Trainer.start(config(), tmp_path / "halted")
    polls = iter([False] * 6 + [True])
    assert not halted.train(lambda: next(polls))
    halted.close()
    resumed, _ = Trainer.resume(tmp_path / "halted")
    assert resumed.train()
    resumed.close()
    assert (tmp_path / "halted" / "events.jsonl").read_bytes() == (tmp_path / "whole" / "events.jsonl").read_bytes()


Places = list[str]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ([], "at least one name"),
        (["layer1", "layer1"], "each once"),
        (["layer3"], "one of the submodules stem, layer1"),
        ([""], "one of the submodules"),
        (["layer2.0", "layer1"], "the order in which they are run"),
        (["unused"], "run once in a pass, not 0 times"),
        (["twice"], "run once in a pass, not 2 times"),
        (["layer1", "fc"], "all of one kind"),
    ],
)
def test_a_place_that_takes_no_seed_is_named_and_nothing_is_left_behind(at: Places, said: str) -> None:
    module = ResNet()
    with pytest.raises(ConfigError, match=said):
        graft(module, at, IMAGES)
    assert all(not part._forward_hooks for part in module.modules())
    assert all(part.training for part in module.modules())


def test_a_place_without_a_single_tensor_of_features_is_named() -> None:
    with pytest.raises(ConfigError, match="part gives tuple', expected a submodule that returns one tensor"):
        graft(Paired(), ["part"], torch.randn(2, 5, 4))


def test_features_that_are_not_one_row_a_sample_are_refused() -> None:
    turned = nn.Sequential(nn.Linear(4, 4), nn.Flatten(0), nn.Unflatten(0, (2, 4)), nn.Linear(4, 3))
    with pytest.raises(ConfigError, match="with B = 2"):
        graft(turned, ["1"], torch.randn(2, 4))


@pytest.mark.parametrize("answer", [lambda _module, _x: None, lambda module, x: module(x)[:1], lambda module, x: module(x)[:, 0]])
def test_an_answer_that_is_no_logits_is_refused(answer: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"graft\.answer"):
        graft(ResNet(), ["layer1"], IMAGES, answer)


def test_no_hook_outlives_a_pass_that_fails() -> None:
    host = resnet()
    with pytest.raises(RuntimeError):
        host(torch.randn(2, 5, 8, 8))
    assert all(not part._forward_hooks for part in host.modules())


class Mixed(nn.Module):
    """Its parts compute in float32 and in bfloat16; those before the head are run in `mode`."""

    def __init__(self, mode: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        super().__init__()
        self.first = nn.Linear(2, 16)
        self.second = nn.Linear(16, 16, dtype=torch.bfloat16)
        self.head = nn.Linear(16, 3)
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.mode():
            features = self.second(torch.tanh(self.first(x)).bfloat16())
        logits: torch.Tensor = self.head(torch.tanh(features.float()))
        return logits


def mixed(seed: int) -> GraftedHost:
    with seeded(seed):
        module = Mixed()
    return graft(module, ["first", "second"], torch.zeros(2, 2))


def test_a_seed_computes_in_what_its_features_are_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(TASKS, "mixed", lambda: replace(TASKS["spirals"](), name="mixed", build_host=mixed))
    ops = ((1, Op.GERMINATE), (2, Op.ADVANCE), (4, Op.ADVANCE), (6, Op.ADVANCE), (8, Op.FOSSILIZE))
    script = tuple(Move(step, None, Action(op, "s1", "residual_mlp", tempo=1)) for step, op in ops)
    trainer = Trainer.start(config(task="mixed", script=script, envs=1), tmp_path / "run")
    assert trainer.train()
    trainer.close()
    resumed, _ = Trainer.resume(tmp_path / "run")
    ours, theirs = (each.run.envs.envs[0].training for each in (trainer, resumed))
    assert ours.host.slot_states()["s1"].stage is theirs.host.slot_states()["s1"].stage is Stage.FOSSILIZED
    assert {tensor.dtype for tensor in theirs.host.seed_tensors("s1").values()} == {torch.bfloat16}
    assert all(torch.equal(tensor, ours.all_tensors()[name]) for name, tensor in theirs.all_tensors().items())
    resumed.close()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_a_place_to_which_no_gradient_comes_is_named(mode: Callable[[], AbstractContextManager[None]]) -> None:
    with pytest.raises(ConfigError, match="second, to which no gradient of the answer comes"):
        graft(Mixed(mode), ["second"], torch.zeros(2, 2))


@torch.no_grad()
def judged(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = module(x)
    return logits


def test_neither_does_it_through_an_answer_that_holds_it_back() -> None:
    with pytest.raises(ConfigError, match="layer1, to which no gradient of the answer comes"):
        graft(ResNet(), ["layer1"], IMAGES, judged)
    with pytest.raises(ConfigError, match="layer1, to which no gradient of the answer comes"):
        graft(ResNet(), ["layer1"], IMAGES, lambda module, x: module(x).detach())


def test_a_network_without_gradients_of_its_own_takes_seeds_and_keeps_it_so() -> None:
    module = ResNet().requires_grad_(False)
    with torch.no_grad():
        host = graft(module, ["layer1", "layer2.0"], IMAGES)
    assert list(host.slots) == ["s0", "s1"]
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
