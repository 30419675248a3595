"""Small scenarios that come out as they should, each as large as its claim needs and no larger.

A sabotaged run of one costs tenths of a second. Snapshots are taken in steps 0, 3, 6 and so on, and are trusted one
healthy step later.
"""

from collections.abc import Sequence
from pathlib import Path

HEAD = """\
version: 1
name: {name}
because: What is claimed here is broken on purpose, and the harness must see it.
subject: {{seed: 11, envs: 2, rollout_steps: 40, {subject}}}
faults:
{faults}
expect:
{expect}
verdict: {verdict}
budget: {{{budget}}}
"""

SPIRALS = "steps: 16, batches_per_step: 2, governor: {snapshot_every: 3, probation: 1}"
# The seed of step 5 is younger than every trusted snapshot when the host is struck in step 7.
YOUNG_SEED = "script: [{step: 5, op: germinate, slot: s1, blueprint: linear_bottleneck}, {step: 6, op: advance, slot: s1}]"

# Grows where nothing strikes, so that there are moves to judge and nothing to lose.
QUIET_SEED = "script: [{step: 5, env: 0, op: germinate, slot: s1, blueprint: linear_bottleneck}]"

ENDLESS = "steps: 10000, batches_per_step: 1000"

NAN = 'do: tensor.set, target: {params: "blocks.0.*", pick: {index: 0}}, with: {value: nan}'
EXPLODE = "do: tensor.scale, target: {params: head.weight}, with: {factor: 1.0e+4}"

UNDONE = ("recovered: {within: 3 steps}", "core", "bystanders_untouched", "quiet")
NAN_NOTICED = "detected: {within: 1 steps, cause: non_finite}"
EXPLOSION_NOTICED = "detected: {within: 3 steps, cause: loss_explosion}"


def scenario(
    name: str,
    subject: str,
    faults: Sequence[str],
    expect: Sequence[str],
    verdict: str = "recovered",
    budget: str = "rollbacks: 4",
) -> str:
    """The text of a scenario file; a fault is the inside of its mapping."""
    listed = ["\n".join(f"  - {word}{line}{end}" for line in lines) for word, lines, end in (("{", faults, "}"), ("", expect, ""))]
    return HEAD.format(name=name, subject=subject, faults=listed[0], expect=listed[1], verdict=verdict, budget=budget)


WITNESSED = ("witnessed", "state_restored", "keys_matched", "clean", "optimizer_reset", "penalized", "told", "quiet")

SCENARIOS = (
    scenario(
        "nan-weight",
        f"{SPIRALS}, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE, "twin: {steps: 5}", "climbed: {to: newest, rollbacks: 1}"],
    ),
    scenario(
        "nan-weight-adam",
        f"{SPIRALS}, optimizer: adam, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE, "twin: {steps: 5}"],
    ),
    scenario(
        "nan-weight-persistent",
        f"{SPIRALS}, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1, for_steps: forever}}, {NAN}"],
        [NAN_NOTICED, *UNDONE[1:]],
        verdict="fail_stop",
    ),
    scenario(
        # Without relapses, so that both strikes are undone from one snapshot.
        "nan-weight-twice",
        f"{SPIRALS[:-1]}, optimizer: restore, relapse_steps: 0}}, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}", f"at: {{step: 8, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE[1:], "idempotent"],
    ),
    scenario(
        # The snapshot of step 6 is a candidate when the rollback of step 7 undoes it, and would be trusted in step 8.
        "nan-weight-twice-apart",
        f"{SPIRALS[:-1]}, relapse_steps: 0}}, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}", f"at: {{step: 9, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE[1:]],
    ),
    scenario(
        "nan-weight-four-times",
        "steps: 22, batches_per_step: 2, governor: {snapshot_every: 2, probation: 1, budget: 5, relapse_steps: 0, detectors: classic}",
        [f"at: {{step: {step}, env: 1, batch: 1}}, {NAN}" for step in (9, 13, 17, 21)],
        ["frugal: {rollbacks: 4}", *WITNESSED],
        budget="rollbacks: 4",
    ),
    scenario(
        "explosion-on-snapshot-step",
        f"{SPIRALS}, {YOUNG_SEED}",
        [f"at: {{step: 6, env: 1, batch: 1}}, {EXPLODE}"],
        [EXPLOSION_NOTICED, *UNDONE, "unharmed"],
    ),
    scenario(
        "lobotomy",
        "steps: 18, batches_per_step: 8, governor: {snapshot_every: 3, probation: 1, lobotomy_history: 0.9}",
        ["at: {step: last, env: 1, batch: 7}, do: output.lobotomize"],
        ["detected: {within: 1 steps, cause: lobotomy}", *WITNESSED],
    ),
    scenario(
        "penalty",
        f"{SPIRALS}, policy: ppo",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, UNDONE[0], *WITNESSED],
    ),
    scenario(
        "batch-norm-statistics",
        "task: digits, steps: 8, batches_per_step: 1, governor: {snapshot_every: 2, probation: 1}",
        ['at: {step: 5, env: 1}, do: tensor.set, target: {buffers: "blocks.0.*running_mean", pick: {index: 0}}, with: {value: nan}'],
        [NAN_NOTICED, "recovered: {within: 2 steps}", *WITNESSED],
    ),
    scenario(
        "young-fossil",
        f"{SPIRALS}, script: [{{step: 1, op: germinate, slot: s0, blueprint: residual_mlp, tempo: 3}}, {{step: 2, op: advance, slot: s0}},"
        " {step: 5, op: advance, slot: s0}, {step: 8, op: advance, slot: s0}]",
        [
            "at: {step: 10, env: 1, phase: step_begun}, do: lifecycle.fossilize, target: {slot: s0}",
            f"at: {{step: 11, env: 1, batch: 1}}, {NAN}",
        ],
        [NAN_NOTICED, *UNDONE, "twin: {steps: 4}"],
    ),
    scenario(
        # Step 7 begins with batch 14; the third rollback comes behind batch 19 and skips the data of ten steps.
        "bad-window",
        f"{SPIRALS}, {YOUNG_SEED}",
        ["at: {step: first, env: 1, for_steps: forever}, do: data.damage, with: {value: nan, first: 14, batches: 20}"],
        [NAN_NOTICED, *UNDONE[1:], "climbed: {to: eased, rollbacks: 3}", "twin: {steps: 4}"],
    ),
    scenario(
        "dead-without-its-seed",
        "steps: 30, batches_per_step: 8, script: [{step: 16, op: germinate, slot: s0, blueprint: residual_mlp, tempo: 3},"
        " {step: 17, op: advance, slot: s0}, {step: 20, op: advance, slot: s0}]",
        [
            f"at: {{step: 22, env: 1}}, {NAN}",
            "at: {event: rolled_back, plus_steps: 1, env: 1, batch: 7, for_steps: 2}, do: output.lobotomize, with: {mode: constant_logits}",
        ],
        [NAN_NOTICED, *UNDONE[1:], "climbed: {to: older, rollbacks: 2}"],
    ),
    scenario(
        # Nothing but the validation tells of it.
        "validation-loss",
        f"{SPIRALS}, {QUIET_SEED}",
        ["at: {step: 9, env: 1, phase: vitals_measured, for_steps: 4}, do: loss.set, with: {value: 50.0}"],
        [EXPLOSION_NOTICED, *UNDONE],
    ),
    scenario(
        # The last bad step comes alone, and after a rollback one is not enough.
        "one-more-bad-step",
        f"{SPIRALS}, {QUIET_SEED}",
        [
            "at: {step: 6, env: 1, phase: vitals_measured, for_steps: 3}, do: loss.set, with: {value: 50.0}",
            "at: {step: 9, env: 1, phase: vitals_measured}, do: loss.set, with: {value: 50.0}",
        ],
        [EXPLOSION_NOTICED, *UNDONE],
        budget="rollbacks: 1",
    ),
    scenario(
        "nan-then-explosion",
        f"{SPIRALS[:-1]}, relapse_steps: 0, detectors: classic}}, {QUIET_SEED}".replace("steps: 16", "steps: 24"),
        [
            f"at: {{step: 7, env: 1, batch: 1}}, {NAN}",
            f"at: {{step: 12, env: 1, batch: 1}}, {EXPLODE}",
        ],
        ["live: {rollbacks: 2}", *WITNESSED],
    ),
    scenario(
        "live-seeds",
        f"{SPIRALS[:-1]}, live_seeds: restore}}, script: [{{step: 1, op: germinate, slot: s0, blueprint: residual_mlp, tempo: 3}},"
        " {step: 2, op: advance, slot: s0}, {step: 4, op: advance, slot: s0}]",
        [f"at: {{step: 8, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE],
    ),
    scenario(
        "rotten-snapshot",
        f"{SPIRALS}, {QUIET_SEED}",
        ["at: {step: 6, env: 1}, do: snapshot.corrupt", f"at: {{step: 8, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE[1:]],
    ),
    scenario(
        "goes-on-learning",
        "steps: 20, batches_per_step: 8, governor: {snapshot_every: 3, probation: 1}",
        [f"at: {{step: 5, env: 1, batch: 7}}, {NAN}"],
        ["reaches: {test_accuracy: 0.7}", *WITNESSED],
    ),
    scenario(
        "watched",
        f"steps: 8, batches_per_step: 1, governor: {{snapshot_every: 3, probation: 1}}, {QUIET_SEED}",
        [f"at: {{step: 5, env: 1}}, {NAN}"],
        ["transparent", "deterministic", "core"],
    ),
    scenario(
        "one-weight-a-little-larger",
        "steps: 4, batches_per_step: 1",
        ["at: {step: 2, env: 1}, do: tensor.scale, target: {params: head.weight, pick: {index: 0}}, with: {factor: 1.001}"],
        ["witnessed", "bystanders_untouched"],
        verdict="masked",
    ),
    scenario(
        # A listener fails, which is no affair of the run.
        "listener-fails",
        "steps: 4, batches_per_step: 1",
        ["at: {step: 2, env: 1, phase: sink_writing}, do: sink.raise"],
        ["witnessed", "undisturbed"],
        verdict="masked",
    ),
    scenario(
        # Nothing is ever rolled back here.
        "waits-in-vain",
        "steps: 4, batches_per_step: 1",
        [
            "at: {step: 1, env: 1}, do: tensor.scale, target: {params: head.weight, pick: {index: 0}}, with: {factor: 1.001}",
            f"at: {{event: rolled_back, plus_steps: 1, env: 1}}, {NAN}",
        ],
        ["witnessed"],
        verdict="not_injected",
    ),
    # These two would take hours, and their children are ended from outside.
    scenario("endless", ENDLESS, [f"at: {{step: last, env: 1}}, {NAN}"], ["witnessed"], verdict="crashed", budget="wall: 120s"),
    scenario("hangs", ENDLESS, [f"at: {{step: last, env: 1}}, {NAN}"], ["witnessed"], verdict="hung", budget="wall: 0.2s"),
)


def written(name: str, folder: Path) -> Path:
    """Write one of these scenarios."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(next(text for text in SCENARIOS if f"\nname: {name}\n" in text), encoding="utf-8")
    return path
