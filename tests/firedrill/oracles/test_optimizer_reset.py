from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import RollbackObserved, SnapshotObserved, TensorSeen
from firedrill.oracles.optimizer_reset import OptimizerReset
from firedrill.oracles.oracle import Answer, Evidence, of
from tolaria.telemetry.governor_events import RolledBack

Edit = Callable[..., Evidence]


def under(policy: str, evidence: Evidence) -> Evidence:
    """The same histories, declared and announced with another policy."""
    faulted = tuple(replace(event, optimizer_policy=policy) if isinstance(event, RolledBack) else event for event in evidence.faulted)
    return replace(evidence, faulted=faulted, claim=replace(evidence.claim, optimizer_policy=policy))


def saved(evidence: Evidence) -> tuple[TensorSeen, ...]:
    """The tensors of the snapshot that was restored."""
    return of(evidence.faulted, SnapshotObserved)[-1].tensors


def test_reset_fails_where_a_momentum_is_kept(edit: Edit, healed: Evidence) -> None:
    finding = OptimizerReset().judge(edit(RollbackObserved, tensors=saved(healed)))
    assert finding.detail == "env 1 step 5: optimizer/host/head.weight/exp_avg still holds 0.3"


@pytest.mark.parametrize("key", ["exp_avg_sq", "step"])
def test_reset_fails_where_a_scale_is_not_the_snapshots(edit: Edit, healed: Evidence, key: str) -> None:
    tensors = of(healed.faulted, RollbackObserved)[0].tensors
    wrong = tuple(replace(tensor, digest="xx") if tensor.name.endswith(key) else tensor for tensor in tensors)
    finding = OptimizerReset().judge(edit(RollbackObserved, tensors=wrong))
    assert finding.detail == f"env 1 step 5: optimizer/host/head.weight/{key} differs from the snapshot"


def test_reset_fails_where_a_scale_is_lost(edit: Edit, healed: Evidence) -> None:
    finding = OptimizerReset().judge(edit(RollbackObserved, tensors=saved(healed)[:2]))
    assert finding.detail == "env 1 step 5: optimizer/host/head.weight/exp_avg_sq is missing"


def test_reset_allows_a_momentum_that_is_absent(edit: Edit, healed: Evidence) -> None:
    tensors = tuple(tensor for tensor in saved(healed)[:-1] if not tensor.name.endswith("/exp_avg"))
    assert OptimizerReset().judge(edit(RollbackObserved, tensors=tensors)).answer is Answer.PASS


def test_reset_all_fails_where_a_step_counter_is_kept(healed: Evidence) -> None:
    assert "exp_avg_sq still holds 0.2" in OptimizerReset().judge(under("reset_all", healed)).detail


def test_reset_all_passes_where_nothing_is_left(edit: Edit, healed: Evidence) -> None:
    evidence = under("reset_all", edit(RollbackObserved, tensors=saved(healed)[:2]))
    assert OptimizerReset().judge(evidence).answer is Answer.PASS


def test_restore_fails_where_a_momentum_was_zeroed(healed: Evidence) -> None:
    assert OptimizerReset().judge(under("restore", healed)).answer is Answer.FAIL


def test_restore_passes_where_everything_is_the_snapshots(edit: Edit, healed: Evidence) -> None:
    assert OptimizerReset().judge(under("restore", edit(RollbackObserved, tensors=saved(healed)))).answer is Answer.PASS


def test_another_policy_than_the_declared_one_fails(edit: Edit) -> None:
    assert OptimizerReset().judge(edit(RolledBack, optimizer_policy="restore")).key == "policy"


def test_a_seeds_optimizer_need_not_come_back(edit: Edit, healed: Evidence) -> None:
    seed = TensorSeen("optimizer/s0.1/0.weight/exp_avg_sq", "77", 0, 0.4)
    evidence = edit(SnapshotObserved, lambda e: e.snapshot == 1, tensors=(*saved(healed), seed))
    assert OptimizerReset().judge(evidence).answer is Answer.PASS


@pytest.mark.parametrize(("policy", "answer"), [("reset", Answer.FAIL), ("restore", Answer.FAIL)])
def test_a_snapshot_that_was_never_published_says_nothing_of_a_scale(edit: Edit, policy: str, answer: Answer) -> None:
    evidence = under(policy, edit(RollbackObserved, snapshot=7, tensors=()))
    assert OptimizerReset().judge(evidence).answer is answer


def test_reset_all_needs_no_snapshot(edit: Edit) -> None:
    assert OptimizerReset().judge(under("reset_all", edit(RollbackObserved, snapshot=7, tensors=()))).answer is Answer.PASS


def test_rewarm_is_a_reset_of_momentum(edit: Edit, healed: Evidence) -> None:
    assert OptimizerReset().judge(under("rewarm", healed)).answer is Answer.PASS
    kept = under("rewarm", edit(RollbackObserved, tensors=saved(healed)))
    assert OptimizerReset().judge(kept).detail == "env 1 step 5: optimizer/host/head.weight/exp_avg still holds 0.3"


def test_a_seeds_optimizer_must_come_back_with_its_seed(edit: Edit, healed: Evidence) -> None:
    seed = TensorSeen("optimizer/s0.1/0.weight/exp_avg_sq", "77", 0, 0.4)
    evidence = edit(SnapshotObserved, lambda e: e.snapshot == 1, tensors=(*saved(healed), seed))
    finding = OptimizerReset().judge(replace(evidence, claim=replace(evidence.claim, live_seeds="restore")))
    assert finding.detail == "env 1 step 5: optimizer/s0.1/0.weight/exp_avg_sq is missing"


def test_a_policy_without_an_expectation_is_named(healed: Evidence) -> None:
    assert OptimizerReset().judge(under("hope", healed)).detail == "no expectation for the policy hope"
