"""Replayed graphs against the loop, on a device that is only played: the same but for rounding, in whatever order streams are ready."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pools.device import Device, Stream, device
from pools.hosts import STRUCK, Does, Gradients, Played, assert_equal, collapsing, fail, growing, moves, waits

from tolaria.env import graph_pool
from tolaria.env.growth_env import Broken, Outcome
from tolaria.env.vector_env import VectorEnv
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import Stage
from tolaria.seams import BATCH_READY, GRADIENTS_READY, LOSS_READY, NO_TAPS, STEP_BEGUN, WEIGHTS_UPDATED, Batch, Seam
from tolaria.telemetry.event import Point

__all__ = ["device"]

# Of the nine kinds of seeds and the host that grows none: one of each blueprint and of each blend. Two are on one stream.
SOME = (0, 1, 4, 8, 9)
CONV = [("conv_norm", Blend.ADD), ("squeeze_excite", Blend.MULTIPLY), ("depthwise", Blend.GATE), ("conv_bottleneck", Blend.ADD)]
TEXT = [("layer_norm", Blend.ADD), ("lora", Blend.MULTIPLY), ("feedforward_small", Blend.GATE), ("causal_attention", Blend.ADD)]


@pytest.fixture(autouse=True)
def played(device: Device) -> Device:
    return device


def assert_close(graphs: Played, looped: Played) -> None:
    """The same but for rounding: tensors, counters, stages and what the steps came to."""
    for env in looped.only:
        mine, theirs = graphs.tensors(env), looped.tensors(env)
        assert mine.keys() == theirs.keys()
        for name in mine:
            torch.testing.assert_close(mine[name], theirs[name], atol=1e-5, rtol=1e-5, equal_nan=True, msg=f"{env} {name}")
        one, other = graphs.envs.envs[env].training, looped.envs.envs[env].training
        assert one.batches_stepped == other.batches_stepped
        assert one.batches.position == other.batches.position
        assert [state.stage for state in one.host.slot_states().values()] == [state.stage for state in other.host.slot_states().values()]
    for key, outcome in looped.outcomes.items():
        found = graphs.outcomes[key]
        assert isinstance(outcome, Outcome), outcome
        assert isinstance(found, Outcome), found
        assert found.vitals.train_loss == pytest.approx(outcome.vitals.train_loss, abs=1e-5, nan_ok=True)
        assert found.vitals.gradient_norm == pytest.approx(outcome.vitals.gradient_norm, abs=1e-5, nan_ok=True)
        assert found.vitals.val_loss == pytest.approx(outcome.vitals.val_loss, abs=1e-5, nan_ok=True)
        assert found.vitals.gated == outcome.vitals.gated


SETTINGS: dict[str, dict[str, Any]] = {
    "shadow": {},
    "regression": {"seed_objective": "regression"},
    "a tight cap": {"seed_magnitude_max": 0.02},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01, "warmup_batches": 0},
    "no momentum": {"momentum": 0.0, "weight_decay": 0.0},
    "gate": {"gate": True},
    "gate and adam": {"gate": True, "optimizer": "adam", "learning_rate": 0.01},
}


@pytest.mark.parametrize("what", SETTINGS)
def test_hosts_seeds_and_momentum_are_those_of_the_loop(what: str) -> None:
    looped, graphs = (Played(backend, settings=SETTINGS[what], only=SOME) for backend in ("loop", "graphs"))
    assert_close(graphs, looped)
    stages = {state.stage for env in SOME for state in graphs.envs.envs[env].training.host.slot_states().values()}
    assert {Stage.FOSSILIZED, Stage.HOLDING} <= stages


@pytest.mark.parametrize(("task", "kinds"), [("digits", CONV), ("pydoc_lm", TEXT)])
def test_so_are_those_of_other_families(task: str, kinds: list[tuple[str, Blend]]) -> None:
    only = (0, 1, 2, 3)
    settings = {"batches_per_step": 2}
    looped, graphs = (Played(backend, NO_TAPS, settings, only, growing(kinds), task, 9) for backend in ("loop", "graphs"))
    assert_close(graphs, looped)
    assert any(state.stage is Stage.HOLDING for env in only for state in graphs.envs.envs[env].training.host.slot_states().values())


@pytest.mark.parametrize("objective", ["shadow", "regression"])
def test_every_gradient_that_is_shown_is_that_of_the_loop(objective: str) -> None:
    looped, graphs = Gradients(), Gradients()
    settings = {"seed_objective": objective}
    one, other = Played("graphs", graphs, settings), Played("loop", looped, settings)
    assert looped.kept.keys() == graphs.kept.keys()
    for key, found in looped.kept.items():
        assert found.keys() == graphs.kept[key].keys(), key
        for name, gradient in found.items():
            torch.testing.assert_close(graphs.kept[key][name], gradient, atol=1e-5, rtol=1e-5, msg=f"{key} {name}")
    assert sum(any(name.startswith("slots.") for name in found) for found in looped.kept.values()) > len(looped.kept) / 2
    assert_close(one, other)


@pytest.fixture(scope="module")
def calm() -> Played:
    with pytest.MonkeyPatch.context() as patch:
        played = Device()
        played.be_seen(patch)
        return Played("graphs", steps=8, only=SOME)


def test_somebody_listening_changes_no_bit(calm: Played) -> None:
    assert_equal(Played("graphs", Gradients(), steps=8, only=SOME), calm, SOME)


@pytest.mark.parametrize("only", [(4,), (0, 8)])
def test_a_host_has_the_same_bits_whoever_else_is_trained(calm: Played, only: tuple[int, ...]) -> None:
    assert_equal(calm, Played("graphs", only=only, steps=8), only)


@pytest.mark.parametrize("what", STRUCK)
def test_what_strikes_one_host_strikes_it_as_in_the_loop_and_no_other_in_any_bit(what: str, calm: Played) -> None:
    struck, looped = (Played(pool, Does(*STRUCK[what]), only=only, steps=8) for pool, only in (("graphs", SOME), ("loop", (1,))))
    assert_equal(struck, calm, [env for env in SOME if env != 1])
    mine, theirs = struck.tensors(1), looped.tensors(1)
    assert mine.keys() == theirs.keys()
    for name in mine:
        torch.testing.assert_close(mine[name], theirs[name], atol=1e-5, rtol=1e-4, equal_nan=True)
    assert any(not torch.equal(mine[name], tensor) for name, tensor in calm.tensors(1).items())


def lose_a_gradient(trainee: Any) -> Any:
    trainee.host.head.bias.grad = None
    return trainee


def halve(batch: Batch) -> Batch:
    return Batch(batch.inputs[:16], batch.targets[:16], batch.number)


def prune(trainee: Any) -> Any:
    trainee.prune("s1", Point(5, 1), "struck", "fault")
    return trainee


@pytest.mark.parametrize(
    ("seam", "act"), [(GRADIENTS_READY, lose_a_gradient), (BATCH_READY, halve), (WEIGHTS_UPDATED, prune), (GRADIENTS_READY, prune)]
)
def test_what_was_not_captured_is_done_as_the_loop_does_it(seam: Seam[Any], act: Callable[[Any], Any]) -> None:
    struck, looped = (Played(backend, Does(seam, act), only=(1,), steps=8) for backend in ("graphs", "loop"))
    assert_close(struck, looped)


@pytest.mark.parametrize("seam", [STEP_BEGUN, BATCH_READY, LOSS_READY, GRADIENTS_READY, WEIGHTS_UPDATED])
def test_an_environment_that_raises_breaks_and_the_others_go_on(seam: Seam[Any], calm: Played) -> None:
    struck = Played("graphs", Does(seam, fail), only=SOME, steps=8)
    assert struck.outcomes[5, 1] == Broken("OSError: the disk with the data is gone")
    assert_equal(struck, calm, [env for env in SOME if env != 1])


def test_our_own_mistakes_are_not_taken_for_a_broken_environment() -> None:
    def mistaken(value: Any) -> Any:
        raise AssertionError("ours")

    with pytest.raises(AssertionError, match="ours"):
        Played("graphs", Does(LOSS_READY, mistaken), only=(1,), steps=6)


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_isolated_seed_whose_gradient_is_no_number_skips_on_the_device_what_the_loop_skips(gate: bool, optimizer: str) -> None:
    def spoil(step: int, envs: VectorEnv) -> None:
        slot = envs.envs[2].training.host.slot("s0")
        if step == 2:
            # In this very step it begins to learn, and has no momentum yet.
            assert slot.state.stage is Stage.GERMINATED
            # Finite themselves, and not in the seed's own pass.
            with torch.no_grad():
                for parameter in slot.parameters():
                    parameter.fill_(3e38)

    settings = {"gate": gate, "optimizer": optimizer, "learning_rate": 0.01}
    graphs, looped = (Played(backend, settings=settings, only=(2, 9), steps=3, between=spoil) for backend in ("graphs", "loop"))
    assert_close(graphs, looped)
    training = graphs.envs.envs[2].training
    assert all(bool((parameter == 3e38).all()) for parameter in training.host.slot("s0").parameters())
    # A gated batch counts for the warm-up, and one that was skipped does not.
    assert training.batches_stepped["s0.1"] == (3 if gate else 0)


def test_a_seed_that_skips_some_batches_learns_at_the_rates_of_those_that_it_has_stepped() -> None:
    class Spoil:
        """Puts a NaN into the gradient of the isolated seed, in the second batch of a step."""

        def pass_through(self, seam: Seam[Any], at: Point, value: Any) -> Any:
            if seam is GRADIENTS_READY and at.step == 3 and at.batch == 1:
                with torch.no_grad():
                    next(value.host.slot("s0").seed.parameters()).grad.fill_(math.nan)
            return value

    runs = [Played(backend, Spoil(), only=(2,), steps=4, settings={"warmup_batches": 9}) for backend in ("graphs", "loop")]
    assert_close(*runs)
    assert runs[0].envs.envs[2].training.batches_stepped["s0.1"] == 5


def test_learning_rates_are_those_of_the_loop_through_warm_up_cut_and_a_second_warm_up() -> None:
    def slow_down(step: int, envs: VectorEnv) -> None:
        for env in envs.envs:
            if step == 3:
                # Ends in the middle of the step after.
                env.training.rate_cut = env.training.rate_cut.deepened(0.25, env.training.batches_stepped["host"], 5)
            if step == 5:
                env.training.rewarming = dict.fromkeys(env.training.optimizers, 46)

    runs = [Played(backend, only=(0, 4), steps=8, settings={"warmup_batches": 11}, between=slow_down) for backend in ("graphs", "loop")]
    assert_close(*runs)
    assert [env.training.rewarming for env in runs[0].envs.envs] == [env.training.rewarming for env in runs[1].envs.envs]


def test_a_structure_is_captured_once_and_serves_every_host_and_every_episode(played: Device) -> None:
    def begin_again(step: int, envs: VectorEnv) -> None:
        if step == 6:
            for env in envs.envs:
                env.begin_episode()

    def same(step: int, _env: int) -> Action:
        ops = {0: Op.GERMINATE, 1: Op.ADVANCE, 2: Op.ADVANCE}
        return Action(op=ops.get(step % 6, Op.WAIT), slot="s0", blueprint="mlp_norm", tempo=2)

    graphs = Played("graphs", moves=same, between=begin_again, only=(0, 1, 4, 5))
    assert all(isinstance(outcome, Outcome) for outcome in graphs.outcomes.values())
    # Hosts that go through one replica keep what their own seeds were fed.
    assert_close(graphs, looped := Played("loop", moves=same, between=begin_again, only=(0, 1, 4, 5)))
    told = [[played.envs.envs[env].training.state("s0").magnitude for env in (0, 1, 4, 5)] for played in (graphs, looped)]
    assert told[0] == pytest.approx(told[1], abs=1e-5)
    # Two streams have hosts. Nothing grows, a seed is isolated, it is blended: three structures, in three graphs each.
    captures = Counter(stream for call, stream, _ in played.calls if call == "capture")
    assert sorted(captures.values()) == [9, 9]
    # Four hosts, twelve steps of three batches.
    assert sum(call == "replay" for call, *_ in played.calls) == 4 * 12 * 3 * 3
    # Graphs of one stream share their memory, and those of two do not.
    pools = {(stream, pool) for call, stream, pool in played.calls if call in {"capture", "replay"}}
    assert len(pools) == len({stream for stream, _ in pools}) == len({pool for _, pool in pools}) == 2


def test_no_more_structures_are_kept_than_allowed_and_none_is_dropped_that_may_still_run(
    played: Device, monkeypatch: pytest.MonkeyPatch, calm: Played
) -> None:
    monkeypatch.setattr(graph_pool, "KEPT", 1)
    graphs = Played("graphs", steps=8, only=(0, 4))
    assert_equal(graphs, calm, (0, 4))
    (press,) = [press for press in graphs.envs._pool._presses if press._captured]  # type: ignore[attr-defined] - what a pool keeps
    assert len(press._captured) == 1
    # After the first, every structure that is captured takes the place of another one, whose stream is waited for.
    captures = sum(call == "capture" for call, *_ in played.calls) // 3
    assert sum(call == "finish" for call, *_ in played.calls) == captures - 1 > 2


def write_without_waiting(_step: int, envs: VectorEnv) -> None:
    """As a rollback does, which nobody waits for."""
    with torch.no_grad():
        for env in envs.active:
            for parameter in env.training.host.parameters():
                parameter.mul_(1.0)


@pytest.mark.parametrize("decide", [moves, waits])
def test_streams_are_ordered_with_whatever_comes_before_and_after_a_step(played: Device, decide: Callable[[int, int], Action]) -> None:
    with played.watching():
        Played("graphs", moves=decide, steps=5, only=(0, 1, 2, 9), between=write_without_waiting)
    assert played.races == []


@pytest.mark.parametrize("lost", ["fork", "join"])
def test_without_the_waiting_there_are_races(played: Device, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    waits_for = Stream.wait_stream

    def deaf(stream: Stream, other: Stream) -> None:
        if (stream is played.default) is not (lost == "join"):
            waits_for(stream, other)

    monkeypatch.setattr(Stream, "wait_stream", deaf)
    with played.watching():
        Played("graphs", moves=waits, steps=3, only=(0, 1, 2, 9), between=write_without_waiting)
    assert played.races != []


@pytest.mark.parametrize("policy", ["reset", "reset_all", "restore", "rewarm"])
def test_a_rollback_writes_where_no_graph_has_ever_looked_and_training_goes_on_from_it(policy: str) -> None:
    graphs, looped = (Played(backend, only=(1, 2), between=collapsing(policy)) for backend in ("graphs", "loop"))
    assert_close(graphs, looped)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in graphs.tensors(1).values())


def test_a_step_that_asks_the_device_in_the_middle_breaks_its_environment_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = graph_pool.Replica.backward

    def asks(replica: Any) -> None:
        real(replica)
        assert math.isfinite(float(replica.loss))

    monkeypatch.setattr(graph_pool.Replica, "backward", asks)
    graphs = Played("graphs", moves=waits, only=(0, 1), steps=1)
    for env in (0, 1):
        outcome = graphs.outcomes[0, env]
        assert isinstance(outcome, Broken)
        assert "not permitted when stream is capturing" in outcome.reason


def frozen_part(envs: VectorEnv) -> None:
    envs.envs[0].training.host.head.bias.requires_grad_(False)


def double(envs: VectorEnv) -> None:
    training = envs.envs[0].training
    training.host.double()
    data = training.split("train")
    training._splits = {name: type(data)(split.inputs.double(), split.targets) for name, split in training._splits.items()}


def listened_to(envs: VectorEnv) -> None:
    envs.envs[0].training.host.blocks[0].register_forward_hook(lambda _module, _inputs, output: output * 0.5)


@pytest.mark.parametrize("unlike", [frozen_part, double, listened_to])
def test_what_cannot_be_captured_is_trained_as_the_loop_trains_it(played: Device, unlike: Callable[[VectorEnv], None]) -> None:
    def once(step: int, envs: VectorEnv) -> None:
        if step == 0:
            unlike(envs)

    one, other = (Played(backend, moves=waits, only=(0,), steps=2, between=once) for backend in ("graphs", "loop"))
    assert_equal(one, other, (0,))
    assert [call for call, *_ in played.calls if call == "replay"] == []


def test_a_seed_in_a_frozen_host_grows_there_as_well(played: Device) -> None:
    def freeze(step: int, envs: VectorEnv) -> None:
        if step == 0:
            envs.envs[0].training.host.requires_grad_(False)

    graphs, looped = (Played(backend, only=(0,), between=freeze) for backend in ("graphs", "loop"))
    assert all(isinstance(outcome, Outcome) for outcome in graphs.outcomes.values())
    assert_close(graphs, looped)
