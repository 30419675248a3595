from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from firedrill import cli
from firedrill.bench import record
from firedrill.bench.ratios import Measured
from firedrill.bench.ratios import write_json as write_ratios
from firedrill.bench.record import Case
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.record import write_comparison
from firedrill.oracles.oracle import Answer, Finding
from firedrill.report.markdown import MARKER
from firedrill.runner.result import CellResult, write_json
from firedrill.runner.verdict import Verdict

SCENARIO = "version: 1\nname: mine\nexpect:\n  - twin\n"
GREEN = CellResult(
    id="mine[cpu,seed=11]",
    scenario="mine",
    file="mine.yaml",
    because="A NaN must not last.",
    tags=("governor",),
    device="cpu",
    seed=11,
    verdict=Verdict.RECOVERED,
    expected=(Verdict.RECOVERED,),
    passed=True,
    reason="rolled back once",
    findings=(Finding("twin", Answer.PASS, "", "equal"),),
    seconds=1.5,
    rollbacks=1,
    penalties=1,
)
# What a take is held against.
PEERS = ("deepcopy of state_dict", "StateDictStager")
RED = replace(GREEN, passed=False, findings=(Finding("twin", Answer.FAIL, "env 1, step 5", "diverges"),))


def command(*arguments: str) -> int:
    """Run a command and give its exit code."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scenario, and a run in which it failed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    write_json(tmp_path / "run.json", [RED])
    return tmp_path


def test_a_comment_and_junit_are_written_where_they_are_wanted(here: Path) -> None:
    assert command("report", "run.json", "--md", "made/report.md", "--junit", "made/junit.xml") == 1
    assert (here / "made" / "report.md").read_text(encoding="utf-8").startswith(f"{MARKER}\n## ✗ 1 of 1 cell did not end as expected")
    assert ET.parse(here / "made" / "junit.xml").getroot().get("failures") == "1"


def test_annotations_are_printed_only_where_they_are_wanted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("report", "run.json")
    assert "::error" not in capsys.readouterr().out
    command("report", "run.json", "--github")
    assert "::error file=mine.yaml,line=4,title=twin%3A fail::mine[cpu,seed=11]: env 1, step 5: diverges" in capsys.readouterr().out


@pytest.mark.parametrize(("change", "code"), [(Change.REGRESSION, 1), (Change.INCONCLUSIVE, 0)])
def test_a_regression_that_is_shown_is_a_failure(here: Path, change: Change, code: int) -> None:
    write_json(here / "run.json", [GREEN])
    write_comparison(here / "changes.json", [Compared("take, 1M", "CPU time", MetricClass.TIMING, change, "1 µs", "1.3 x")])
    assert command("report", "run.json", "changes.json", "--html", "page.html") == code
    assert f"{change.value}</span>" in (here / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("value", "code"), [(1.8, 0), (1.6, 1)])
def test_a_benchmark_is_shown_without_a_run(here: Path, capsys: pytest.CaptureFixture[str], value: float, code: int) -> None:
    found = Measured("one / two", value, value, value, 1.7, False, "cpu", False, {"above": (1.8, 1.7), "below": (1.0, 1.0)}, 1)
    write_ratios(here / "ratios.json", {"cores": "2"}, {}, [found])
    assert command("report", "ratios.json", "--html", "page.html") == code
    assert f"1 bounds: {code} missed; report: page.html" in capsys.readouterr().out
    page = (here / "page.html").read_text(encoding="utf-8")
    assert f"<title>1 bounds: {code} missed – firedrill</title>" in page
    assert f'<header class="top {"unexpected" if code else "expected"}">' in page
    assert "<desc" in page
    assert "one / two: " in page
    assert "ratios.json was measured on" in page
    # Nothing that only cells have.
    assert not any(words in page for words in ("Skip to the cells", "What the verdicts mean", 'id="filter"', "<script>"))


def test_a_benchmark_of_snapshots_and_a_comparison_are_shown_without_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = Case("take", 100_000, 30, "hot", 3.1, dict.fromkeys(PEERS, 20.0), 1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 1, False, (1e-5,))
    record.write_json(here / "bench.json", record.Record({}, {}, (case,)))
    assert command("report", "bench.json", "--html", "page.html") == 1
    assert "3 bounds: 1 missed; report: page.html" in capsys.readouterr().out
    change = Compared("take, 1M", "CPU time", MetricClass.TIMING, Change.REGRESSION, "1 µs", "1.3 x")
    write_comparison(here / "changes.json", [change])
    assert command("report", "changes.json") == 1
    assert capsys.readouterr().out.endswith("1 regression\n")


@pytest.mark.parametrize("wanted", [("--md", "report.md"), ("--junit", "junit.xml"), ("--github",)])
def test_what_tells_of_cells_needs_a_run(here: Path, capsys: pytest.CaptureFixture[str], wanted: tuple[str, ...]) -> None:
    write_ratios(here / "ratios.json", {}, {}, [])
    assert command("report", "ratios.json", *wanted) == 2
    assert capsys.readouterr().err == "--md, --junit and --github tell of cells, and ratios.json is no run\n"
    assert not (here / "report.md").exists()


def test_a_file_that_is_none_of_ours_is_told_in_a_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "other.json").write_text('{"schema": "somebody.else/1"}')
    assert command("report", "other.json") == 2
    assert capsys.readouterr().err.startswith("other.json: its schema is 'somebody.else/1'; a report shows what firedrill run (")


def test_what_cannot_be_shown_is_bad_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("report", "run.json", "nothing.json") == 2
    assert capsys.readouterr().err.startswith("nothing.json: ")
    assert command("report", "run.json", "run.json") == 2
