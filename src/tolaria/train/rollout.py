"""The main road: what one step is, and what follows a full rollout.

Whoever has read `take_step` knows the system. Judging comes after acting inside the same step, so the row that gets the
death penalty always exists; a collapse in the very first step is no special case.
"""

from tolaria.env.growth_env import Broken, GrowthEnv, Outcome
from tolaria.governor.governor import Response
from tolaria.governor.verdict import Standing
from tolaria.lifecycle.action import Op
from tolaria.policy.policy import Choice
from tolaria.ppo.penalty import Cause
from tolaria.ppo.row import Row
from tolaria.seams import DECIDED, REWARD_READY, ROLLOUT_READY, STEP_FINISHED, VERDICT_READY, VIEW_READY
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import PenaltyDelivered
from tolaria.telemetry.run_events import EpisodeFinished, GrowthFrozen, PolicyRestored, RolloutFinished, UpdateFinished
from tolaria.train.blame import Ablations, ablate, causes_of
from tolaria.train.run import Run, Tally


def take_step(run: Run) -> None:
    """Observe, act, train, judge, enforce, remember: one decision step of every environment."""
    # Observe: views hold nothing that is not finite, so one lost host cannot reach the policy.
    views = [run.taps.pass_through(VIEW_READY, Point(run.step, view.env), view) for view in run.envs.views()]

    # Act: one decision for each environment.
    decided = zip(views, run.policy.act(views), strict=True)
    choices = [run.taps.pass_through(DECIDED, Point(run.step, view.env), choice) for view, choice in decided]

    # Train: every environment executes its decision, trains its batches and takes its vitals.
    outcomes = run.envs.advance(views, [choice.action for choice in choices], run.step)

    for view, choice in zip(views, choices, strict=True):
        env, outcome, governor = run.envs.envs[view.env], outcomes[view.env], run.governors[view.env]
        at, life = Point(run.step, view.env), governor.life

        # Where the controller stands belongs to what a snapshot may record.
        env.note_controller(run.policy.position(view.env))

        # An environment that raised is retired, and the others go on.
        if isinstance(outcome, Broken):
            remember_broken(run, env, choice, governor.retire(at, outcome.reason), life)
            continue

        # Judge: reads only.
        verdict = run.taps.pass_through(VERDICT_READY, at, governor.judge(outcome.vitals, at))

        # Blame: asked while the seeds that may be the cause are still there.
        note_decision(run, env, choice, outcome)
        lost = verdict.standing is Standing.COLLAPSED
        ablations = ablate(env.training, outcome.vitals, env.task.chance_loss) if lost else Ablations()

        # Enforce: a snapshot when healthy and due, a rollback when collapsed; a penalty may be owed.
        response = governor.enforce(verdict, outcome.vitals, env.training, at, outcome.fossilized)

        # Remember: the row of this very step, with the penalty in the place of its reward; the causes of a collapse share it.
        causes = causes_of(run.tallies[view.env].touched, ablations, response.pruned)
        remember(run, env, choice, outcome, response, life, causes)
        run.taps.pass_through(STEP_FINISHED, at, env.training)
    run.step += 1


def note_decision(run: Run, env: GrowthEnv, choice: Choice, outcome: Outcome) -> None:
    """Keep which step last touched a slot, and count germinations."""
    if outcome.accepted and choice.action.op is not Op.WAIT:
        run.tallies[env.env].touched[choice.action.slot] = run.step
        run.monitor.germinated(choice.action.op is Op.GERMINATE)


def remember(
    run: Run, env: GrowthEnv, choice: Choice, outcome: Outcome, response: Response, life: int, causes: tuple[Cause, ...]
) -> None:  # fmt: skip
    """Store the row of an executed step, and begin a new life where this one ended."""
    at = Point(run.step, env.env)
    tally = run.tallies[env.env]
    if response.penalty is not None:
        remember_death(run, env, choice, response, life, causes)
    elif outcome.reward is None:
        # Nobody governs this host, and its loss is no number: the step ends its life without a reward, as in `GrowthEnv.step`.
        run.buffer.remember(env.env, Row(run.step, life, choice.record, 0.0, terminated=True, fresh=tally.fresh))
        run.governors[env.env].end_life()
    else:
        bootstrap = run.policy.values([env.view()])[0] if outcome.truncated else 0.0
        reward = run.taps.pass_through(REWARD_READY, at, outcome.reward)
        row = Row(run.step, life, choice.record, reward, truncated=outcome.truncated, bootstrap=bootstrap, fresh=tally.fresh)
        run.buffer.remember(env.env, row)
        tally.count(reward, died=False)
    # The next row begins a segment exactly where the recurrent state begins anew, also when a rollout ends in between.
    ended = run.buffer.rows(env.env)[-1].ended
    tally.fresh = ended
    if response.retired:
        run.envs.retired.add(env.env)
    elif env.is_over:
        begin_episode(run, env, at)
    if ended:
        run.policy.begin_life(env.env)


def remember_death(run: Run, env: GrowthEnv, choice: Choice, response: Response, life: int, causes: tuple[Cause, ...] = ()) -> None:
    """The row that ends a life: what it bears of the penalty is its reward."""
    assert response.penalty is not None, env.env
    tally = run.tallies[env.env]
    if run.config.ppo.rollback_transition == "terminal" or response.retired:
        row = Row.death(run.step, life, choice.record, response.penalty, tally.fresh)
    else:
        bootstrap = run.policy.values([env.view()])[0] if env.is_over else None
        row = Row.setback(run.step, life, choice.record, response.penalty, tally.fresh, bootstrap)
    charged = run.buffer.charge(env.env, row, causes)
    borne = tuple((share.step, share.amount) for share in charged.shares)
    run.history.emit(PenaltyDelivered(Point(run.step, env.env), charged.amount, len(run.buffer.rows(env.env)) - 1, borne))
    tally.count(charged.amount, died=True)
    tally.touched.clear()
    if run.config.governor.rewind:
        run.policy.rewind(env.env, env.course.controller)
    else:
        env.forget_action()


def remember_broken(run: Run, env: GrowthEnv, choice: Choice, response: Response, life: int) -> None:
    """The last row of an environment that raised in the middle of its step."""
    remember_death(run, env, choice, response, life)
    run.envs.retired.add(env.env)
    run.policy.begin_life(env.env)


def begin_episode(run: Run, env: GrowthEnv, at: Point) -> None:
    """The time limit: tell how the host did, and go on with a new one, which has a snapshot before its first step."""
    tell_episode(run, env, at)
    run.tallies[env.env] = Tally(fresh=True)
    if run.step + 1 >= run.config.steps:
        return
    env.begin_episode()
    env.note_controller(run.policy.position(env.env))
    run.governors[env.env].end_life()
    run.governors[env.env].begin(env.training, at)


def tell_episode(run: Run, env: GrowthEnv, at: Point) -> None:
    """The end of an episode: what each seed was worth, and how the host did."""
    valued = env.training.value_seeds(at)
    if valued is not None:
        run.history.emit(valued)
    run.history.emit(episode_finished(run, env, at))


def episode_finished(run: Run, env: GrowthEnv, at: Point) -> EpisodeFinished:
    """How a host did, on the validation and the test split."""
    tally = run.tallies[env.env]
    training = env.training
    return EpisodeFinished(
        at,
        env.episode,
        env.course.step,
        tally.total_reward,
        tally.rollbacks,
        training.validate("validation")[1],
        training.validate("test")[1],
        training.host.host_parameters() + training.host.seed_parameters(),
    )


def finish_rollout(run: Run) -> None:
    """The horizon: value what was cut off, learn, and begin the next rollout."""
    at = Point(run.step - 1)
    views = run.envs.views()
    run.buffer.finish({view.env: value for view, value in zip(views, run.policy.values(views), strict=True)})
    run.taps.pass_through(ROLLOUT_READY, at, run.buffer)
    run.history.emit(RolloutFinished(at, run.buffer.num_rows, run.buffer.num_penalized))
    frozen = run.monitor.finish_rollout(run.buffer.num_rows, run.buffer.num_penalized)
    if frozen is not None and run.learner is not None:
        run.history.emit(GrowthFrozen(at, frozen.germinations, frozen.control))
    if run.learner is not None:
        report = run.learner.learn(run.buffer)
        run.history.emit(
            UpdateFinished(at, report.policy_loss, report.value_loss, report.entropy, report.kl, report.epochs, report.skipped)
        )
        if report.restored:
            run.history.emit(PolicyRestored(at, report.restored))
    run.buffer.clear()
    run.buffer.begin(run.policy.recurrent_state())
