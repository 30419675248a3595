"""Scenarios under pytest, with the real loader and a runner that is made up: the verdict hangs on the seed."""

import sys
from pathlib import Path

import pytest

# What a pytest inside this one imports is forgotten when it ends; imported here, it is imported once.
import firedrill.report.wording
import firedrill.scenario.cell
import firedrill.scenario.load
from firedrill.pytest_plugin import is_scenario
from firedrill.scenario.starter import starter

LOADED = (firedrill.report.wording, firedrill.scenario.cell, firedrill.scenario.load)

pytest_plugins = "pytester"

PLUGIN = ("-p", "firedrill.pytest_plugin", "-p", "no:cacheprovider")
# Plugins that only cost time when a pytest of its own starts.
ALONE = ("-p", "no:cacheprovider", "-p", "no:benchmark", "-p", "no:hypothesispytest", "-p", "no:typeguard")

RUNNER = """
import sys
from types import ModuleType

from firedrill.oracles.oracle import Answer, Finding
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict

SHOWN = {1: Verdict.RECOVERED, 2: Verdict.MISSED, 3: Verdict.NOT_RUN, 4: Verdict.LATE}
FINDINGS = (Finding("detected", Answer.FAIL, "env 1", "no collapse by step 15"), Finding("witnessed", Answer.PASS, "", "1 strike"))

def run_cells(cells, jobs, on_result):
    assert jobs == 1
    for cell in cells:
        scenario, shown = cell.scenario, SHOWN[cell.seed]
        on_result(CellResult(
            id=cell.id, scenario=scenario.name, file="scenarios/drill.yaml", because=scenario.because, tags=scenario.tags,
            device=cell.device, seed=cell.seed, verdict=shown, expected=(Verdict.RECOVERED, Verdict.FAIL_STOP), passed=cell.seed == 1,
            reason="there is no GPU" if cell.seed == 3 else "env 1: no collapse", findings=FINDINGS, seconds=0.1, rollbacks=0,
            penalties=0, known_gap="one rollout late" if cell.seed == 4 else None,
            gap_verdict=Verdict.LATE if cell.seed == 4 else None,
        ))

sys.modules["firedrill.runner.run"] = ModuleType("firedrill.runner.run")
sys.modules["firedrill.runner.run"].run_cells = run_cells
"""


def scenario(name: str, *seeds: int) -> str:
    """The scenario of `firedrill init`, with a cell for each seed."""
    return starter(name).replace("\nfaults:", f"matrix: {{seed: {list(seeds)}}}\n\nfaults:", 1)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with the runner that is made up."""
    pytester.makeconftest(RUNNER)
    return pytester


def place(project: pytest.Pytester, path: str, text: str) -> Path:
    """Write a file of the project."""
    file = project.path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_every_cell_of_a_directory_called_scenarios_is_a_test(project: pytest.Pytester) -> None:
    place(project, "scenarios/governor/drill.yaml", scenario("drill", 1, 2))
    place(project, "scenarios/other.yml", scenario("other", 1))
    ended = project.runpytest_inprocess(*PLUGIN, "--collect-only", "-q", "scenarios")
    ended.stdout.fnmatch_lines_random(
        [
            "scenarios/governor/drill.yaml::governor/drill[[]cpu,seed=1[]]",
            "scenarios/governor/drill.yaml::governor/drill[[]cpu,seed=2[]]",
            "scenarios/other.yml::other[[]cpu,seed=1[]]",
            "3 tests collected*",
        ]
    )


def test_a_cell_that_ends_as_expected_passes(project: pytest.Pytester) -> None:
    place(project, "scenarios/drill.yaml", scenario("drill", 1))
    project.runpytest_inprocess(*PLUGIN, "scenarios").assert_outcomes(passed=1)


def test_a_failed_cell_shows_verdict_reason_findings_and_the_command(project: pytest.Pytester) -> None:
    place(project, "scenarios/drill.yaml", scenario("drill", 2))
    ended = project.runpytest_inprocess(*PLUGIN, "scenarios")
    ended.assert_outcomes(failed=1)
    ended.stdout.fnmatch_lines(
        [
            "*drill[[]cpu,seed=2[]]*",
            "missed, expected recovered or fail stop",
            "reason:   env 1: no collapse",
            "fail:     detected: env 1: no collapse by step 15",
            "because:  A weight that becomes NaN must be noticed at once and undone by a rollback.",
            "again:    firedrill run scenarios/drill.yaml -k 'drill[[]cpu,seed=2[]]'",
        ]
    )
    ended.stdout.no_fnmatch_line("*witnessed*")
    ended.stdout.no_fnmatch_line("*CellFailed*")


def test_a_cell_that_was_not_run_is_skipped_with_its_reason(project: pytest.Pytester) -> None:
    place(project, "scenarios/drill.yaml", scenario("drill", 3))
    ended = project.runpytest_inprocess(*PLUGIN, "-rs", "scenarios")
    ended.assert_outcomes(skipped=1)
    ended.stdout.fnmatch_lines(["SKIPPED*there is no GPU"])


def test_a_known_gap_is_an_expected_failure(project: pytest.Pytester) -> None:
    place(project, "scenarios/drill.yaml", scenario("drill", 4))
    ended = project.runpytest_inprocess(*PLUGIN, "-rx", "scenarios")
    ended.assert_outcomes(xfailed=1)
    ended.stdout.fnmatch_lines(["XFAIL*one rollout late"])


def test_one_cell_can_be_asked_for(project: pytest.Pytester) -> None:
    place(project, "scenarios/drill.yaml", scenario("drill", 1, 2))
    project.runpytest_inprocess(*PLUGIN, "scenarios/drill.yaml::drill[cpu,seed=1]").assert_outcomes(passed=1)


def test_tags_are_keywords(project: pytest.Pytester) -> None:
    place(project, "scenarios/drill.yaml", scenario("drill", 1))
    project.runpytest_inprocess(*PLUGIN, "-k", "smoke", "scenarios").assert_outcomes(passed=1)
    project.runpytest_inprocess(*PLUGIN, "-k", "not smoke", "scenarios").assert_outcomes(deselected=1)


def test_a_file_named_on_the_command_line_may_lie_anywhere(project: pytest.Pytester) -> None:
    place(project, "drills/drill.yaml", scenario("drill", 1))
    project.runpytest_inprocess(*PLUGIN, "drills/drill.yaml").assert_outcomes(passed=1)
    project.runpytest_inprocess(*PLUGIN, "drills").assert_outcomes()


def test_a_bad_scenario_is_an_error_of_collection_with_place_and_suggestion(project: pytest.Pytester) -> None:
    place(project, "scenarios/drill.yaml", scenario("drill", 1).replace("tensor.set", "tensor.sett"))
    ended = project.runpytest_inprocess(*PLUGIN, "scenarios")
    ended.assert_outcomes(errors=1)
    ended.stdout.fnmatch_lines(["*ERROR collecting scenarios/drill.yaml*", "*scenarios/drill.yaml:20:9: FD*", "*did you mean tensor.set*"])
    ended.stdout.no_fnmatch_line("*Traceback*")


def test_ordinary_tests_and_foreign_yaml_are_left_alone(project: pytest.Pytester) -> None:
    place(project, "scenarios/test_ordinary.py", "def test_it(): pass\n")
    place(project, "scenarios/compose.yaml", "version: 3\nservices: {}\n")
    place(project, "scenarios/api.yaml", "name: an api\nexpect: {status: 200}\n")
    ended = project.runpytest_inprocess(*PLUGIN)
    ended.assert_outcomes(passed=1)


def test_a_scenario_is_known_by_its_schema_or_by_two_of_its_words() -> None:
    assert is_scenario("# yaml-language-server: $schema=../.schema/scenario-v1.json\n")
    assert is_scenario("because: x\nfaults : []\n")
    assert not is_scenario("expect: 1\nexpect: 2\n")
    assert not is_scenario("a:\n  because: x\n  faults: []\n")


def test_cells_are_shared_out_by_xdist(project: pytest.Pytester) -> None:
    place(project, "scenarios/drill.yaml", scenario("drill", 1, 2, 3, 4))
    ended = project.runpytest_subprocess(*PLUGIN, *ALONE, "-n", "2", "scenarios")
    ended.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=1)
    ended.stdout.fnmatch_lines(["missed, expected *"])


def test_the_entry_point_and_the_option_are_one_registration(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    place(project, "site/drill-0.dist-info/METADATA", "Metadata-Version: 2.1\nName: drill\nVersion: 0\n")
    place(project, "site/drill-0.dist-info/entry_points.txt", "[pytest11]\nfiredrill.pytest_plugin = firedrill.pytest_plugin\n")
    place(project, "scenarios/drill.yaml", scenario("drill", 1))
    project.makeini("[pytest]\naddopts = -p firedrill.pytest_plugin\n")
    monkeypatch.setenv("PYTHONPATH", ":".join(["site", *sys.path]))
    project.runpytest_subprocess(*ALONE, "scenarios").assert_outcomes(passed=1)
