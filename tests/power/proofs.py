"""The family of broken governors: under which drill each is seen, with which verdict, and by which oracle.

Each of them is a defect that such a system really had, or one that somebody would sooner or later write.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from power import harnessing, noticing, restoring, snapshotting, telling
from power.patching import Sabotage, always, wrap

from firedrill.runner.verdict import Verdict
from tolaria.env.capsule import CapsuleHost
from tolaria.governor import rollback
from tolaria.governor.detectors.non_finite import NonFinite
from tolaria.policy.learned import LearnedPolicy
from tolaria.telemetry.governor_events import PenaltyDelivered, RolledBack


@dataclass(frozen=True, slots=True)
class Proof:
    """Under this sabotage the cell of the scenario gets the verdict; where an oracle is named, it is one that answers FAIL."""

    sabotage: Sabotage
    scenario: str
    verdict: Verdict
    oracle: str = ""


WRONG = Verdict.WRONG_RECOVERY
PROOFS: Mapping[str, Proof] = {
    "momentum is kept": Proof(restoring.momentum_is_kept, "nan-weight", WRONG, "optimizer_reset"),
    "momentum comes back": Proof(restoring.momentum_comes_back, "penalty", WRONG, "optimizer_reset"),
    "first moments are kept": Proof(restoring.momentum_is_kept, "nan-weight-adam", WRONG, "optimizer_reset"),
    "second moments are forgotten": Proof(restoring.optimizers_are_forgotten, "nan-weight-adam", WRONG, "optimizer_reset"),
    "a policy that restores is not kept": Proof(restoring.optimizers_are_forgotten, "nan-weight-twice", WRONG, "optimizer_reset"),
    "optimizers work on the snapshot": Proof(restoring.optimizers_work_on_the_snapshot, "nan-weight-twice", WRONG, "state_restored"),
    "the same, unchecked": Proof(restoring.optimizers_work_on_the_snapshot_unchecked, "nan-weight-twice", WRONG, "optimizer_reset"),
    "one tensor is skipped": Proof(restoring.one_tensor_is_skipped, "nan-weight", WRONG, "state_restored"),
    "restored in half precision": Proof(restoring.restored_in_half_precision, "nan-weight", WRONG, "state_restored"),
    "nothing is rewound": Proof(restoring.nothing_is_rewound, "nan-weight", WRONG, "state_restored"),
    "counters stay in the future": Proof(lambda patch: always(patch, CapsuleHost, "settle", None), "nan-weight", WRONG, "twin"),
    "the data stream is wound back": Proof(restoring.the_data_stream_is_wound_back, "nan-weight", WRONG, "twin"),
    "a bystander is restored too": Proof(restoring.a_bystander_is_restored_too, "nan-weight", WRONG, "bystanders_untouched"),
    "seeds are not pruned": Proof(restoring.seeds_are_not_pruned, "nan-weight", Verdict.FAIL_STOP),
    "a fossil stays, unchecked": Proof(restoring.topology_is_wrong_and_unchecked, "young-fossil", WRONG, "keys_matched"),
    "pruned by nobody": Proof(restoring.pruned_by_nobody, "nan-weight", WRONG, "lawful"),
    "a cooldown too short": Proof(restoring.cooldown_lasts(3), "nan-weight", WRONG, "lawful"),
    "a cooldown too long": Proof(restoring.cooldown_lasts(7), "nan-weight", WRONG, "lawful"),
    "snapshots alias the host": Proof(snapshotting.snapshots_alias_the_host, "nan-weight", WRONG, "state_restored"),
    "snapshots leave out buffers": Proof(snapshotting.snapshots_leave_out_buffers, "batch-norm-statistics", Verdict.FAIL_STOP),
    "snapshots leave out buffers, unchecked": Proof(
        snapshotting.buffers_are_left_out_unchecked, "batch-norm-statistics", WRONG, "state_restored"
    ),
    "suspicion freezes nothing": Proof(
        snapshotting.suspicion_freezes_nothing, "explosion-on-snapshot-step", Verdict.LOST_WORK, "recovered"
    ),
    "poisoned snapshots are published": Proof(
        snapshotting.poisoned_snapshots_are_published, "nan-weight", Verdict.SILENT_CORRUPTION, "clean"
    ),
    "NaN is noticed late": Proof(noticing.blind(NonFinite), "nan-weight", Verdict.LATE, "detected"),
    "NaN is not noticed": Proof(noticing.blind(*map(type, noticing.EVERY_DETECTOR)), "nan-weight", Verdict.SILENT_CORRUPTION, "detected"),
    "an explosion is not noticed": Proof(
        noticing.blind(*map(type, noticing.EVERY_DETECTOR)), "explosion-on-snapshot-step", Verdict.MISSED, "unharmed"
    ),
    "a lobotomy is not noticed": Proof(noticing.blind(*map(type, noticing.EVERY_DETECTOR)), "lobotomy", Verdict.MISSED, "detected"),
    "NaN is repaired": Proof(noticing.nan_is_repaired, "nan-weight", Verdict.MISSED, "detected"),
    "the budget is ignored": Proof(noticing.the_budget_is_ignored, "nan-weight-persistent", Verdict.LIVELOCK),
    "an ease skips nothing": Proof(noticing.an_ease_skips_nothing, "bad-window", Verdict.FAIL_STOP, "climbed"),
    "an ease says nothing of what it skips": Proof(noticing.an_ease_says_that_it_skipped, "bad-window", WRONG, "twin"),
    "a recovery is not judged": Proof(noticing.a_recovery_is_not_judged, "dead-without-its-seed", Verdict.RECOVERED, "climbed"),
    "a rollback names another rung": Proof(noticing.a_rollback_names_another_rung, "nan-weight", WRONG, "told"),
    "a rollback is told twice": Proof(telling.told(RolledBack, 2), "nan-weight", WRONG, "told"),
    "a rollback is not told": Proof(telling.told(RolledBack, 0), "nan-weight", WRONG, "told"),
    "a prune is not told": Proof(telling.a_prune_is_not_told, "nan-weight", WRONG, "lawful"),
    "the penalty is not told": Proof(telling.told(PenaltyDelivered, 0), "nan-weight", WRONG, "penalized"),
    "the penalty is dropped": Proof(telling.the_penalty_is_dropped, "penalty", WRONG, "penalized"),
    "the penalty is halved": Proof(
        lambda patch: wrap(patch, rollback, "_restore", lambda real, *args: 0.5 * real(*args)), "penalty", WRONG, "penalized"
    ),
    "the causes are let off": Proof(telling.the_causes_are_let_off, "nan-weight", WRONG, "penalized"),
    "the first row is blamed": Proof(telling.the_first_row_is_blamed, "nan-weight", WRONG, "penalized"),
    "a share is paid twice": Proof(telling.a_share_is_paid_twice, "nan-weight", WRONG, "penalized"),
    "the penalty is clipped": Proof(telling.rewards_are_clipped, "penalty", WRONG, "penalized"),
    "the penalty comes twice": Proof(telling.the_penalty_comes_twice, "penalty", WRONG, "penalized"),
    "the aborted decision has a row too": Proof(telling.the_aborted_decision_has_a_row_too, "nan-weight", WRONG, "penalized"),
    "the penalty ends nothing": Proof(telling.the_penalty_ends_nothing, "penalty", WRONG, "penalized"),
    "a rollback leaves a hook behind": Proof(restoring.a_rollback_leaves_a_hook_behind, "nan-weight-four-times", WRONG, "frugal"),
    "memory survives death": Proof(lambda patch: always(patch, LearnedPolicy, "begin_life", None), "penalty", WRONG, "penalized"),
    "values are expected after death": Proof(telling.values_are_expected_after_death, "penalty", WRONG, "penalized"),
    "another loss is judged": Proof(noticing.another_loss_is_judged, "validation-loss", Verdict.MISSED, "detected"),
    "strikes are never enough": Proof(noticing.strikes_are_never_enough, "explosion-on-snapshot-step", Verdict.MISSED, "detected"),
    "NaN poisons the history": Proof(noticing.nan_poisons_the_history, "nan-then-explosion", Verdict.LOST_WORK, "live"),
    "strikes count across rollbacks": Proof(noticing.strikes_count_across_rollbacks, "one-more-bad-step", Verdict.LIVELOCK),
    "a collapse is only told": Proof(noticing.a_collapse_is_only_told, "nan-weight", Verdict.SILENT_CORRUPTION, "told"),
    "the environment is given up": Proof(noticing.the_environment_is_given_up, "nan-weight", Verdict.LOST_WORK, "recovered"),
    "an alarm rings everywhere": Proof(noticing.an_alarm_rings_everywhere, "penalty", Verdict.FALSE_ALARM),
    "an alarm rings without a reason": Proof(noticing.an_alarm_rings_without_a_reason, "nan-weight", Verdict.CONTROL_FAILED, "quiet"),
    "seeds lose their optimizers": Proof(restoring.seeds_lose_their_optimizers, "live-seeds", WRONG, "keys_matched"),
    "parameters are replaced": Proof(restoring.parameters_are_replaced, "nan-weight", WRONG, "keys_matched"),
    "a second rollback is half done": Proof(restoring.a_second_rollback_is_half_done, "nan-weight-twice", WRONG, "idempotent"),
    "the oldest snapshot is restored": Proof(restoring.the_oldest_snapshot_is_restored, "nan-weight", Verdict.RECOVERED, "climbed"),
    "snapshots are torn": Proof(snapshotting.snapshots_are_torn, "nan-weight", WRONG, "state_restored"),
    "bytes are not checked": Proof(snapshotting.bytes_are_not_checked, "rotten-snapshot", WRONG, "state_restored"),
    "candidates are trusted": Proof(snapshotting.candidates_are_trusted, "nan-weight", WRONG, "told"),
    "snapshots of a lost future are kept": Proof(snapshotting.snapshots_of_a_lost_future_are_kept, "nan-weight-twice-apart", WRONG, "told"),
    "the penalty hits the row before": Proof(telling.the_penalty_hits_the_row_before, "penalty", WRONG, "penalized"),
    "the penalty is normalized": Proof(telling.the_penalty_is_normalized, "penalty", WRONG, "penalized"),
    "a death is expected to go on": Proof(telling.a_death_is_expected_to_go_on, "penalty", WRONG, "penalized"),
    "the harness leaves a hook": Proof(harnessing.the_harness_leaves_a_hook, "watched", Verdict.CONTROL_FAILED, "transparent"),
    "the harness touches a weight": Proof(harnessing.the_harness_touches_a_weight, "watched", Verdict.CONTROL_FAILED, "transparent"),
    "every run is another": Proof(harnessing.every_run_is_another, "watched", Verdict.CONTROL_FAILED, "deterministic"),
    "the struck run is another": Proof(harnessing.every_run_is_another, "listener-fails", Verdict.MISSED, "undisturbed"),
    "nothing is learnt any more": Proof(restoring.nothing_is_learnt_any_more, "goes-on-learning", Verdict.LOST_WORK, "reaches"),
    "a fault strikes twice": Proof(harnessing.a_fault_strikes_twice, "watched", Verdict.RECOVERED, "witnessed"),
    "a fault strikes at another seam": Proof(harnessing.a_fault_strikes_at_another_seam, "watched", Verdict.RECOVERED, "witnessed"),
}
