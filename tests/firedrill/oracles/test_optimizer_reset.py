from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import FaultStruck, FirstStepSeen, RollbackObserved, SnapshotObserved, TensorSeen
from firedrill.oracles.optimizer_reset import OptimizerReset
from firedrill.oracles.oracle import Answer, Evidence, of
from tolaria.telemetry.event import Point
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


# By hand: 0.1 x (0.2 + 0.01 x 0.5) = 0.0205; Adam in its third step: 0.01 x 0.1/(1 - 0.9^3) x sqrt((1 - 0.999^3)/0.001) = 0.0063881.
SGD = FirstStepSeen(Point(6, 1, 0), "SGD", 0.1, 0.01, (), 0, 0.5, 0.2, 0.0)
ADAM = FirstStepSeen(Point(6, 1, 0), "Adam", 0.01, 0.0, (0.9, 0.999), 3, 0.5, 1e6, 0.0)


@pytest.mark.parametrize(("step", "near", "far"), [(SGD, 0.0205, 0.0206), (ADAM, 0.0063880, 0.0063895)])
def test_a_first_step_goes_no_further_than_its_gradient_explains(add: Edit, step: FirstStepSeen, near: float, far: float) -> None:
    assert OptimizerReset().judge(add(replace(step, displacement=near))).answer is Answer.PASS
    finding = OptimizerReset().judge(add(replace(step, displacement=far)))
    assert (finding.place, finding.key) == ("env 1 step 6", "displacement")


def test_decoupled_decay_adds_to_the_step(add: Edit) -> None:
    # 0.0063881 and 0.01 x 0.2 x 0.5.
    step = replace(ADAM, optimizer="AdamW", decay=0.2)
    assert OptimizerReset().judge(add(replace(step, displacement=0.0073))).answer is Answer.PASS
    assert OptimizerReset().judge(add(replace(step, displacement=0.0075))).answer is Answer.FAIL


def test_a_step_that_is_no_number_goes_too_far(add: Edit) -> None:
    assert OptimizerReset().judge(add(replace(SGD, displacement=float("nan")))).answer is Answer.FAIL


def test_what_a_fault_moves_is_no_step(add: Edit, healed: Evidence) -> None:
    strike = replace(of(healed.faulted, FaultStruck)[0], at=Point(6, 1, 0))
    assert OptimizerReset().judge(add(strike, replace(SGD, displacement=9.0))).answer is Answer.PASS
    elsewhere = replace(strike, at=Point(6, 0, 0))
    assert OptimizerReset().judge(add(elsewhere, replace(SGD, displacement=9.0))).answer is Answer.FAIL


def test_an_optimizer_that_is_restored_may_go_where_its_momentum_leads(add: Edit, healed: Evidence) -> None:
    restored = under("restore", add(replace(SGD, displacement=9.0)))
    tensors = saved(healed)
    both = tuple(replace(event, tensors=tensors) if isinstance(event, RollbackObserved) else event for event in restored.faulted)
    assert OptimizerReset().judge(replace(restored, faulted=both)).answer is Answer.PASS


def test_a_step_that_was_left_out_goes_nowhere(add: Edit) -> None:
    assert OptimizerReset().judge(add(replace(ADAM, count=0.0, displacement=0.0))).answer is Answer.PASS
