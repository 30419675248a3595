"""A host without its seed is compared with what it was right after the rollback."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tolaria.env.training import Trained
from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.recovery import Recovery
from tolaria.governor.verdict import Alarm, Standing
from tolaria.governor.window import LossWindow
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.governor_events import Collapsed, Probe, RolledBack, Suspected
from tolaria.vitals import Outputs, Vitals

World = Any
NewWorld = Callable[..., World]
HEALTHY, SUSPECT, COLLAPSED = Standing.HEALTHY, Standing.SUSPECT, Standing.COLLAPSED
CHANCE = math.log(3)

# The absolute gate is 1.65, and below 0.055 nats there was nothing to lose.
RECOVERY = Recovery(Limits(GovernorConfig(), 1.1, 1.65, 1.1))
VITALS = Vitals(0, 0.8, 0.8, 0.6, 1.0, outputs=Outputs(0.4, 1.05, 0.4))


@pytest.mark.parametrize(("probed", "loss", "threshold"), [(0.8, 2.41, 2.4), (0.2, 1.66, 1.65), (0.8, 2.39, None), (0.2, 1.64, None)])
def test_a_loss_over_both_gates_is_an_alarm_the_second_of_which_is_a_collapse(probed: float, loss: float, threshold: float | None) -> None:
    alarm = RECOVERY.alarm(replace(VITALS, val_loss=loss), Probe(probed, 0.4))
    assert (None if alarm is None else alarm.threshold) == pytest.approx(threshold)
    assert alarm is None or alarm.collapse_at == 2


@pytest.mark.parametrize(("probed", "now", "alarmed"), [(0.4, 0.09, True), (0.4, 0.11, False), (0.054, 0.0, False), (0.056, 0.0, True)])
def test_answers_that_say_a_quarter_of_what_they_said_are_an_alarm(probed: float, now: float, alarmed: bool) -> None:
    vitals = replace(VITALS, outputs=Outputs(now, 1.05, 0.4))
    assert (RECOVERY.alarm(vitals, Probe(0.8, probed)) is not None) is alarmed


def test_a_loss_that_is_no_number_and_answers_that_nobody_saw_are_left_to_others() -> None:
    assert RECOVERY.alarm(replace(VITALS, val_loss=float("nan")), Probe(0.8, 0.4)) is None
    assert RECOVERY.alarm(replace(VITALS, outputs=None), Probe(0.8, 0.4)) is None


def test_what_lies_on_a_border_is_no_alarm() -> None:
    assert RECOVERY.alarm(replace(VITALS, val_loss=1.65), Probe(0.2, 0.4)) is None
    assert RECOVERY.alarm(replace(VITALS, outputs=Outputs(0.1, 1.05, 0.4)), Probe(0.8, 0.4)) is None
    at_chance_one = Recovery(Limits(GovernorConfig(), 1.0, 1.5, 1.0))
    assert at_chance_one.alarm(replace(VITALS, outputs=Outputs(0.0, 1.0, 0.4)), Probe(0.8, 0.05)) is None


def test_an_alarm_says_what_is_and_what_was() -> None:
    loss = RECOVERY.alarm(replace(VITALS, val_loss=2.0), Probe(0.5, 0.4))
    assert loss == Alarm("recovery_failed", 2, 2.0, 1.65, "loss 2 above 1.65, it was 0.5 right after the rollback")
    answers = RECOVERY.alarm(replace(VITALS, outputs=Outputs(0.09, 1.05, 0.4)), Probe(0.8, 0.4))
    assert answers == Alarm("recovery_failed", 2, 0.8, None, "answers say 0.0900 nats of inputs, 0.4000 right after the rollback")


# A real host that recovers.


def standings(world: World, *losses: float) -> list[Standing]:
    return [world.live(loss).standing for loss in losses]


class Broken:
    """A detector that fails."""

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        raise ZeroDivisionError("division by zero")


def leaning(new_world: NewWorld, probe: Probe | None = None) -> World:
    """A host that is good with a blended seed, and has just lost it in a rollback; `probe` is what is measured then."""
    world = new_world(snapshot_every=100, budget=100)
    world.bring("s0", Stage.HOLDING)
    standings(world, *[0.05] * 10)
    if probe is not None:
        world.host.probe = lambda: probe
    world.die()
    return world


def test_a_host_that_lost_a_blended_seed_is_suspected_and_not_judged_for_a_while(new_world: NewWorld) -> None:
    world = leaning(new_world, Probe(2.0, 0.5))
    # An explosion in the first steps of a life, but less than three times what was measured.
    assert standings(world, *[5.0] * 3) == [SUSPECT] * 3
    assert [event.streak for event in world.told(Suspected)] == [0, 0, 0]
    assert standings(world, *[5.0] * 3) == [SUSPECT, SUSPECT, COLLAPSED]


def test_a_host_that_is_far_worse_than_right_after_its_rollback_is_lost(new_world: NewWorld) -> None:
    world = leaning(new_world, Probe(2.0, 0.5))
    assert standings(world, 6.1, 6.1) == [SUSPECT, COLLAPSED]
    collapsed = world.told(Collapsed)[-1]
    assert (collapsed.cause, collapsed.threshold, collapsed.streak) == ("recovery_failed", 6.0, 2)
    assert collapsed.evidence == "loss 6.1 above 6, it was 2 right after the rollback"


def test_the_probe_is_the_restored_host_on_its_validation_data(new_world: NewWorld) -> None:
    world = leaning(new_world)
    measured = world.host.vitals(world.at, Trained(0.0, None), scan=False)
    probe = world.told(RolledBack)[0].remedy.probe
    assert (probe.loss, probe.mutual_information) == (measured.val_loss, measured.outputs.mutual_information)


def test_a_rollback_in_the_midst_of_a_recovery_measures_again(new_world: NewWorld) -> None:
    world = leaning(new_world, Probe(2.0, 0.5))
    world.host.probe = lambda: Probe(1.5, 0.4)
    world.die()
    assert world.told(RolledBack)[-1].remedy.probe == Probe(1.5, 0.4)


def test_a_probe_that_raises_is_none_and_the_rollback_has_happened(new_world: NewWorld) -> None:
    world = new_world()
    world.bring("s0", Stage.HOLDING)

    def probe() -> Probe:
        raise MemoryError("no room")

    world.host.probe = probe
    assert world.die().penalty == -10.0
    assert world.told(RolledBack)[0].remedy.probe is None


def test_nan_stays_immediate_while_a_host_recovers(new_world: NewWorld) -> None:
    world = leaning(new_world)
    assert standings(world, math.nan) == [COLLAPSED]


def test_a_failing_detector_stays_immediate_while_a_host_recovers(new_world: NewWorld) -> None:
    world = leaning(new_world)
    world.governor._jury.detectors["lobotomy"] = Broken()
    assert standings(world, 0.3) == [COLLAPSED]


def test_what_a_host_could_do_with_a_seed_is_no_baseline_for_what_it_can_do_without(new_world: NewWorld) -> None:
    world = leaning(new_world)
    assert standings(world, *[CHANCE] * 10) == [HEALTHY] * 10


def test_a_rollback_that_took_no_blended_seed_grants_no_grace(new_world: NewWorld) -> None:
    world = new_world(snapshot_every=100)
    world.bring("s0", Stage.TRAINING)
    standings(world, *[0.05] * 10)
    world.die()
    assert standings(world, CHANCE) == [COLLAPSED]


def test_a_host_leaned_also_on_a_seed_that_only_the_snapshot_knows(new_world: NewWorld) -> None:
    world = new_world(snapshot_every=1, probation=0)
    world.bring("s0", Stage.HOLDING)
    world.live(0.05)
    world.host.prune("s0", world.at, "decision", "policy")
    world.die()
    assert world.governor.capsule()[1]["grace"] == 3
    assert world.told(RolledBack)[0].remedy.probe is not None
