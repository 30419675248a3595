"""Judging reads, remembering writes; the counts of causes do not mix."""

import json
from dataclasses import replace

import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.jury import Jury
from tolaria.governor.verdict import Standing
from tolaria.telemetry.governor_events import Probe
from tolaria.vitals import Outputs, Vitals

GOOD = Vitals(0, 0.3, 0.3, 0.9, 1.0, outputs=Outputs(0.9, 1.05, 0.36))


def jury(*names: str) -> Jury:
    found = Jury(GovernorConfig(detectors=("non_finite", *names)), Limits(GovernorConfig(), 1.1, 1.65, 1.0))
    for _ in range(12):
        found.remember(found.judge(GOOD), GOOD)
    return found


def standings(judging: Jury, *steps: Vitals) -> list[Standing]:
    told = []
    for vitals in steps:
        verdict = judging.judge(vitals)
        judging.remember(verdict, vitals)
        told.append(verdict.standing)
    return told


def test_judging_twice_gives_the_same_verdict_and_counts_once() -> None:
    judging = jury("loss_explosion")
    bad = replace(GOOD, val_loss=9.0)
    assert [judging.judge(bad).streak for _ in range(3)] == [1, 1, 1]
    assert standings(judging, bad, bad, bad) == [Standing.SUSPECT, Standing.SUSPECT, Standing.COLLAPSED]


def test_a_jury_counts_from_its_first_step_on() -> None:
    judging = Jury(GovernorConfig(), Limits(GovernorConfig(), 1.1, 1.65, 1.0))
    assert judging.judge(replace(GOOD, val_loss=9.0)).streak == 1


def test_a_warning_waits_for_three_in_a_row_before_it_suspects() -> None:
    judging = jury("loss_outlier")
    odd = replace(GOOD, val_loss=0.9)
    assert standings(judging, odd, odd, odd, GOOD) == [Standing.HEALTHY, Standing.HEALTHY, Standing.SUSPECT, Standing.HEALTHY]


def test_a_shock_of_one_step_is_no_collapse() -> None:
    judging = jury("mutual_information", "accuracy_drop", "skill_lost")
    shock = replace(GOOD, val_loss=0.95, val_accuracy=0.2, outputs=Outputs(0.01, 1.0, 0.9))
    assert standings(judging, shock, GOOD, shock, shock) == [Standing.HEALTHY] * 3 + [Standing.COLLAPSED]


@pytest.mark.parametrize("detector", ["accuracy_drop", "skill_lost"])
def test_a_shock_of_two_steps_in_loss_or_accuracy_is_suspected_and_one_of_three_a_collapse(detector: str) -> None:
    judging = jury(detector)
    # Nobody looked at its answers, which could contradict the loss.
    shock = replace(GOOD, val_loss=0.95, val_accuracy=0.5, outputs=None)
    assert standings(judging, shock, shock, GOOD) == [Standing.HEALTHY, Standing.SUSPECT, Standing.HEALTHY]
    assert standings(judging, shock, shock, shock) == [Standing.HEALTHY, Standing.SUSPECT, Standing.COLLAPSED]


def test_while_a_host_recovers_nothing_is_counted_and_only_the_incurable_is_a_collapse() -> None:
    judging = jury("loss_explosion")
    assert judging.judge(replace(GOOD, val_loss=9.0), recovering=True).streaks == {"loss_explosion": 0}
    assert judging.judge(replace(GOOD, val_loss=9.0), recovering=True).standing is Standing.SUSPECT
    assert judging.judge(replace(GOOD, nonfinite=("buffers",)), recovering=True).standing is Standing.COLLAPSED


def test_a_jury_goes_on_from_its_facts() -> None:
    first, second = jury("loss_explosion"), jury("loss_explosion")
    bad = replace(GOOD, val_loss=9.0)
    standings(first, bad, bad)
    second.restore(json.loads(json.dumps(first.facts())))
    assert second.judge(bad).standing is Standing.COLLAPSED


def recovering(probe: Probe | None) -> Jury:
    judging = jury("early_explosion")
    judging.rolled_back(leaned=True, probe=probe)
    return judging


def dead(judging: Jury) -> list[Standing]:
    lost = replace(GOOD, outputs=Outputs(0.0, 1.05, 0.4))
    return standings(judging, lost, lost)


def test_a_recovery_is_judged_by_its_probe_until_the_window_is_rich_again() -> None:
    judging = recovering(Probe(0.4, 0.8))
    assert standings(judging, *[GOOD] * 9) == [Standing.HEALTHY] * 9
    assert dead(judging) == [Standing.SUSPECT, Standing.COLLAPSED]
    assert standings(judging, GOOD) == [Standing.HEALTHY]
    assert not judging.relies_on_probe
    assert dead(judging) == [Standing.HEALTHY] * 2


def test_the_probe_is_asked_also_while_nothing_else_is_counted() -> None:
    judging = recovering(Probe(0.4, 0.8))
    worse = replace(GOOD, val_loss=9.0)
    first = judging.judge(worse, recovering=True)
    assert (first.standing, first.alarm and first.alarm.cause, first.streak) == (Standing.SUSPECT, "recovery_failed", 1)
    judging.remember(first, worse)
    assert judging.judge(worse, recovering=True).standing is Standing.COLLAPSED


def test_a_probe_is_of_one_host_and_of_one_rollback() -> None:
    judging = recovering(Probe(0.4, 0.8))
    judging.rolled_back(leaned=False, probe=None)
    assert not judging.relies_on_probe
    judging = recovering(Probe(0.4, 0.8))
    judging.begin()
    assert not judging.relies_on_probe


def test_a_probe_comes_through_a_checkpoint() -> None:
    judging, again = recovering(Probe(0.4, 0.8)), jury("early_explosion")
    again.restore(json.loads(json.dumps(judging.facts())))
    assert again.facts() == judging.facts()
    assert dead(again) == [Standing.SUSPECT, Standing.COLLAPSED]


def test_a_recovery_that_cannot_be_judged_is_a_collapse_and_no_crash() -> None:
    judging = recovering(Probe(0.4, 0.8))
    verdict = judging.judge(replace(GOOD, val_loss="much"), recovering=True)  # type: ignore[arg-type]  # what makes a comparison raise
    assert verdict.standing is Standing.COLLAPSED
    assert verdict.alarm is not None
    assert (verdict.alarm.cause, verdict.alarm.evidence[:27]) == ("detector_failed", "recovery_failed: TypeError:")


def test_a_new_host_is_judged_by_a_jury_that_knows_nothing() -> None:
    judging = jury("loss_explosion")
    standings(judging, replace(GOOD, val_loss=9.0))
    judging.begin()
    assert judging.facts() == {"window": {"clean": [], "recent": [], "best": None}, "streaks": {}, "probe": None}
    assert standings(judging, *[GOOD] * 30) == [Standing.HEALTHY] * 30
    # Of the settings, too: the latest twenty.
    assert len(judging.window.clean.readings) == 20


def test_what_is_immediate_but_curable_waits_while_a_host_recovers() -> None:
    judging = jury("uniform_output")
    uniform = replace(GOOD, outputs=Outputs(0.0, 1.1, 0.4))
    assert judging.judge(uniform, recovering=True).standing is Standing.SUSPECT
    assert judging.judge(uniform).standing is Standing.COLLAPSED


def test_a_collapse_says_how_often_every_cause_came_in_a_row() -> None:
    judging = jury("loss_explosion", "loss_outlier")
    bad = replace(GOOD, val_loss=9.0)
    standings(judging, bad, bad)
    verdict = judging.judge(bad)
    assert (verdict.standing, verdict.streak, verdict.streaks) == (Standing.COLLAPSED, 3, {"loss_explosion": 3, "loss_outlier": 3})


def test_an_anomaly_is_kept_as_one_and_enters_no_statistics() -> None:
    judging = jury("loss_explosion")
    standings(judging, replace(GOOD, val_loss=9.0))
    assert judging.facts()["window"]["recent"][-2:] == [[0.3, True], [9.0, False]]
    assert len(judging.window.clean.readings) == 12


def test_a_warning_that_lasts_for_a_whole_window_is_the_new_level() -> None:
    judging = jury("loss_outlier")
    odd = replace(GOOD, val_loss=0.9)
    # The first two are no suspicion yet, and count as good.
    standings(judging, *[odd] * 19)
    assert len(judging.window.clean.readings) == 14
    assert standings(judging, odd) == [Standing.SUSPECT]
    assert judging.window.clean.readings == ()
    assert standings(judging, odd) == [Standing.HEALTHY]


def test_a_collapse_that_lasts_is_never_the_new_level() -> None:
    judging = jury("loss_explosion")
    standings(judging, *[replace(GOOD, val_loss=9.0)] * 25)
    assert len(judging.window.clean.readings) == 12


def test_after_a_rollback_the_count_begins_anew_and_statistics_stay_unless_a_seed_was_leaned_on() -> None:
    judging = jury("loss_explosion")
    bad = replace(GOOD, val_loss=9.0)
    standings(judging, bad, bad)
    judging.rolled_back(leaned=False, probe=None)
    assert (judging.judge(bad).streak, len(judging.window.clean.readings)) == (1, 12)
    judging.rolled_back(leaned=True, probe=None)
    assert judging.window.clean.readings == ()
