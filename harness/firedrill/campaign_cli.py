"""The commands of campaigns: many cells at once, and what to do with one that failed.

Each keeps what is finished when it is interrupted (code 130), and begins no cell after its time budget.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from firedrill.conduct import AS_USUAL, Conducted, opened
from firedrill.screen import BAD_INPUT, FAILED, HARNESS_BROKEN, INTERRUPTED, NOTHING_RAN, PASSED, complain, load, say, show

if TYPE_CHECKING:
    from firedrill.campaign.campaign import Campaign
    from firedrill.campaign.compare import Measured
    from firedrill.scenario.cell import Cell

Corpus = Path("reports/local/corpus.jsonl")


def fuzz(
    *,
    seed: int = 0,
    cases: int = 100,
    first: int = 0,
    keep: Path | None = None,
    corpus: Path = Corpus,
    conduct: Conducted = AS_USUAL,
) -> int:
    """Run random scenarios of several faults on the real loop, after everything that failed before.

    Example: firedrill fuzz --seed 7 --cases 200 --time-budget 300 --json fuzz.json

    Exit codes: 0 all as expected, 1 a case failed, 2 bad input, 3 the planted bug was not found, 4 nothing ran, 130 interrupted.

    Args:
        seed: The seed of the campaign; case i is made from H(seed, i) and from nothing else.
        cases: So many cases.
        first: The number of the first case.
        keep: Keep in this folder all that cells record; those that it already holds from the same code are taken over.
        corpus: The file of cells that failed; they are run first, and what fails is added.
    """
    from firedrill.campaign import corpus as failing
    from firedrill.campaign.campaign import Campaign
    from firedrill.campaign.fuzz import case_of, struck_only
    from firedrill.report.console import Progress
    from firedrill.scenario.token import BadToken, cell_of

    try:
        known = [cell_of(entry.token) for entry in failing.read(corpus)]
    except (failing.ForeignCorpus, BadToken) as error:
        return complain(f"{corpus}: {error}")
    say(f"campaign seed {seed}, cases {first} to {first + cases - 1}, {len(known)} of the corpus first", error=True)
    with opened(conduct, keep) as stage:
        with Progress(len(known) + cases) as progress:
            campaign = Campaign(stage.executor, progress.ended, stage.deadline, stage.keep)
            campaign.run(known, struck_only)
            if not campaign.interrupted:
                campaign.run((case_of(seed, case) for case in range(first, first + cases)), struck_only)
        return _concluded(campaign, conduct.json, corpus)


def enumerate_plants(
    *,
    k: Annotated[str, tyro.conf.arg(aliases=["-k"])] = "",
    device: Literal["cpu", "cuda"] = "cpu",
    keep: Path | None = None,
    corpus: Path = Corpus,
    conduct: Conducted = AS_USUAL,
) -> int:
    """Run every fault at every seam in every topology of the tiny subject, and an error at every operation of the governor.

    Example: firedrill enumerate -k "tensor-set and blended" --json enumerated.json

    Exit codes: 0 all as expected, 1 a cell failed, 2 bad input, 3 the planted bug was not found, 4 nothing ran, 130 interrupted.

    Args:
        k: Words with and, or, not and brackets, looked for in names such as fail-at-snapshot or branch-relapse.
        device: Where the cells run.
        keep: Keep in this folder all that cells record; those that it already holds from the same code are taken over.
        corpus: What fails is added to this file.
    """
    from firedrill.campaign.branches import branches
    from firedrill.campaign.campaign import Campaign
    from firedrill.campaign.enumeration import FailAtEvery, planted
    from firedrill.report.console import Progress
    from firedrill.scenario.selection import BadExpression, fits

    series = FailAtEvery(device, k)
    try:
        fits(k, "")
    except BadExpression as error:
        return complain(f"-k: {error}")
    with opened(conduct, keep) as stage:
        with Progress(None) as progress:
            campaign = Campaign(stage.executor, progress.ended, stage.deadline, stage.keep)
            campaign.run(cell for source in (planted(device, k), branches(device, k)) for cell in source)
            if not campaign.interrupted:
                campaign.run(series.cells(), series.end)
        return _concluded(campaign, conduct.json, corpus)


def replay(
    sources: Annotated[tuple[str, ...], tyro.conf.Positional],
    *,
    keep: Path | None = None,
    conduct: Conducted = AS_USUAL,
) -> int:
    """Run cells again that are named by their tokens, or by a file of results and an id in it.

    Example: firedrill replay "fuzz.json#fuzz/case-7-12[cpu,seed=1371]"

    Says for each cell whether its history has the same bytes as before, where that is known. Exit codes as of firedrill run.

    Args:
        sources: Tokens, and names of cells as FILE#ID.
        keep: Keep in this folder all that cells record; those that it already holds from the same code are taken over.
    """
    from firedrill.campaign.campaign import Campaign
    from firedrill.campaign.replay import NotFound, found
    from firedrill.report.console import Progress
    from firedrill.runner.result import exit_code

    try:
        wanted = [found(source) for source in sources]
    except NotFound as error:
        return complain(str(error))
    with opened(conduct, keep) as stage, Progress(len(wanted)) as progress:
        campaign = Campaign(stage.executor, progress.ended, stage.deadline, stage.keep)
        campaign.run(one.cell for one in wanted)
    _write(campaign, conduct.json)
    before = {one.cell.id: one.digest for one in wanted if one.digest}
    for result in campaign.results:
        if result.id in before:
            same = "the same bytes as before" if result.history_digest == before[result.id] else "OTHER BYTES than before"
            say(f"{result.id}: {same}")
        say(f"{result.id}: {result.verdict.value}: {result.reason}")
    return INTERRUPTED if campaign.interrupted else exit_code(campaign.results)


def shrink(
    source: Annotated[str, tyro.conf.Positional],
    *,
    out: Path | None = None,
    conduct: Conducted = AS_USUAL,
) -> int:
    """Make a scenario as small as it can be while it still fails in the same way; prints it as YAML and as a pytest.

    Example: firedrill shrink scenarios/mine.yaml --out shrunk

    Exit codes: 0 it is 1-minimal, 1 it is smaller but time ran out, 2 bad input, 130 interrupted; both of these print what there is.

    Args:
        source: A token, a cell as FILE#ID, or a scenario file with one cell.
        out: A folder for the scenario and the test.
    """
    from json import dumps

    from firedrill.campaign.replay import NotFound, found
    from firedrill.campaign.reproducer import as_pytest
    from firedrill.campaign.shrink import NothingToShrink, Shrinker
    from firedrill.scenario.token import token_of

    try:
        cell = _cell_of_file(Path(source)) if Path(source).suffix in {".yaml", ".yml"} else found(source).cell
    except NotFound as error:
        return complain(str(error))
    if cell is None:
        return BAD_INPUT
    try:
        with opened(conduct) as stage:
            shrunk = Shrinker(cell, stage.executor, lambda line: say(line, error=True), stage.deadline).search()
    except NothingToShrink as nothing:
        return complain(str(nothing))
    name = cell.scenario.name
    test = as_pytest(name, cell.scenario.because, shrunk.yaml)
    extent = "1-minimal" if shrunk.minimal else "not yet 1-minimal"
    say(f"{shrunk.yaml}\n{test}\n{extent} after {shrunk.runs} runs, fails by {shrunk.failure}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.yaml").write_text(shrunk.yaml, encoding="utf-8")
        (out / f"test_{name.replace('-', '_')}.py").write_text(test, encoding="utf-8")
    if conduct.json is not None:
        facts = {"failure": str(shrunk.failure), "runs": shrunk.runs, "minimal": shrunk.minimal, "complete": shrunk.minimal}
        facts |= {"token": token_of(shrunk.cell), "yaml": shrunk.yaml, "pytest": test}
        conduct.json.write_text(dumps(facts, indent=1) + "\n", encoding="utf-8")
    return PASSED if shrunk.minimal else INTERRUPTED if shrunk.interrupted else FAILED


def coverage(
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    json: Path | None = None,
    page: Path | None = None,
    gaps: bool = False,
) -> int:
    """List which cells of faults, seams, devices, topologies and answers were exercised by runs, and which branches of the governor.

    Example: firedrill coverage reports/local/run.json enumerated.json fuzz.json

    Exit codes: 0 at least 95 % of the CPU cells are exercised and every mark is hit or explained, 1 not so, 2 bad input.

    Args:
        paths: What firedrill run, enumerate, fuzz and replay wrote with --json.
        json: Write every cell and every mark to this file.
        page: Write a page for people to this file, README.md for example, and its numbers to summary.json beside it.
        gaps: Name every cell that was not run.
    """
    from json import dumps

    from rich.console import Console

    from firedrill.campaign.coverage import coverage_of
    from firedrill.report import campaigns
    from firedrill.report import coverage as tables
    from firedrill.runner.result import ForeignResults, read_json

    try:
        runs = {path: read_json(path) for path in paths}
    except (OSError, ForeignResults) as error:
        return complain(str(error))
    for path in (path for path, one in runs.items() if not one.complete):
        say(f"{path} is partial: its run was interrupted or out of time", error=True)
    results = [result for one in runs.values() for result in one.cells]
    found = coverage_of(results)
    screen = Console()
    screen.print(tables.cells_table(found))
    screen.print(tables.marks_table(found))
    screen.print(tables.summary(found, gaps), markup=False, highlight=False)
    if json is not None:
        json.write_text(tables.as_json(found), encoding="utf-8")
    if page is not None:
        page.write_text(campaigns.page(results, found), encoding="utf-8")
        summary = dumps(campaigns.summary_of(results, found), indent=1)
        page.with_name("summary.json").write_text(summary + "\n", encoding="utf-8")
    return PASSED if found.holds else FAILED


def compare_governors(
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional] = (Path("scenarios"),),
    *,
    k: Annotated[str, tyro.conf.arg(aliases=["-k"])] = "",
    markdown: Path | None = None,
    keep: Path | None = None,
    conduct: Conducted = AS_USUAL,
) -> int:
    """Run the scenarios of loops with every recovery mechanism there is, tolaria's and others', and print who survives what.

    Example: firedrill compare-governors scenarios/loops -k "plain_loop and not zclip" --json table.json

    Exit codes: 0 measured, 1 a file claims something else of the mechanism that it names, 2 bad input, 3 the harness failed,
    4 nothing ran, 130 interrupted.

    Args:
        paths: Scenario files and folders of them; those of tolaria's own training are passed over.
        k: Words with and, or, not and brackets, looked for in ids such as loops/nan-weight[cpu,seed=3,lightning+tolaria].
        markdown: Write the tables to this file.
        keep: Keep in this folder all that cells record; those that it already holds from the same code are taken over.
    """
    from rich.console import Console

    from firedrill.campaign.campaign import Campaign
    from firedrill.campaign.compare import Comparison, as_json
    from firedrill.report import mechanisms as page
    from firedrill.report.console import Progress
    from firedrill.scenario.selection import BadExpression, fits

    scenarios = load(paths)
    if scenarios is None:
        return BAD_INPUT
    comparison = Comparison(scenarios)
    try:
        chosen = [cell for cell in comparison.cells() if fits(k, cell.id)]
    except BadExpression as error:
        return complain(f"-k: {error}")
    with opened(conduct, keep) as stage, Progress(len(chosen)) as progress:
        campaign = Campaign(stage.executor, progress.measured, stage.deadline, stage.keep)
        campaign.run(chosen)
    measured = comparison.measured(campaign.results)
    screen = Console()
    for table in (*page.tables(measured), page.legend(measured), page.summary(measured)):
        screen.print(table)
    if conduct.json is not None:
        conduct.json.write_text(as_json(measured), encoding="utf-8")
    if markdown is not None:
        markdown.write_text(page.markdown(measured), encoding="utf-8")
    ended = ", interrupted" if campaign.interrupted else ", out of time" if campaign.out_of_time else ""
    say(f"{len(measured)} of {len(chosen)} cells measured{ended}")
    return INTERRUPTED if campaign.interrupted else _compared(measured)


def _compared(measured: "Sequence[Measured]") -> int:
    """Name what is not as it should be, and find the code for it."""
    from firedrill.campaign.compare import contradicted
    from firedrill.runner.verdict import Verdict

    broken = [one for one in measured if one.verdict is Verdict.HARNESS_ERROR]
    wrong = contradicted(measured)
    for one in [*broken, *wrong]:
        say(f"{one.scenario} with {one.column}: {one.verdict.value}: {one.reason}")
    if broken:
        return HARNESS_BROKEN
    if all(one.verdict is Verdict.NOT_RUN for one in measured):
        return NOTHING_RAN
    return FAILED if wrong else PASSED


def _concluded(campaign: "Campaign", json: Path | None, corpus: Path) -> int:
    """Prove that the campaign sees, keep what it found, and say it."""
    from firedrill.campaign import corpus as failing
    from firedrill.campaign.failure import failure_of

    if campaign.results and not campaign.interrupted:
        campaign.look_for_canary()
    _write(campaign, json)
    red = campaign.red
    show(red or campaign.results[-1:], None)
    for result in red:
        say(f"{result.id}: {failure_of(result)}\n  firedrill shrink {result.token}")
    if red:
        added = failing.add(corpus, [failing.Entry(result.id, str(failure_of(result)), result.token) for result in red])
        say(f"{added} new in {corpus}")
    ended = ", interrupted" if campaign.interrupted else ", out of time" if campaign.out_of_time else ""
    seen = f"seen in {campaign.canary.id}" if campaign.canary else "NOT SEEN, so that green means nothing here"
    counts = f"{len(campaign.results)} cells, {len(red)} not as expected, {campaign.idle} in which a fault never struck"
    say(f"{counts}{ended}; planted bug: {seen}")
    if campaign.interrupted:
        return INTERRUPTED
    if not campaign.results:
        return NOTHING_RAN
    return FAILED if red else PASSED if campaign.canary else HARNESS_BROKEN


def _write(campaign: "Campaign", json: Path | None) -> None:
    from firedrill.runner.result import write_json

    if json is not None:
        write_json(json, campaign.results, campaign.complete)


def _cell_of_file(path: Path) -> "Cell | None":
    from firedrill.scenario.cell import cells

    scenarios = load((path,))
    if scenarios is None:
        return None
    found = [cell for scenario in scenarios for cell in cells(scenario) if cell.device == "cpu"] or cells(scenarios[0])
    return found[0]


COMMANDS: dict[str, Callable[..., int]] = {
    "fuzz": fuzz,
    "enumerate": enumerate_plants,
    "replay": replay,
    "shrink": shrink,
    "coverage": coverage,
    "compare-governors": compare_governors,
}
