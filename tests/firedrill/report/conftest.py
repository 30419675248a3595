"""Eight cells as a real run leaves them: three environments, forty steps, every kind of outcome and of mark."""

import math
from dataclasses import replace

import pytest

from firedrill.oracles.oracle import Answer, Finding
from firedrill.runner.result import CellResult
from firedrill.runner.timeline import Curve, Mark, Timeline
from firedrill.runner.verdict import Verdict

STEPS = 40
FAULT, RESTORED = 23, 20
STAGES = ((4, "germinated"), (6, "training"), (13, "blending"), (18, "holding"), (22, "fossilized"))


def loss(env: int, step: int) -> float:
    """A loss that falls from ln 2 and wobbles."""
    return 0.09 + 0.6 * math.exp(-step / (9 + 2 * env)) + 0.012 * math.sin(2.1 * step + env)


def curves(struck: dict[int, float | None], env: int = 1) -> tuple[Curve, ...]:
    """The three curves, with the struck environment's values replaced at some steps."""
    steps = tuple(range(STEPS))
    healthy = [Curve(i, steps, tuple(loss(i, step) for step in steps)) for i in range(3)]
    healthy[env] = replace(healthy[env], val_losses=tuple(struck.get(step, loss(env, step)) for step in steps))
    return tuple(healthy)


def marks(fault: str, noticed: int | None, cause: str) -> tuple[Mark, ...]:
    """What happens around the fault; `noticed` is the step of the collapse."""
    snapshots = [Mark(step, env, "snapshot", f"{step // 5}, cadence") for step in range(0, STEPS, 5) for env in range(3)]
    stages = [Mark(step, 1, "stage", f"s1 {stage}") for step, stage in STAGES] + [Mark(9, 1, "stage", "s0 germinated")]
    found = [*snapshots, *stages, Mark(11, 1, "stage", "s0 training"), Mark(FAULT, 1, "fault", fault)]
    if noticed is not None:
        if noticed > FAULT:
            found.append(Mark(noticed - 1, 1, "suspected", f"{cause}, streak 1"))
        found += [Mark(noticed, 1, "collapsed", cause), Mark(noticed, 1, "rolled_back", f"to snapshot 4 of step {RESTORED}")]
        found += [Mark(noticed, 1, "stage", "s1 holding"), Mark(noticed, 1, "penalty", "-10")]
    return tuple(sorted(found, key=lambda mark: mark.step))


GOOD = (
    Finding("witnessed", Answer.PASS, "", "1 strike of 1, 3 elements changed"),
    Finding("detected", Answer.PASS, "env 1, step 23", "non_finite in the step of the strike"),
    Finding("state_restored", Answer.PASS, "env 1, step 23", "14 tensors byte-equal to snapshot 4"),
    Finding("penalized", Answer.PASS, "env 1, step 23", "one terminal row of -10"),
    Finding("bystanders_untouched", Answer.PASS, "", "80 digests equal to the control run"),
)

FOSSIL = CellResult(
    id="fossilize-then-nan[cpu,11]",
    scenario="fossilize-then-nan",
    file="scenarios/governor/fossilize-then-nan.yaml",
    because="A seed committed after the last snapshot must not keep poisoned weights through a rollback.",
    tags=("governor", "topology", "smoke"),
    device="cpu",
    seed=11,
    verdict=Verdict.RECOVERED,
    expected=(Verdict.RECOVERED,),
    passed=True,
    reason="1 rollbacks, first at env 1, step 23",
    findings=GOOD,
    seconds=2.41,
    rollbacks=1,
    penalties=1,
    timeline=Timeline(curves({FAULT: None}), marks("tensor.set slots.s1.seed.0.weight", FAULT, "non_finite")),
    versions=(("torch", "2.13.0"), ("firedrill", "0.1.0")),
    history_digest="6f1d2c0be0a5479b8a1cb1d2f3e4a596",
)

SPIKE = {step: 0.2 * 40 ** (step - FAULT + 1) for step in range(FAULT, FAULT + 3)}
WRONG = replace(
    FOSSIL,
    id="bn-buffers-poisoned[cpu,11]",
    scenario="bn-buffers-poisoned",
    file="scenarios/governor/bn-buffers-poisoned.yaml",
    because="Running statistics of batch normalisation are part of the state: a rollback has to bring them back too.",
    verdict=Verdict.WRONG_RECOVERY,
    passed=False,
    reason="state_restored: host/blocks.0.norm.running_var differs from snapshot 4",
    findings=(
        *GOOD[:2],
        Finding("state_restored", Answer.FAIL, "env 1, step 25", "host/blocks.0.norm.running_var differs from snapshot 4", "differs"),
        Finding("twin", Answer.FAIL, "env 1, step 26", "diverges from the twin in part buffers", "diverges"),
        Finding("optimizer_reset", Answer.UNKNOWN, "", "no step after the rollback"),
        *GOOD[3:],
    ),
    timeline=Timeline(curves(dict(SPIKE)), marks("bn.poison blocks.0.norm.running_var", FAULT + 2, "loss_high")),
)

MISSED = replace(
    WRONG,
    id="kill-relu[cpu,12]",
    scenario="kill-relu",
    file="scenarios/faults/kill-relu.yaml",
    because="Units that have died do not come back by training; the governor has to see the plateau.",
    tags=("governor",),
    seed=12,
    verdict=Verdict.MISSED,
    expected=(Verdict.RECOVERED, Verdict.FAIL_STOP),
    reason="env 1: no collapse, yet the final loss is 0.52, in the control run 0.11",
    findings=(GOOD[0], Finding("detected", Answer.FAIL, "env 1", "no collapse by step 39", "never"), GOOD[4]),
    rollbacks=0,
    penalties=0,
    timeline=Timeline(curves(dict.fromkeys(range(FAULT, STEPS), 0.52)), marks("unit.kill_relu blocks.0", None, "")),
)

GAP = replace(
    MISSED,
    id="penalty-lost[cpu,11]",
    scenario="penalty-lost",
    file="scenarios/ppo/penalty-lost.yaml",
    because="A penalty that never reaches the buffer teaches the controller that collapse costs nothing.",
    tags=("ppo", "positive-control"),
    verdict=Verdict.LATE,
    expected=(Verdict.RECOVERED,),
    known_gap="the row of the penalty is found one rollout late",
    gap_verdict=Verdict.LATE,
    reason="penalty delivered at step 31, limit 3 steps",
    findings=(Finding("penalized", Answer.FAIL, "env 1, step 31", "8 steps after the rollback", "late"), *GOOD[:2]),
    timeline=FOSSIL.timeline,
)

NOT_RUN = replace(
    FOSSIL,
    id="fossilize-then-nan[cuda,11]",
    device="cuda",
    verdict=Verdict.NOT_RUN,
    passed=False,
    reason="there is no CUDA device",
    findings=(),
    seconds=0.0,
    rollbacks=0,
    penalties=0,
    timeline=Timeline(),
    history_digest="",
)

HOSTILE = replace(
    FOSSIL,
    id="escape[cpu,<b>]",
    scenario="escape & <i>sound</i>",
    file="scenarios/ppo/it's here.yaml",
    because="Text is text: <script>alert(1)</script> & [bold]brackets[/bold].",
    tags=('"quoted"',),
    verdict=Verdict.MASKED,
    expected=(Verdict.MASKED, Verdict.RECOVERED),
    reason="struck, and </style> harmless",
    findings=(Finding("witnessed", Answer.PASS, "<td>", "'single' and \"double\""),),
    timeline=Timeline(
        curves({}, env=0), (Mark(9, 0, "fault", 'data.poison <labels> & "more"'), Mark(9, 2, "suspected", "plateau, streak 1"))
    ),
)

STOPPED = replace(
    FOSSIL,
    id="snapshot-corrupt[cpu,11]",
    scenario="snapshot-corrupt",
    file="scenarios/governor/snapshot-corrupt.yaml",
    because="If no snapshot can be trusted the run stops: better stopped than wrong.",
    verdict=Verdict.FAIL_STOP,
    expected=(Verdict.FAIL_STOP,),
    reason="env 1, step 26: retired, no snapshot could be trusted",
    rollbacks=0,
    timeline=Timeline(
        (*curves({})[:1], Curve(1, tuple(range(26)), tuple(loss(1, step) for step in range(23)) + (None,) * 3), *curves({})[2:]),
        (
            Mark(21, 1, "fault", "snapshot.corrupt byte 17"),
            Mark(23, 1, "fault", "tensor.set head.weight"),
            Mark(25, 1, "collapsed", "non_finite"),
            Mark(25, 1, "retired", "no snapshot could be trusted"),
        ),
    ),
)

ALARM = replace(
    WRONG,
    id="noise-is-harmless[cpu,13]",
    scenario="noise-is-harmless",
    file="scenarios/faults/noise-is-harmless.yaml",
    because="Noise of the size of rounding must not raise an alarm anywhere.",
    tags=("quiet", "smoke"),
    seed=13,
    verdict=Verdict.FALSE_ALARM,
    expected=(Verdict.MASKED,),
    reason="env 2, step 30: collapsed, and no fault struck there",
    findings=(
        GOOD[0],
        Finding("bystanders_untouched", Answer.FAIL, "env 2, step 30", "parameters differ from the control run", "differs"),
    ),
    timeline=Timeline(
        curves({}),
        (
            *marks("tensor.noise blocks.*", None, ""),
            Mark(29, 2, "suspected", "plateau, streak 1"),
            Mark(30, 2, "collapsed", "plateau"),
            Mark(30, 2, "rolled_back", "to snapshot 5 of step 25"),
            Mark(30, 2, "penalty", "-10"),
        ),
    ),
)


@pytest.fixture
def results() -> tuple[CellResult, ...]:
    """All eight: three unexpected, one known gap, one not run, three as expected."""
    return (FOSSIL, NOT_RUN, WRONG, STOPPED, MISSED, ALARM, GAP, HOSTILE)


@pytest.fixture
def fossil() -> CellResult:
    """The one that recovered."""
    return FOSSIL
