"""What the files of continuous integration promise: who may write, whose code runs where, and that nothing is checked only there."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from firedrill.report.markdown import LENGTH_MAX, MARKER

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github" / "workflows"
NAMES = ("checks", "gpu", "nightly", "report")


def workflow(name: str) -> dict[str, Any]:
    """A workflow as YAML 1.2 reads it, where `on` is a word."""
    read: dict[str, Any] = YAML(typ="safe", pure=True).load(FOLDER / f"{name}.yml")
    return read


def steps(name: str) -> Iterator[dict[str, Any]]:
    """Every step of every job."""
    for job in workflow(name)["jobs"].values():
        yield from job["steps"]


def test_these_are_all_workflows() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", ["checks", "gpu", "nightly"])
def test_whatever_runs_code_can_only_read(name: str) -> None:
    found = workflow(name)
    assert found["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in found["jobs"].values())
    checkouts = [step for step in steps(name) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("name", NAMES)
def test_no_workflow_runs_a_pull_request_with_the_rights_of_the_repository(name: str) -> None:
    assert "pull_request_target" not in workflow(name)["on"]
    assert "secrets." not in (FOLDER / f"{name}.yml").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_job_ends_and_nothing_from_outside_is_pasted_into_a_script(name: str) -> None:
    assert all(job["timeout-minutes"] <= 150 for job in workflow(name)["jobs"].values())
    scripts = [step.get("run", "") + str(step.get("with", {}).get("script", "")) for step in steps(name)]
    assert not any("${{" in script for script in scripts)


def test_the_workflow_that_may_write_checks_nothing_out_and_runs_nothing_of_the_pull_request() -> None:
    found = workflow("report")
    assert set(found["on"]) == {"workflow_run"}
    assert found["on"]["workflow_run"]["workflows"] == [workflow("checks")["name"]]
    assert found["permissions"] == {}
    (job,) = found["jobs"].values()
    assert job["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert job["if"] == "github.event.workflow_run.event == 'pull_request'"
    assert [step["uses"].partition("@")[0] for step in job["steps"]] == ["actions/download-artifact", "actions/github-script"]
    assert not any("run" in step for step in job["steps"])


def test_the_comment_is_found_again_goes_to_its_own_pull_request_and_calls_nobody() -> None:
    script = next(step["with"]["script"] for step in steps("report") if "script" in step.get("with", {}))
    assert f'const marker = "{MARKER}"' in script
    assert f"slice(0, {LENGTH_MAX})" in script
    assert "pull.head.sha !== run.head_sha" in script
    assert 'replaceAll("@"' in script
    assert "updateComment" in script


def test_what_is_downloaded_is_what_was_uploaded() -> None:
    uploaded = [step["with"]["name"] for step in steps("checks") if step.get("uses", "").startswith("actions/upload-artifact@")]
    downloaded = [step["with"]["name"] for step in steps("report") if step.get("uses", "").startswith("actions/download-artifact@")]
    assert uploaded == downloaded == ["report"]


def test_the_gpu_is_used_by_one_run_at_a_time_and_only_when_somebody_labels_it() -> None:
    found = workflow("gpu")
    assert found["on"] == {"pull_request": {"types": ["labeled"]}}
    assert found["concurrency"] == {"group": "gpu", "cancel-in-progress": False}
    (job,) = found["jobs"].values()
    assert job["if"] == "github.event.label.name == 'gpu'"
    assert job["runs-on"] == ["self-hosted", "gpu"]


def test_everything_else_runs_on_hosted_machines() -> None:
    jobs = [job for name in ("checks", "nightly", "report") for job in workflow(name)["jobs"].values()]
    assert {job["runs-on"] for job in jobs} == {"ubuntu-latest"}


def test_every_session_that_runs_there_can_be_run_here() -> None:
    defined = set(re.findall(r"^def (\w+)\(session: nox\.Session\) -> None:", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    called = {session for name in NAMES for step in steps(name) for session in re.findall(r"nox -s (\w+)", step.get("run", ""))}
    called |= set(workflow("checks")["jobs"]["checks"]["strategy"]["matrix"]["session"])
    assert called == {"lint", "types", "tests", "page", "scenarios", "against", "report", "gpu", "nightly"}
    assert called <= defined


def test_the_script_that_posts_is_javascript(tmp_path: Path) -> None:
    """Parsed by node where there is one: a mistake in it would show only after a merge."""
    script = next(step["with"]["script"] for step in steps("report") if "script" in step.get("with", {}))
    (tmp_path / "script.mjs").write_text(f"async function post(github, context, core, require) {{\n{script}\n}}\n")
    try:
        ended = subprocess.run(["node", "--check", tmp_path / "script.mjs"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("node is not installed")
    assert ended.returncode == 0, ended.stderr
