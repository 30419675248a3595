import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tolaria.env.config import RewardConfig
from tolaria.governor.config import GovernorConfig
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.stage import Stage
from tolaria.policy.policy import Choice
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.learner import UpdatesSkipped
from tolaria.seams import NO_TAPS, ROLLOUT_READY, STEP_BEGUN, Seam, T
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import EnvironmentRetired, PenaltyDelivered, RolledBack
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import EpisodeFinished, GrowthFrozen, RolloutFinished, RunFinished, StepFinished, UpdateFinished
from tolaria.train.config import Move, TrainConfig
from tolaria.train.trainer import Trainer

Configure = Callable[..., TrainConfig]
# A trainer that has finished, and the witness of its rollouts.
Struck = Callable[..., tuple[Trainer, Any]]

# The first and second step, the middle, the last but one and the last of a rollout of 6, and the last of a run of 12.
STEPS = (0, 1, 3, 4, 5, 11)


def of_kind(trainer: Trainer, kind: type[Event], env: int | None = None) -> list[Any]:
    return [event for event in trainer.run.history.events if isinstance(event, kind) and env in {None, event.at.env}]


@pytest.mark.parametrize("step", STEPS)
def test_a_collapse_makes_one_terminal_row_with_the_death_penalty(step: int, small_config: Configure, run_struck: Struck) -> None:
    trainer, witness = run_struck(small_config("ppo"), (step, 1))
    penalized = [(row.step, row.terminated, row.bootstrap) for row in witness.rows(1) if row.penalized]
    assert penalized == [(step, True, 0.0)]
    borne = [(row.step, row.reward if row.penalized else row.share) for row in witness.rows(1) if row.charged]
    assert math.fsum(amount for _, amount in borne) == -10.0
    assert [event.shares for event in of_kind(trainer, PenaltyDelivered)] == [tuple(borne)]
    assert not any(row.charged or row.terminated for env in (0, 2) for row in witness.rows(env))
    assert [(event.at.step, event.amount) for event in of_kind(trainer, PenaltyDelivered)] == [(step, -10.0)]
    assert [len(witness.rows(env)) for env in range(3)] == [12, 12, 12]


@pytest.mark.parametrize("step", STEPS)
def test_nothing_flows_back_across_a_death(step: int, small_config: Configure, run_struck: Struck) -> None:
    _, witness = run_struck(small_config("ppo"), (step, 1))
    rollout, position = divmod(step, 6)
    row = witness.rollouts[rollout][1][position]
    assert witness.advantages[rollout][position, 1].item() == pytest.approx(row.reward - row.record.value)


GROWN = (
    Move(1, None, Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp")),
    Move(2, None, Action(op=Op.ADVANCE, slot="s0")),
    Move(3, None, Action(op=Op.FOSSILIZE, slot="s0")),
)


@pytest.mark.parametrize(
    ("how", "struck", "shares"),
    [
        ("last", 4, ((4, -10.0),)),
        ("split", 4, ((2, -5.0), (4, -5.0))),
        ("cause", 4, ((2, -10.0), (4, 0.0))),
        # In the step of the latest decision, and before there was any.
        ("split", 2, ((2, -10.0),)),
        ("split", 0, ((0, -10.0),)),
        # The rollout with the cause in it is over.
        ("split", 6, ((6, -10.0),)),
    ],
)
def test_the_latest_executed_decision_on_a_pruned_seed_bears_its_share(
    how: str, struck: int, shares: tuple[tuple[int, float], ...], small_config: Configure, run_struck: Struck
) -> None:  # fmt: skip
    # The fossilization of step 3 is refused, so that it is nobody's cause.
    config = small_config("scripted", envs=2, script=GROWN, ppo=PpoConfig(penalty_attribution=how))
    trainer, witness = run_struck(config, (struck, 1))
    (told,) = of_kind(trainer, PenaltyDelivered)
    assert (told.amount, told.shares) == (-10.0, shares)
    assert [(row.step, row.share) for row in witness.rows(1) if row.share] == list(shares[:-1])
    assert [(row.step, row.reward) for row in witness.rows(1) if row.penalized] == list(shares[-1:])


def test_a_later_collapse_has_nothing_to_do_with_decisions_of_an_earlier_life(small_config: Configure, run_struck: Struck) -> None:
    trainer, _ = run_struck(small_config("scripted", envs=1, script=GROWN, rollout_steps=12), (4, 0), (8, 0))
    assert [event.shares for event in of_kind(trainer, PenaltyDelivered)] == [((2, -5.0), (4, -5.0)), ((8, -10.0),)]


def test_after_a_rollback_that_is_no_end_the_segment_goes_on_in_a_new_life(small_config: Configure, run_struck: Struck) -> None:
    config = small_config("ppo", episode_steps=8, ppo=PpoConfig(rollback_transition="continue", penalty_attribution="last"))
    _, witness = run_struck(config, (2, 1), (7, 1))
    rows = witness.rows(1)
    assert [(row.step, row.reward, row.terminated, row.truncated) for row in rows if row.penalized] == [
        (2, -10.0, False, False),
        # In the last step of an episode the time limit is what ends it.
        (7, -10.0, False, True),
    ]
    assert [row.step for row in rows if row.fresh] == [0, 8]
    assert rows[7].bootstrap != 0.0
    assert rows[3].life == rows[2].life + 1
    assert witness.drift < 1e-5


def test_a_retirement_is_the_end_whatever_the_transition(small_config: Configure, run_struck: Struck) -> None:
    config = small_config("ppo", ppo=PpoConfig(rollback_transition="continue"))
    _, witness = run_struck(config, *((step, 1) for step in range(12)))
    assert [row.terminated for row in witness.rows(1)] == [False, False, False, True]


def test_a_controller_that_froze_is_told_once(small_config: Configure) -> None:
    config = small_config("ppo", steps=16, rollout_steps=2)
    trainer = Trainer.tapped(config, History(), NO_TAPS)
    trainer.run.monitor.restore({"rates": [9.0, 9.0, 9.0, 0.0, 0.0, 0.0, 0.0], "deaths": 1, "count": 0, "frozen": False})
    policy = trainer.run.policy
    act = policy.act
    policy.act = lambda views: [Choice(WAIT, choice.record) for choice in act(views)]
    assert trainer.train()
    (frozen,) = of_kind(trainer, GrowthFrozen)
    assert (frozen.at.step, frozen.germinations, frozen.control) == (1, 0.0, 9.0)


@pytest.mark.parametrize("step", STEPS)
def test_the_unroll_of_the_update_finds_every_stored_log_probability(step: int, small_config: Configure, run_struck: Struck) -> None:
    _, witness = run_struck(small_config("ppo", episode_steps=8), (step, 1))
    assert len(witness.rollouts) == 2
    assert witness.drift < 1e-5


def test_a_rollout_goes_on_with_the_state_that_the_last_one_left(small_config: Configure, run_struck: Struck) -> None:
    _, witness = run_struck(small_config("ppo", steps=9, rollout_steps=3))
    fresh = [[rows[0].fresh for rows in rollout] for rollout in witness.rollouts]
    assert fresh == [[True] * 3, [False] * 3, [False] * 3]
    assert witness.drift < 1e-5


@pytest.mark.parametrize("std", [1e-3, 1.0, 100.0])
def test_the_penalty_is_the_same_whatever_the_spread_of_returns(std: float, small_config: Configure, run_struck: Struck) -> None:
    def spread(run: Any) -> None:
        run.buffer.normalizer.restore({"count": 1000, "mean": 0.0, "squares": 1000 * std**2, "returns": {}})

    _, witness = run_struck(small_config("ppo", steps=6), (2, 1), prepare=spread)
    assert witness.rewards[0][2, 1].item() == -10.0
    assert abs(witness.rewards[0][2, 0].item()) < 1.0 / std


@pytest.mark.parametrize("envs", [(0, 2), (0, 1, 2)])
def test_several_may_collapse_in_the_same_step(envs: tuple[int, ...], small_config: Configure, run_struck: Struck) -> None:
    trainer, witness = run_struck(small_config("ppo"), *((3, env) for env in envs))
    assert {env: [row.step for row in witness.rows(env) if row.penalized] for env in range(3)} == {
        env: [3] if env in envs else [] for env in range(3)
    }
    assert [event.at.env for event in of_kind(trainer, RolledBack)] == list(envs)
    assert witness.drift < 1e-5
    assert [update.skipped for update in of_kind(trainer, UpdateFinished)] == ["", ""]


def test_every_episode_is_told_once_whatever_collapses(small_config: Configure, run_struck: Struck) -> None:
    # Environment 1 collapses in a step that ends an episode, environment 2 in the last step of all.
    trainer, _ = run_struck(small_config("ppo", episode_steps=5), (4, 1), (11, 2))
    told = Counter((event.at.env, event.episode) for event in of_kind(trainer, EpisodeFinished))
    assert told == {(env, episode): 1 for env in range(3) for episode in range(3)}


def test_a_collapse_in_the_last_step_of_an_episode_counts_in_this_episode(small_config: Configure, run_struck: Struck) -> None:
    trainer, witness = run_struck(small_config("ppo", episode_steps=5), (4, 1))
    first, second, _ = of_kind(trainer, EpisodeFinished, env=1)
    rows = witness.rows(1)
    assert (first.at.step, first.rollbacks, second.rollbacks) == (4, 1, 0)
    assert first.total_reward == pytest.approx(sum(row.reward + row.share for row in rows[:5]))
    assert first.total_reward < -9.0
    assert [(row.step, row.terminated, row.truncated, row.fresh) for row in rows[4:6]] == [(4, True, False, False), (5, False, False, True)]
    assert rows[4].life < rows[5].life


def test_a_time_limit_is_a_truncation_that_bootstraps(small_config: Configure, run_struck: Struck) -> None:
    _, witness = run_struck(small_config("ppo", episode_steps=4))
    ends = [row for row in witness.rows(0) if row.truncated]
    assert [row.step for row in ends] == [3, 7, 11]
    assert all(row.bootstrap != 0.0 and not row.terminated for row in ends)


@pytest.mark.parametrize("policy", ["heuristic", "random"])
def test_others_notice_nothing_to_the_last_bit(policy: str, small_config: Configure, run_struck: Struck) -> None:
    calm, _ = run_struck(small_config(policy))
    struck, _ = run_struck(small_config(policy), (0, 1), (5, 1))
    for env in (0, 2):
        assert told_of(struck, env) == told_of(calm, env)
        ours, theirs = (trainer.run.envs.envs[env].training.all_tensors() for trainer in (struck, calm))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert told_of(struck, 1) != told_of(calm, 1)


def told_of(trainer: Trainer, env: int) -> list[str]:
    # As text, because NaN equals nothing.
    return [repr(event) for event in trainer.run.history.events if event.at.env == env]


def test_a_host_that_is_lost_reaches_no_observation(small_config: Configure, run_struck: Struck) -> None:
    trainer, witness = run_struck(small_config("ppo", governor=GovernorConfig(enabled=False)), (2, 1))
    assert all(bool(row.record.observation.isfinite().all()) for env in range(3) for row in witness.rows(env))
    assert of_kind(trainer, StepFinished, env=1)[-1].reward is None
    assert len(of_kind(trainer, StepFinished, env=0)) == 12


def test_a_lost_host_without_a_governor_gets_terminal_rows_without_reward(small_config: Configure, run_struck: Struck) -> None:
    config = small_config("ppo", episode_steps=5, governor=GovernorConfig(enabled=False))
    _, witness = run_struck(config, (2, 1))
    rows = [(row.step, row.terminated, row.fresh) for row in witness.rows(1)[:7]]
    assert rows == [
        (0, False, True),
        (1, False, False),
        (2, True, False),
        (3, True, True),
        (4, True, True),
        (5, False, True),
        (6, False, False),
    ]
    assert [row.reward for row in witness.rows(1)[2:5]] == [0.0, 0.0, 0.0]
    assert witness.drift < 1e-5


def test_waits_after_a_rollback_are_not_charged_for_what_the_governor_pruned(small_config: Configure, run_struck: Struck) -> None:
    moves = (Move(0, None, Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp")), Move(1, None, Action(op=Op.ADVANCE, slot="s0")))
    config = small_config("scripted", envs=1, script=moves, reward=RewardConfig(rent=1.0, action_cost=1.0))
    trainer, _ = run_struck(config, (3, 0))
    (pruned,) = [event for event in of_kind(trainer, StageChanged) if event.initiator == "governor"]
    assert pruned.at.step == 3
    steps = of_kind(trainer, StepFinished)
    snapshot = of_kind(trainer, RolledBack)[0].snapshot_step
    assert snapshot == 0
    # Rent and costs of 1.0 would show: the seed is gone, and nobody acted.
    potentials = [math.exp(-step.val_loss / math.log(3)) for step in steps[4:7]]
    assert [step.reward for step in steps[5:7]] == pytest.approx([potentials[1] - potentials[0], potentials[2] - potentials[1]])
    assert abs(steps[4].reward) < 0.1


class SpoiledSeed:
    """NaN in the seed of environment 1 in step 3, where it learns beside its host."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is STEP_BEGUN and (at.step, at.env) == (3, 1):
            slot = value.host.slot("s0")  # type: ignore[attr-defined]  # the seam passes a trainee
            assert slot.state.stage is Stage.TRAINING
            with torch.no_grad():
                next(slot.seed.parameters()).fill_(math.nan)
        return value


def test_a_spoiled_seed_that_is_not_blended_is_pruned_without_a_rollback(small_config: Configure) -> None:
    moves = (Move(0, None, Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp")), Move(1, None, Action(op=Op.ADVANCE, slot="s0")))
    trainer = Trainer.tapped(small_config("scripted", script=moves), History(), SpoiledSeed())
    assert trainer.train()
    assert of_kind(trainer, RolledBack) == of_kind(trainer, PenaltyDelivered) == []
    (pruned,) = [event for event in of_kind(trainer, StageChanged) if event.stage_to is Stage.PRUNED]
    assert (pruned.at.step, pruned.at.env, pruned.initiator) == (3, 1, "environment")
    assert all(math.isfinite(step.val_loss) for step in of_kind(trainer, StepFinished))


def test_marks_of_a_death_do_not_survive_into_the_next_rollout(small_config: Configure, run_struck: Struck) -> None:
    trainer, _ = run_struck(small_config("ppo", steps=18), (5, 1))
    assert [(event.rows, event.penalized_rows) for event in of_kind(trainer, RolloutFinished)] == [(18, 1), (18, 0), (18, 0)]


def test_a_fault_that_stays_retires_its_environment_and_the_others_go_on(small_config: Configure, run_struck: Struck) -> None:
    trainer, witness = run_struck(small_config("ppo"), *((step, 1) for step in range(12)))
    (retired,) = of_kind(trainer, EnvironmentRetired)
    assert (retired.at.env, retired.at.step, retired.rollbacks) == (1, 3, 4)
    assert [len(witness.rows(env)) for env in range(3)] == [12, 4, 12]
    assert all(row.penalized for row in witness.rows(1))
    (finished,) = of_kind(trainer, RunFinished)
    assert [accuracy is None for accuracy in finished.test_accuracies] == [False, True, False]
    assert witness.drift < 1e-5


def test_a_run_whose_environments_are_all_retired_ends(small_config: Configure, run_struck: Struck) -> None:
    trainer, _ = run_struck(small_config("ppo", envs=2), *((step, env) for step in range(12) for env in range(2)))
    assert trainer.run.step == 4
    assert of_kind(trainer, RunFinished)[0].test_accuracies == (None, None)


def test_a_rollout_of_one_row_teaches(small_config: Configure, run_struck: Struck) -> None:
    trainer, witness = run_struck(small_config("ppo", envs=1, steps=4, rollout_steps=1, ppo=PpoConfig(epochs=1)), (2, 0))
    assert [len(rollout[0]) for rollout in witness.rollouts] == [1, 1, 1, 1]
    assert [update.skipped for update in of_kind(trainer, UpdateFinished)] == [""] * 4
    assert all(bool(weight.isfinite().all()) for weight in trainer.run.learner.agent.net.parameters())


class Spoiler:
    """Makes a stored log-probability NaN in every finished rollout."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is ROLLOUT_READY:
            rows = value._rows[1]  # type: ignore[attr-defined]  # the seam passes a buffer
            rows[0] = replace(rows[0], record=replace(rows[0].record, log_prob=math.nan))
        return value


def test_a_skipped_update_is_told_and_the_third_in_a_row_ends_the_run(small_config: Configure) -> None:
    trainer = Trainer.tapped(small_config("ppo", rollout_steps=3), History(), Spoiler())
    before = trainer.run.learner.agent.tensors()
    with pytest.raises(UpdatesSkipped, match="3 updates in a row"):
        trainer.train()
    assert [(update.at.step, update.skipped != "") for update in of_kind(trainer, UpdateFinished)] == [(2, True), (5, True)]
    after = trainer.run.learner.agent.tensors()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items() if name.startswith("net."))


class RaisesAt:
    """Taps under which one environment's step raises."""

    def __init__(self, step: int, env: int, error: type[Exception] = RuntimeError) -> None:
        self.when, self.error = (step, env), error

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam == STEP_BEGUN and (at.step, at.env) == self.when:
            raise self.error("no data")
        return value


def test_an_environment_that_raises_is_retired_and_the_others_reach_the_end(small_config: Configure) -> None:
    trainer = Trainer.tapped(small_config("ppo"), History(), RaisesAt(4, 1))
    assert trainer.train()
    (retired,) = of_kind(trainer, EnvironmentRetired)
    assert (retired.at.step, retired.at.env, retired.reason) == (4, 1, "RuntimeError: no data")
    assert [(event.at.step, event.at.env, event.amount) for event in of_kind(trainer, PenaltyDelivered)] == [(4, 1, -10.0)]
    assert [len(of_kind(trainer, StepFinished, env)) for env in range(3)] == [12, 4, 12]
    assert of_kind(trainer, RunFinished)[0].test_accuracies[1] is None


def test_our_own_mistakes_are_not_the_trouble_of_one_environment(small_config: Configure) -> None:
    with pytest.raises(AssertionError):
        Trainer.tapped(small_config("ppo"), History(), RaisesAt(4, 1, AssertionError)).train()


def test_an_episode_that_was_wound_back_in_its_last_step_is_not_over(small_config: Configure, run_struck: Struck) -> None:
    # Six steps an episode, one snapshot in the first: the collapse of step 5 leads back to before step 0.
    config = small_config(envs=2, episode_steps=6, governor=GovernorConfig(rewind=True, probation=9))
    trainer, _ = run_struck(config, (5, 1))
    assert [event.at.step for event in of_kind(trainer, EpisodeFinished, 0)] == [5, 11]
    assert [event.at.step for event in of_kind(trainer, EpisodeFinished, 1)] == [11]
    assert [(event.snapshot_step, event.life) for event in of_kind(trainer, RolledBack)] == [(0, 1)]


def test_what_a_controller_is_shown_after_a_rewind_is_what_it_was_shown_before(small_config: Configure, run_struck: Struck) -> None:
    config = small_config(envs=1, governor=GovernorConfig(rewind=True, probation=1))
    trainer, _ = run_struck(config, (11, 0))
    course = trainer.run.envs.envs[0].course
    # The snapshot of step 5, trusted in step 6; the one of step 10 was trusted in none.
    assert (course.step, course.last_accepted, [vitals.step for vitals in course.recent]) == (6, True, [1, 2, 3, 4, 5])
