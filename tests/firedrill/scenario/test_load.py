import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firedrill.faults.tensor_set import TensorSet
from firedrill.oracles.detected import Detected
from firedrill.oracles.twin import Twin
from firedrill.scenario.load import InvalidScenario, load, load_all
from firedrill.scenario.problem import Problem

from .conftest import Write

ROOT = Path(__file__).parents[3]


def problems(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(InvalidScenario) as refused:
        load(path)
    return refused.value.problems


def only(path: Path) -> Problem:
    """The one problem of a file."""
    (found,) = problems(path)
    return found


def test_a_good_scenario_is_resolved(write: Write) -> None:
    scenario = load(write())
    (planned,) = scenario.faults
    assert scenario.id == "governor/nan-weight"
    assert isinstance(planned.fault, TensorSet)
    assert math.isnan(planned.fault.value)
    assert (planned.at.step, planned.at.env, planned.at.phase, planned.line) == (8, 1, "weights_updated", 7)
    assert planned.declared_strikes(2) == 1
    assert scenario.verdicts == ("recovered",)


def test_a_bundle_is_unfolded_and_parameters_are_kept(write: Write) -> None:
    oracles = load(write()).oracles
    assert Detected(within=1, cause="non_finite") in oracles
    assert [oracle.kind for oracle in oracles][:2] == ["witnessed", "state_restored"]


def test_gradients_are_struck_when_they_are_ready(write: Write) -> None:
    (planned,) = load(write(("params:", "grads:"))).faults
    assert planned.at.phase == "gradients_ready"


def test_last_is_the_last_step(write: Write) -> None:
    assert load(write(("step: 8", "step: last"))).faults[0].at.step == 15


def test_steps_and_times_become_numbers(write: Write) -> None:
    scenario = load(write(("core", "twin: {steps: 3 steps}"), more="budget: {rollbacks: 2, wall: 1.5min}\n"))
    assert (scenario.budget.rollbacks, scenario.budget.wall) == (2, 90.0)
    assert Twin(steps=3) in scenario.oracles


def test_a_governor_is_configured(write: Write) -> None:
    path = write(("steps: 16", "steps: 16, governor: {snapshot_every: 2, detectors: [non_finite]}, gates: {training_steps_min: 0}"))
    subject = load(path).subject
    assert (subject.governor.snapshot_every, subject.governor.detectors, subject.gates.training_steps_min) == (2, ("non_finite",), 0)


SCRIPT = "steps: 16, script: [{step: 1, env: 0, op: germinate, slot: s0, blueprint: mlp_norm}]"

# What is replaced, by what, the code, line and column that must be told, and a word of the suggestion or of what is expected.
BAD = [
    ("tags: [governor, smoke]", "tags: [governor, smoke", "FD001", 5, 8, ""),
    ("name: nan-weight", "name: nan-weight\nname: nan-weight", "FD002", 3, 1, "line 2"),
    ("value: nan", "value: !!float nan", "FD003", 10, 19, "never read"),
    ("tags:", "tagz:", "FD010", 4, 1, "tags"),
    ("count: 1", "conut: 1", "FD010", 9, 39, "count"),
    ("step: 8", "stp: 3, step: 8", "FD010", 7, 10, "step"),
    ("value: nan", "value: nan, valeu: 1", "FD010", 10, 24, "value"),
    ("within: 1 steps", "witin: 3, within: 1", "FD010", 12, 16, "within"),
    ("steps: 16", "steps: 16, policy: random, script: [{step: 1, op: wait}]", "FD010", 5, 72, "scripted"),
    ("step: 8", "step: 8, plus_steps: 2", "FD010", 7, 19, "event"),
    ("seed: 11", 'seed: "11"', "FD011", 5, 32, "a whole number"),
    ("seed: 11", "seed: 1.5", "FD011", 5, 32, "a whole number"),
    ("seed: 11", "seed: true", "FD011", 5, 32, "a whole number"),
    ("tags: [governor, smoke]", "tags: governor", "FD011", 4, 7, "a list"),
    ("value: nan", "value: big", "FD011", 10, 19, "a number"),
    ("step: 8, env: 1", "step: 8, env: 1.5", "FD011", 7, 24, "a whole number"),
    ("step: 8, env: 1", "step: 8, env: [0, x]", "FD011", 7, 28, "a whole number"),
    ("version: 1\n", "", "FD012", 1, 1, "version"),
    ("    do: tensor.set\n", "", "FD012", 7, 5, "do"),
    ("    with: {value: nan}\n", "", "FD012", 7, 5, "with"),
    ('    target: {params: "head.*", pick: {count: 1}}\n', "", "FD012", 7, 5, "target"),
    ("step: 8, env: 1", "step: 8", "FD012", 7, 9, "env"),
    ("within: 1 steps, cause", "cause", "FD012", 12, 15, "within"),
    ("version: 1", "version: 2", "FD013", 1, 10, "1"),
    ("name: nan-weight", "name: nan-wieght", "FD013", 2, 7, "nan-weight"),
    ("smoke", "Smoke", "FD013", 4, 18, "hyphens"),
    ("task: spirals", "task: spiral", "FD013", 5, 17, "spirals"),
    ("do: tensor.set", "do: tensor.sett", "FD013", 8, 9, "tensor.set"),
    ("step: 8, env: 1", "step: 8, env: 1, phase: weight_updated", "FD013", 7, 34, "weights_updated"),
    ("step: 8, env: 1", "event: snapshot_take, env: 1", "FD013", 7, 17, "snapshot_taken"),
    ("step: 8, env: 1", "step: middle, env: 1", "FD013", 7, 16, "first"),
    ("step: 8, env: 1", "step: 8, event: rolled_back, env: 1", "FD013", 7, 9, ""),
    ("count: 1", "count: 1, index: 2", "FD013", 9, 38, ""),
    ("- core", "- cores", "FD013", 13, 5, "core"),
    ("- core", "- recoverd: {within: 1}", "FD013", 13, 5, "recovered"),
    ("cause: non_finite", "cause: nonfinite", "FD013", 12, 40, "non_finite"),
    ("- core", "- core\nverdict: recover", "FD013", 14, 10, "recovered"),
    ("steps: 16", SCRIPT.replace("slot: s0", "slot: s5"), "FD013", 5, 104, "s0"),
    ("steps: 16", SCRIPT.replace("mlp_norm", "conv_norm"), "FD013", 5, 119, "mlp_norm"),
    ("within: 1 steps", "within: 3s", "FD014", 12, 24, "steps"),
    ("- core", "- core\nbudget: {wall: 60}", "FD014", 14, 16, "60s"),
    ("- core", "- core\nbudget: {wall: 3 steps}", "FD014", 14, 16, "ms"),
    ("- core", "- core\nbudget: {wall: 60 mn}", "FD014", 14, 16, "min"),
    ("because: A weight that becomes NaN must be noticed and undone.", "because: It breaks.", "FD015", 3, 10, "20"),
    ("steps: 16", "steps: 0", "FD015", 5, 52, "1"),
    ("within: 1 steps", "within: -1", "FD015", 12, 24, "0 or more"),
    ("count: 1", "count: 0", "FD015", 9, 46, ""),
    ("steps: 16", "steps: 16, governor: {window: 3}", "FD015", 5, 75, ""),
    ("steps: 16", "steps: 16, governor: {budget: 0}", "FD015", 5, 75, ""),
    ("step: 8", "step: 16", "FD016", 7, 16, "0 to 15"),
    ("env: 1", "env: 2", "FD016", 7, 24, "0 to 1"),
    ("env: 1", "env: [0, 2]", "FD016", 7, 24, "0 to 1"),
    ("step: 8, env: 1", "step: 8, env: 1, batch: 10", "FD016", 7, 34, "0 to 9"),
    ("step: 8, env: 1", "step: 8, env: 1, for_steps: 9", "FD016", 7, 38, "16"),
    ("step: 8, env: 1", "event: snapshot_taken, occurrence: 0, env: 1", "FD016", 7, 45, ""),
    ("step: 8, env: 1", "event: snapshot_taken, plus_steps: 16, env: 1", "FD016", 7, 45, "0 to 15"),
    ("step: 8, env: 1", "step: 8, env: 1, phase: loss_ready", "FD016", 7, 34, "weights_updated"),
    ("steps: 16", SCRIPT.replace("step: 1", "step: 16"), "FD016", 5, 72, "0 to 15"),
    ("steps: 16", "steps: 16, backend: graphs", "FD016", 5, 65, "device: [cuda]"),
    ("steps: 16}", "steps: 16, backend: graphs}\nmatrix: {device: [cuda, cpu]}", "FD016", 5, 65, "device: [cuda]"),
    ('params: "head.*"', "slot: s2", "FD017", 9, 20, "s0"),
    ("head.*", "slots.s9.*", "FD017", 9, 22, "s0"),
    ("head.*", "haed.weight", "FD017", 9, 22, "head.weight"),
    ("head.*", "blokcs.0.*", "FD017", 9, 22, "blocks.0.*"),
    ("- core", "- core\n  - core", "FD018", 14, 5, "once"),
    ("steps: 16", SCRIPT.replace("}]", "}, {step: 1, env: 0, op: wait}]"), "FD018", 5, 130, "one decision"),
    ("version: 1", "version: 1\nextends: ../../out.yaml", "FD019", 2, 10, "one file"),
    ("version: 1", "version: 1\nextends: nan-weight.yaml", "FD019", 2, 10, "one file"),
    ("version: 1", "version: 1\nextends: missing.yaml", "FD019", 2, 10, "one file"),
]


@pytest.mark.parametrize(("old", "new", "code", "line", "column", "told"), BAD)
def test_a_mistake_is_told_at_its_place(write: Write, old: str, new: str, code: str, line: int, column: int, told: str) -> None:
    found = only(write((old, new)))
    assert (found.code, found.line, found.column) == (code, line, column), found.render()
    assert told in f"{found.expected} {found.suggestion}"


def test_graphs_are_welcome_where_there_is_a_device_to_replay_them(write: Write) -> None:
    scenario = load(write(("steps: 16}", "steps: 16, backend: graphs}\nmatrix: {device: [cuda]}")))
    assert (scenario.subject.backend, scenario.matrix.device) == ("graphs", ("cuda",))


def test_lifecycle_faults_strike_slots_only(write: Write) -> None:
    found = only(write(("tensor.set", "lifecycle.prune"), ("    with: {value: nan}\n", "")))
    assert (found.code, found.line, found.column) == ("FD013", 9, 13)


def test_a_fault_without_tensors_takes_no_target(write: Write) -> None:
    found = only(write(("tensor.set", "loss.set")))
    assert (found.code, found.line, found.column) == ("FD010", 9, 5)


def test_an_operation_is_bound_to_its_seam(write: Write) -> None:
    path = write(
        ("tensor.set", "governor.raise_in"),
        ('    target: {params: "head.*", pick: {count: 1}}\n', ""),
        ("value: nan", "operation: verify"),
        ("step: 8, env: 1", "step: 8, env: 1, phase: snapshot_copying"),
    )
    found = only(path)
    assert (found.code, found.expected) == ("FD016", "one of snapshot_verifying")


def test_all_mistakes_of_a_file_are_told_at_once_in_order(write: Write) -> None:
    path = write(
        ("tags:", "tagz:"),
        ("seed: 11", "seed: x"),
        ("step: 8, env: 1", "step: 99, env: 7, stp: 1"),
        ("do: tensor.set", "do: tensor.sett"),
        ("within: 1 steps", "within: 3s"),
        ("- core", "- cores"),
    )
    expected = [("FD010", 4), ("FD011", 5), ("FD016", 7), ("FD016", 7), ("FD010", 7), ("FD013", 8), ("FD014", 12), ("FD013", 13)]
    assert [(found.code, found.line) for found in problems(path)] == expected


def test_a_missing_file_is_a_problem_too(tmp_path: Path) -> None:
    assert only(tmp_path / "none.yaml").code == "FD001"


def test_a_name_that_no_file_can_have_is_a_problem_too(tmp_path: Path) -> None:
    scenarios, (found,) = load_all([tmp_path / ("a" * 5000)])
    assert (scenarios, found.code) == ([], "FD001")


def test_two_scenarios_of_one_name_are_refused(write: Write) -> None:
    first, second = write(), write(folder="zebra")
    scenarios, found = load_all([first.parents[1]])
    assert len(scenarios) == 2
    assert [(problem.code, Path(problem.file), problem.line) for problem in found] == [("FD018", second, 2)]


def test_folders_are_searched_and_hidden_ones_are_not(write: Write) -> None:
    path = write()
    write(folder=".schema")
    scenarios, found = load_all([path.parents[1], path])
    assert ([scenario.id for scenario in scenarios], found) == (["governor/nan-weight"], [])


def test_a_child_lays_its_mappings_over_its_parent(write: Write) -> None:
    write()
    child = write(name="child")
    child.write_text("extends: nan-weight.yaml\nname: child\nbecause: The same claim with another seed and more steps.\n"
                     "subject: {seed: 12, steps: 20}\n")  # fmt: skip
    scenario = load(child)
    assert (scenario.subject.seed, scenario.subject.steps, scenario.subject.envs) == (12, 20, 2)
    assert len(scenario.faults) == 1
    assert scenario.name == "child"


def test_a_claim_is_never_taken_over(write: Write) -> None:
    write()
    child = write(name="child")
    child.write_text("extends: nan-weight.yaml\nname: child\n")
    assert [(found.code, found.message) for found in problems(child)] == [("FD012", "because is missing")]


def test_a_mistake_of_the_parent_is_told_in_the_parent(write: Write) -> None:
    parent = write(("count: 1", "conut: 1"))
    child = write(name="child")
    child.write_text("extends: nan-weight.yaml\nname: child\nbecause: The same claim with another seed and more steps.\n")
    assert [(Path(found.file), found.code, found.line) for found in problems(child)] == [(parent, "FD010", 9)]


def test_a_chain_of_parents_has_an_end(write: Write) -> None:
    write(name="a")
    for name, parent in (("b", "a"), ("c", "b"), ("d", "c")):
        text = f"extends: {parent}.yaml\nname: {name}\nbecause: The same claim once more, for the sake of a chain.\n"
        write(name=name).write_text(text)
    folder = write(name="a").parent
    write(("name: nan-weight", "name: a"), name="a")
    assert load(folder / "c.yaml").name == "c"
    assert problems(folder / "d.yaml")[0].code == "FD019"


def test_the_matrix_has_a_limit(write: Write) -> None:
    seeds = ", ".join(map(str, range(129)))
    found = only(write(more=f"matrix: {{device: [cpu, cuda], seed: [{seeds}]}}\n"))
    assert (found.code, found.line, found.column) == ("FD015", 14, 9)
    assert "258" in found.message


LOAD = """
import sys
from pathlib import Path
from firedrill.scenario.load import load
load(Path(sys.argv[1]))
sys.exit("torch was loaded" if "torch" in sys.modules else 0)
"""


def test_a_file_is_validated_without_torch(write: Write) -> None:
    """How long it takes is said by a benchmark, `tests/benchmarks/test_validation.py`."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "harness")])}
    subprocess.run([sys.executable, "-c", LOAD, str(write())], env=env, check=True)
