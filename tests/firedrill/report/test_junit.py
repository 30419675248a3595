from dataclasses import replace
from xml.etree import ElementTree as ET

from firedrill.report.junit import render
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict


def parsed(*results: CellResult) -> ET.Element:
    return ET.fromstring(render(results, "2026-01-02T03:04:05+00:00").encode())


def test_cells_are_cases_in_a_suite_for_each_area(results: tuple[CellResult, ...]) -> None:
    root = parsed(*results)
    tally = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert tally == {"tests": "8", "failures": "3", "errors": "0", "skipped": "2"}
    assert [(suite.get("name"), suite.get("tests")) for suite in root.iter("testsuite")] == [
        ("faults", "2"),
        ("governor", "4"),
        ("ppo", "2"),
    ]
    assert {case.get("name") for case in root.iter("testcase") if case.find("failure") is not None} == {
        "bn-buffers-poisoned[cpu,11]",
        "kill-relu[cpu,12]",
        "noise-is-harmless[cpu,13]",
    }


def test_a_failure_tells_what_was_expected_what_was_found_and_how_to_see_it(results: tuple[CellResult, ...]) -> None:
    (failure,) = parsed(results[4]).iter("failure")
    assert (failure.get("type"), failure.get("message")) == ("missed", "missed, expected recovered or fail stop")
    assert "detected: env 1: no collapse by step 39" in (failure.text or "")
    assert "firedrill run scenarios/faults/kill-relu.yaml -k 'kill-relu[cpu,12]'" in (failure.text or "")


def test_a_broken_harness_is_an_error_and_not_a_failure(fossil: CellResult) -> None:
    root = parsed(replace(fossil, verdict=Verdict.HARNESS_ERROR, passed=False))
    assert (root.get("errors"), root.get("failures")) == ("1", "0")
    assert len(list(root.iter("error"))) == 1


def test_gaps_and_cells_that_were_not_run_are_skipped_with_their_reason(results: tuple[CellResult, ...]) -> None:
    skipped = [element.get("message") for element in parsed(*results).iter("skipped")]
    assert skipped == ["there is no CUDA device", "the row of the penalty is found one rollout late"]


def test_what_xml_cannot_hold_does_not_break_the_document(results: tuple[CellResult, ...]) -> None:
    root = parsed(replace(results[4], reason="torn \x00\x1b[31m <b>", id="a\ud800b"))
    assert "torn �" in (next(root.iter("failure")).text or "")
    assert next(root.iter("testcase")).get("name") == "a�b"
