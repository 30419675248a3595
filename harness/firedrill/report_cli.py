"""The commands that show what was written down, and run nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from firedrill.screen import FAILED, PASSED, complain, say, show

if TYPE_CHECKING:
    from firedrill.report.beside import Beside
    from firedrill.runner.result import Run


def report(
    path: Annotated[Path, tyro.conf.Positional],
    beside: Annotated[tuple[Path, ...], tyro.conf.Positional] = (),
    *,
    html: Path | None = None,
    md: Path | None = None,
    junit: Path | None = None,
    github: bool = False,
) -> int:
    """Show a run that was written down, as a page, a comment, or what other programs read; nothing is run again.

    Example: firedrill report reports/local/run.json changes.json --html report.html --md report.md

    Exit codes are those of the run, and 1 where something else that is shown is a regression, or, where there is no run, a missed bound;
    2 where a file is none of ours.

    Args:
        path: What firedrill run --json has written, or one of the others alone.
        beside: What else is to be shown, as firedrill compare, bench and coverage and tolaria envelope write it with --json.
        html: Write a page that stands alone to this file.
        md: Write a comment for a pull request to this file, in Markdown.
        junit: Write JUnit XML to this file.
        github: Print an annotation of GitHub for every failed claim, at its line of the scenario.
    """
    from firedrill.compare.compared import Change
    from firedrill.report import annotations, markdown
    from firedrill.report import html as page
    from firedrill.report import junit as xml
    from firedrill.report.beside import read_beside, schema_of
    from firedrill.runner.result import SCHEMA, ForeignResults, exit_code, read_json

    try:
        kept = read_json(path) if schema_of(path) == SCHEMA.name else None
        shown = read_beside(beside if kept else (path, *beside))
    except OSError as error:
        return complain(f"{error.filename}: {error.strerror}; firedrill run --json writes such a file")
    except ForeignResults as error:
        return complain(str(error))
    if kept is None and (md or junit or github):
        return complain(f"--md, --junit and --github tell of cells, and {path} is no run")
    if html is not None:
        page.write(html, kept.cells if kept else (), facts_of(kept) if kept else {}, shown)
    if kept is None:
        return _without_a_run(shown, html)
    if md is not None:
        _write(md, markdown.render(kept, shown.changes))
    if junit is not None:
        _write(junit, xml.render(kept.cells, kept.created))
    show(kept.cells, html)
    for line in annotations.annotations(kept.cells) if github else ():
        say(line)
    code = exit_code(kept.cells)
    regressed = any(one.change is Change.REGRESSION for one in shown.changes or ())
    return FAILED if code == PASSED and regressed else code


def facts_of(kept: "Run") -> dict[str, str]:
    """Where and when a run was, as a page shows it."""
    facts = {"created": kept.created, "machine": kept.machine, "class of machine": kept.machine_class, "commit": kept.commit}
    facts["not complete"] = "" if kept.complete else "cut short, by somebody or by its time"
    return {name: text for name, text in facts.items() if text} | {
        f"version of {package}": version for package, version in kept.versions.items()
    }


def _without_a_run(shown: "Beside", html: Path | None) -> int:
    """What was compared and measured, in tables; the code says the worst of it."""
    from rich.console import Console

    from firedrill.bench.gates import judge
    from firedrill.report import benchmark, comparison
    from firedrill.report.html import measured
    from firedrill.report.ratios import ratios_table
    from firedrill.report.wording import Outcome

    screen = Console()
    if shown.changes is not None:
        screen.print(comparison.table(shown.changes))
    if shown.cases:
        screen.print(benchmark.cases_table(shown.cases))
        screen.print(benchmark.gates_table(judge(shown.cases)))
    if shown.ratios:
        screen.print(ratios_table(shown.ratios))
    end, said = measured(shown)
    say(f"{said}; report: {html}" if html else said)
    return FAILED if end is Outcome.UNEXPECTED else PASSED


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


COMMANDS: dict[str, Callable[..., int]] = {"report": report}
