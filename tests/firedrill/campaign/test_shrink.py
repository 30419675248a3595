from pathlib import Path

import pytest

from firedrill.campaign.reproducer import as_pytest
from firedrill.campaign.shrink import NothingToShrink, Shrinker
from firedrill.runner.executors.local import Local
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_text
from firedrill.scenario.write import document, text

# The governor is switched off and a NaN strikes; the other four are there to be got rid of.
SIX = """\
version: 1
name: six
because: Somebody switched the governor off, and five other things happened as well.
subject:
  seed: 11
  envs: 3
  steps: 10
  batches_per_step: 2
  governor: {snapshot_every: 3, probation: 1}
  script: [{step: 1, op: germinate, slot: s1, blueprint: linear_bottleneck}, {step: 2, op: advance, slot: s1}]
faults:
  - {at: {step: 3, env: 0}, do: tensor.scale, target: {params: "head.*", pick: {index: 1}}, with: {factor: 1.37}}
  - {at: {step: 4, env: 1, for_steps: forever}, do: governor.suppress}
  - {at: {step: 4, env: 2, phase: step_begun}, do: lifecycle.prune, target: {slot: s1}}
  - {at: {step: 5, env: 1}, do: loss.scale, with: {factor: 2.5}}
  - {at: {step: 6, env: 1, batch: 1}, do: tensor.set, target: {params: "blocks.0.*"}, with: {value: nan}}
  - {at: {step: 7, env: 0}, do: data.set, with: {value: 0.25, samples: 3}}
expect: [told]
"""
# The same, small enough for every day.
THREE = """\
version: 1
name: six
because: Somebody switched the governor off, and five other things happened as well.
subject: {seed: 11, envs: 2, steps: 2, batches_per_step: 1}
faults:
  - {at: {step: 0, env: 1, for_steps: forever}, do: governor.suppress}
  - {at: {step: 0, env: 0}, do: tensor.scale, target: {params: "head.*", pick: {index: 1}}, with: {factor: 1.37}}
  - {at: {step: 0, env: 1}, do: tensor.set, target: {params: "blocks.0.*", pick: {index: 0}}, with: {value: nan}}
expect: [told]
"""
CORE = """\
version: 1
name: six
because: "Somebody switched the governor off, and five other things happened as well."
subject: {steps: 1, seed: 11, envs: 1, batches_per_step: 1}
faults:
  - {at: {step: 0}, do: governor.suppress}
  - {at: {step: 0}, do: tensor.set, target: {params: "blocks.0.*", pick: {index: 0}}, with: {value: nan}}
expect: [told]
verdict: [recovered]
budget: {rollbacks: 1, wall: "60s"}
"""


GREEN = CORE.replace("  - {at: {step: 0}, do: governor.suppress}\n", "").replace("steps: 1", "steps: 2")


def cell_of(text: str) -> Cell:
    return cells(load_text(text, Path("scenarios/six.yaml")))[0]


@pytest.mark.nightly
def test_six_faults_shrink_to_the_two_that_matter(two: Local) -> None:
    shrunk = Shrinker(cell_of(SIX), two, tell=lambda _: None).search()
    assert (shrunk.yaml, shrunk.minimal, shrunk.failure.verdict) == (CORE, True, Verdict.SILENT_CORRUPTION)


def test_three_faults_shrink_to_the_two_that_matter(two: Local) -> None:
    shrunk = Shrinker(cell_of(THREE), two, tell=lambda _: None).search()
    assert (shrunk.yaml, shrunk.minimal, shrunk.failure.verdict) == (CORE, True, Verdict.SILENT_CORRUPTION)


def test_a_cell_that_ends_as_expected_is_not_shrunk(two: Local) -> None:
    """Otherwise everything would be taken away from it, and what is left would be green as well."""
    with pytest.raises(NothingToShrink, match="recovered, as expected"):
        Shrinker(cell_of(GREEN), two, tell=lambda _: None).search()


def test_what_is_minimal_stays_as_it_is_and_its_test_is_red(two: Local) -> None:
    shrunk = Shrinker(cell_of(CORE), two, tell=lambda _: None).search()
    assert (shrunk.yaml, shrunk.minimal) == (CORE, True)
    # Run with a small part of names, as a module of its own would have.
    module: dict[str, object] = {"__name__": "shrunk"}
    exec(compile(as_pytest("six", "Both are needed.", shrunk.yaml), "test_six.py", "exec"), module)
    test = module["test_six"]
    assert callable(test)
    with pytest.raises(AssertionError, match="silent_corruption"):
        test()


def test_without_time_nothing_is_tried_and_nothing_is_said_to_be_minimal(two: Local) -> None:
    shrunk = Shrinker(cell_of(CORE), two, tell=lambda _: None, deadline=0.0).search()
    assert (shrunk.runs, shrunk.minimal, shrunk.yaml) == (1, False, text(document(cell_of(CORE))))


def test_an_interruption_leaves_what_was_found(two: Local) -> None:
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if len(told) > 1:
            raise KeyboardInterrupt

    shrunk = Shrinker(cell_of(CORE), two, tell=tell).search()
    assert (shrunk.interrupted, shrunk.minimal) == (True, False)
    assert len(CORE) < len(shrunk.yaml) < len(text(document(cell_of(CORE))))
