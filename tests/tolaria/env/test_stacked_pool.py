"""A stack against the loop: the same but for rounding, with whatever grows in its hosts, and a lane of it against itself elsewhere."""

import math
from typing import Any

import pytest
import torch
from pools.hosts import ENVS, STRUCK, Does, Gradients, Played, alike, assert_equal, fail, waits

from tolaria.env.growth_env import Broken, Outcome
from tolaria.env.vector_env import VectorEnv
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.stage import Stage
from tolaria.seams import BATCH_READY, GRADIENTS_READY, LOSS_READY, STEP_BEGUN, WEIGHTS_UPDATED, Seam

TRAINED = Stage.TRAINING


@pytest.fixture(scope="module", params=["shadow", "regression"])
def both(request: pytest.FixtureRequest) -> tuple[Played, Played, Gradients, Gradients]:
    looped, stacked = Gradients(), Gradients()
    settings = {"seed_objective": request.param}
    return Played("loop", looped, settings), Played("stacked", stacked, settings), looped, stacked


def test_every_gradient_is_that_of_the_loop(both: tuple[Played, Played, Gradients, Gradients]) -> None:
    _, _, looped, stacked = both
    assert looped.kept.keys() == stacked.kept.keys()
    seeds = 0
    for key, found in looped.kept.items():
        assert found.keys() == stacked.kept[key].keys(), key
        seeds += any(name.startswith("slots.") for name in found)
        for name, gradient in found.items():
            torch.testing.assert_close(stacked.kept[key][name], gradient, atol=1e-5, rtol=1e-5, msg=f"{key} {name}")
    # Most batches of most environments had seeds.
    assert seeds > len(looped.kept) / 2


def test_seeds_of_one_kind_at_many_strengths_have_the_gradients_of_the_loop() -> None:
    looped, stacked = Gradients(), Gradients()
    Played("loop", looped, moves=alike, steps=6)
    played = Played("stacked", stacked, moves=alike, steps=6)
    strengths = {env.training.host.slot_states()["s0"].alpha for env in played.envs.envs}
    assert len(strengths) >= ENVS - 2
    for key, found in looped.kept.items():
        assert found.keys() == stacked.kept[key].keys(), key
        for name, gradient in found.items():
            torch.testing.assert_close(stacked.kept[key][name], gradient, atol=1e-5, rtol=1e-5, msg=f"{key} {name}")


def test_hosts_seeds_and_momentum_are_those_of_the_loop(both: tuple[Played, Played, Gradients, Gradients]) -> None:
    looped, stacked, *_ = both
    for env in range(ENVS):
        mine, theirs = stacked.tensors(env), looped.tensors(env)
        assert mine.keys() == theirs.keys()
        for name in mine:
            torch.testing.assert_close(mine[name], theirs[name], atol=2e-5, rtol=1e-4, msg=f"{env} {name}")
        slots = stacked.envs.envs[env].training.host.slot_states(), looped.envs.envs[env].training.host.slot_states()
        assert [state.stage for state in slots[0].values()] == [state.stage for state in slots[1].values()]
        assert stacked.envs.envs[env].training.batches_stepped == looped.envs.envs[env].training.batches_stepped
    for key, outcome in stacked.outcomes.items():
        other = looped.outcomes[key]
        assert isinstance(outcome, Outcome)
        assert isinstance(other, Outcome)
        assert outcome.vitals.train_loss == pytest.approx(other.vitals.train_loss, abs=1e-5)
        assert outcome.vitals.gradient_norm == pytest.approx(other.vitals.gradient_norm, rel=1e-4)
        assert outcome.vitals.val_loss == pytest.approx(other.vitals.val_loss, abs=1e-5)


@pytest.fixture(scope="module")
def calm() -> Played:
    return Played("stacked")


def test_somebody_listening_changes_no_bit(calm: Played) -> None:
    assert_equal(Played("stacked", Gradients()), calm, range(ENVS))


@pytest.mark.parametrize("only", [(4,), (0, 3, 8, 9)])
def test_a_host_has_the_same_bits_whoever_else_is_trained(calm: Played, only: tuple[int, ...]) -> None:
    assert_equal(calm, Played("stacked", only=only), only)


def test_a_host_does_not_notice_the_seed_that_learns_beside_it() -> None:
    def isolated(step: int, env: int) -> Action:
        ops = {0: Op.GERMINATE, 1: Op.ADVANCE}
        return Action(op=ops.get(step, Op.WAIT), slot="s0", blueprint="residual_mlp") if env < 3 else WAIT

    grown, bare = Played("stacked", moves=isolated), Played("stacked", moves=waits)
    for env in range(3):
        assert grown.envs.envs[env].training.host.slot_states()["s0"].stage is TRAINED
        mine, theirs = grown.tensors(env), bare.tensors(env)
        own = [name for name in theirs if ".slots." not in name]
        assert [name for name in own if not torch.equal(mine[name], theirs[name])] == []


def test_a_seed_whose_gradient_is_no_number_skips_its_step_and_its_neighbours_do_not() -> None:
    def spoil(trainee: Any) -> Any:
        with torch.no_grad():
            next(trainee.host.slot("s0").seed.parameters()).grad.fill_(math.nan)
        return trainee

    # In step 3 the seeds of s0 in even environments learn in isolation.
    struck, calm = Played("stacked", Does(GRADIENTS_READY, spoil, env=2, step=3), steps=4), Played("stacked", steps=4)
    assert struck.envs.envs[2].training.host.slot_states()["s0"].stage is TRAINED
    assert struck.envs.envs[2].training.batches_stepped["s0.1"] == calm.envs.envs[2].training.batches_stepped["s0.1"] - 1
    assert all(bool(torch.isfinite(tensor).all()) for tensor in struck.tensors(2).values())
    assert_equal(struck, calm, [env for env in range(ENVS) if env != 2])


@pytest.mark.parametrize("what", STRUCK)
def test_what_strikes_one_host_strikes_it_as_in_the_loop_and_no_other_in_any_bit(what: str, calm: Played) -> None:
    struck, looped = Played("stacked", Does(*STRUCK[what])), Played("loop", Does(*STRUCK[what]), only=(1,))
    assert_equal(struck, calm, [env for env in range(ENVS) if env != 1])
    mine, theirs = struck.tensors(1), looped.tensors(1)
    assert mine.keys() == theirs.keys()
    for name in mine:
        torch.testing.assert_close(mine[name], theirs[name], atol=1e-4, rtol=1e-3, equal_nan=True)
    assert any(not torch.equal(mine[name], tensor) for name, tensor in calm.tensors(1).items())


@pytest.mark.parametrize("seam", [STEP_BEGUN, BATCH_READY, LOSS_READY, GRADIENTS_READY, WEIGHTS_UPDATED])
def test_an_environment_that_raises_breaks_and_the_others_go_on(seam: Seam[Any], calm: Played) -> None:
    struck = Played("stacked", Does(seam, fail))
    assert struck.outcomes[5, 1] == Broken("OSError: the disk with the data is gone")
    assert_equal(struck, calm, [env for env in range(ENVS) if env != 1])


def test_our_own_mistakes_are_not_taken_for_a_broken_environment() -> None:
    def mistaken(value: Any) -> Any:
        raise AssertionError("ours")

    with pytest.raises(AssertionError, match="ours"):
        Played("stacked", Does(LOSS_READY, mistaken))


@pytest.mark.parametrize(
    ("task", "settings"),
    [("digits", {}), ("spirals", {"optimizer": "adamw", "learning_rate": 0.01}), ("spirals", {"gate": True})],
    ids=["conv", "adamw", "gate"],
)
def test_what_cannot_be_stacked_is_trained_as_the_loop_trains_it(task: str, settings: dict[str, Any]) -> None:
    envs = (0, 1)
    one, other = (Played(backend, settings=settings, task=task, only=envs, moves=waits, steps=3) for backend in ("stacked", "loop"))
    assert_equal(one, other, envs)


def test_a_host_with_a_frozen_part_is_trained_as_the_loop_trains_it() -> None:
    def freeze(step: int, envs: VectorEnv) -> None:
        if step == 0:
            envs.envs[0].training.host.head.bias.requires_grad_(False)

    one, other = (Played(backend, only=(0,), moves=waits, steps=2, between=freeze).tensors(0) for backend in ("stacked", "loop"))
    assert all(torch.equal(one[name], tensor) for name, tensor in other.items())
