"""Environment 1 of the good history grew s0: a decision in step 2 touched it last, the rollback of step 5 pruned it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import BufferObserved
from firedrill.oracles.oracle import Answer, Evidence, of
from firedrill.oracles.penalized import Penalized, advantages
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import PenaltyDelivered, RolledBack
from tolaria.telemetry.run_events import StepFinished

Edit = Callable[..., Evidence]
Told = tuple[tuple[int, float], ...]
Decide = Callable[..., Evidence]


def shared(evidence: Evidence, told: Told, seen: Told | None = None, attribution: str = "split") -> Evidence:
    """The evidence with the penalty shared out as `told`, in the rows as `seen`."""
    amounts = dict(told if seen is None else seen)
    faulted: list[Event] = []
    for event in evidence.faulted:
        if isinstance(event, PenaltyDelivered):
            faulted.append(replace(event, shares=told))
        elif isinstance(event, BufferObserved) and event.at == Point(6, 1):
            rows = [
                replace(row, reward=amounts.get(row.step, 0.0), share=0.0 if row.marker else amounts.get(row.step, 0.0))
                for row in event.rows
            ]
            found = advantages(rows, event.gamma, event.gae_lambda)
            faulted.append(replace(event, rows=tuple(replace(row, advantage=each) for row, each in zip(rows, found, strict=True))))
        else:
            faulted.append(event)
    return replace(evidence, faulted=tuple(faulted), claim=replace(evidence.claim, penalty_attribution=attribution))


@pytest.fixture
def decided(healed: Evidence) -> Decide:
    """The good evidence with decisions: step, whether it was executed, and the slot."""

    def build(*decisions: tuple[int, bool, str], pruned: tuple[str, ...] = ("s0",)) -> Evidence:
        said = {step: (accepted, slot) for step, accepted, slot in decisions}
        faulted = [
            replace(event, op="advance", accepted=said[event.at.step][0], slot=said[event.at.step][1])
            if isinstance(event, StepFinished) and event.at.env == 1 and event.at.step in said
            else replace(event, pruned=pruned)
            if isinstance(event, RolledBack)
            else event
            for event in healed.faulted
        ]
        return replace(healed, faulted=tuple(faulted))

    return build


HALF: Told = ((2, -5.0), (5, -5.0))


@pytest.mark.parametrize(("attribution", "told"), [("split", HALF), ("cause", ((2, -10.0), (5, 0.0))), ("last", ((5, -10.0),))])
def test_the_latest_executed_decision_on_the_pruned_seed_is_the_cause(attribution: str, told: Told, decided: Decide) -> None:
    # That of step 3 was refused, and that of step 4 was about another slot.
    evidence = decided((1, True, "s0"), (2, True, "s0"), (3, False, "s0"), (4, True, "s1"))
    finding = Penalized().judge(shared(evidence, told, attribution=attribution))
    assert (finding.answer, finding.detail) == (Answer.PASS, "1 penalties, each delivered once to its own row")


@pytest.mark.parametrize(
    ("told", "seen", "detail"),
    [
        (((5, -10.0),), None, "env 1 step 5: the causes bear 0, not -5"),
        (((1, -5.0), (5, -5.0)), None, "env 1 step 5: step 1 bears -5 and is no cause"),
        (((2, -7.5), (5, -2.5)), None, "env 1 step 5: the causes bear -7.5, not -5"),
        (((2, 5.0), (5, -15.0)), None, "env 1 step 5: somebody is paid for a collapse: {2: 5.0}"),
        (HALF, ((5, -5.0),), "env 1 step 5: rows bear {}, told was ((2, -5.0), (5, -5.0))"),
        (HALF, ((2, -5.0), (5, -10.0)), "env 1 step 5: the reward is -10, not -5"),
        (((2, -5.0), (5, -4.0)), None, "env 1 step 5: shares of ((2, -5.0), (5, -4.0)) are not -10 in all"),
    ],
)
def test_a_penalty_that_is_shared_out_otherwise_fails(told: Told, seen: Told | None, detail: str, decided: Decide) -> None:
    finding = Penalized().judge(shared(decided((2, True, "s0")), told, seen))
    assert (finding.answer, finding.detail) == (Answer.FAIL, detail)


def test_a_decision_before_the_life_that_ended_is_no_cause(decided: Decide) -> None:
    evidence = decided((2, True, "s0"))
    lives = [
        replace(event, rows=tuple(replace(row, life=int(row.step > 2) + int(row.step > 5)) for row in event.rows))
        if isinstance(event, BufferObserved) and event.at == Point(6, 1)
        else event
        for event in evidence.faulted
    ]
    finding = Penalized().judge(shared(replace(evidence, faulted=tuple(lives)), HALF))
    assert finding.key == "shares"


@pytest.mark.parametrize(
    ("told", "answer"), [(((1, -2.0), (2, -3.0), (5, -5.0)), Answer.PASS), (((1, -2.0), (2, -4.0), (5, -4.0)), Answer.FAIL)]
)
def test_several_causes_share_what_is_for_causes_in_parts_that_nobody_can_repeat(told: Told, answer: Answer, decided: Decide) -> None:
    evidence = decided((1, True, "s1"), (2, True, "s0"), pruned=("s0", "s1"))
    assert Penalized().judge(shared(evidence, told)).answer is answer


@pytest.mark.parametrize(("told", "answer"), [(((2, -3.0), (5, -7.0)), Answer.PASS), (((2, -6.0), (5, -4.0)), Answer.FAIL)])
def test_where_nobody_answers_for_one_of_two_seeds_the_other_bears_no_more_than_all(told: Told, answer: Answer, decided: Decide) -> None:
    assert Penalized().judge(shared(decided((2, True, "s0"), pruned=("s0", "s1")), told)).answer is answer


@pytest.mark.parametrize(("reward", "answer"), [(-4.75, Answer.PASS), (-2.5, Answer.FAIL)])
def test_a_share_is_beside_the_reward_and_is_not_scaled(reward: float, answer: Answer, decided: Decide) -> None:
    """Rewards are halved here: 1 of step 0 teaches 0.5."""
    evidence = shared(decided((2, True, "s0")), HALF)
    (buffer,) = (event for event in of(evidence.faulted, BufferObserved) if event.at == Point(6, 1))
    raw = {0: (1.0, 0.5), 2: (0.5, reward)}
    rows = [replace(row, raw_reward=raw[row.step][0], reward=raw[row.step][1]) if row.step in raw else row for row in buffer.rows]
    found = advantages(rows, buffer.gamma, buffer.gae_lambda)
    told = replace(buffer, rows=tuple(replace(row, advantage=each) for row, each in zip(rows, found, strict=True)))
    faulted = tuple(told if event is buffer else event for event in evidence.faulted)
    assert Penalized().judge(replace(evidence, faulted=faulted)).answer is answer
