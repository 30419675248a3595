from dataclasses import replace

from firedrill.events import FaultStruck
from firedrill.faults.fault import Fault
from firedrill.faults.tensor_set import TensorSet
from firedrill.faults.when import When
from firedrill.runner.exposure import Exposure, Reply, Topology, exposures_of, topology
from firedrill.scenario.scenario import PlannedFault
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, Suspected
from tolaria.telemetry.growth_events import StageChanged

AT = Point(5, 1)
FAULT: Fault = TensorSet(1.0)
PLANNED = [PlannedFault(0, When(step=5, env=1, phase="weights_updated"), FAULT, None, 1)]
STRUCK = FaultStruck(AT, 0, "tensor.set", "head.weight", 1, "aa", "bb", "nan")


def collapse(step: int, streak: int = 1, env: int = 1) -> Collapsed:
    return Collapsed(Point(step, env), "non_finite", None, None, streak, "")


def moved(step: int, stage_from: Stage, stage_to: Stage, initiator: str = "policy", env: int = 1) -> StageChanged:
    return StageChanged(Point(step, env), "s0", 1, "norm", stage_from, stage_to, "", initiator)


def only(*events: Event) -> Exposure:
    (found,) = exposures_of(events, PLANNED)
    return found


def test_a_fault_is_seen_with_its_phase_and_the_detector_that_answered() -> None:
    assert only(STRUCK, collapse(6)) == Exposure(0, "tensor.set", "weights_updated", Topology.BARE, Reply.AT_ONCE, "non_finite")


def test_several_alarms_in_a_row_are_counted() -> None:
    assert only(STRUCK, Suspected(AT, "loss_explosion", 9.0, 3.0, 1), collapse(6, streak=3)).reply is Reply.COUNTED


def test_a_suspicion_alone_is_less() -> None:
    assert only(STRUCK, Suspected(AT, "loss_explosion", 9.0, 3.0, 1)).reply is Reply.SUSPECTED


def test_the_collapse_of_another_environment_or_before_the_strike_is_no_answer() -> None:
    assert only(collapse(4), STRUCK, collapse(6, env=0)).reply is Reply.SILENT


def test_what_strikes_a_rollback_is_answered_by_the_alarm_for_it() -> None:
    assert only(collapse(5), STRUCK).reply is Reply.AT_ONCE


def test_an_environment_that_raised_was_stopped() -> None:
    assert only(STRUCK, EnvironmentRetired(AT, 0, "raised")).reply is Reply.STOPPED


def test_a_strike_that_changed_nothing_is_none() -> None:
    assert exposures_of([replace(STRUCK, digest_after="aa")], PLANNED) == ()


def test_a_move_by_the_fault_itself_comes_after_what_it_met() -> None:
    grown = moved(3, Stage.BLENDING, Stage.HOLDING)
    assert only(grown, moved(5, Stage.HOLDING, Stage.FOSSILIZED, "fault"), STRUCK).topology is Topology.BLENDED


def test_a_strike_at_the_end_of_the_history_is_put_back_into_its_step() -> None:
    assert only(moved(3, Stage.DORMANT, Stage.GERMINATED), moved(7, Stage.HOLDING, Stage.FOSSILIZED), STRUCK).topology is Topology.GROWING


def test_the_most_delicate_slot_names_the_topology() -> None:
    assert topology({Stage.FOSSILIZED, Stage.HOLDING}) is Topology.BLENDED
    assert topology({Stage.EMBARGOED, Stage.DORMANT}) is Topology.RESTING
    assert topology(set()) is Topology.BARE
