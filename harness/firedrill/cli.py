"""The command line `firedrill`. Nothing heavy is imported before a command needs it: help and validation load no torch."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from firedrill import bench_cli, campaign_cli, compare_cli, report_cli
from firedrill.conduct import AS_USUAL, Conduct, Conducted, opened
from firedrill.screen import BAD_INPUT, INTERRUPTED, NOTHING_RAN, PASSED, Refused, complain, load, say, show

if TYPE_CHECKING:
    from firedrill.runner.result import CellResult
    from firedrill.scenario.cell import Cell

Paths = Annotated[tuple[Path, ...], tyro.conf.Positional]


def init(name: Annotated[str, tyro.conf.Positional] = "my-scenario", *, folder: Path = Path("scenarios")) -> int:
    """Write a commented scenario to start from; a file that exists is never overwritten.

    Example: firedrill init nan-in-the-head

    Args:
        name: Words joined by hyphens; the file is called so too.
        folder: Where the file goes.
    """
    from firedrill.scenario.load import load_all
    from firedrill.scenario.starter import starter

    path = folder / f"{name}.yaml"
    if path.exists():
        return complain(f"{path} exists and is left as it is")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(starter(name), encoding="utf-8")
    _, problems = load_all([path])
    if problems:
        path.unlink()
        return complain("\n".join(problem.render() for problem in problems))
    say(f"{path} is written; next: firedrill run {path}")
    return PASSED


def list_cells(paths: Paths = (Path("scenarios"),)) -> int:
    """List every cell with its tags.

    Example: firedrill list scenarios/nan

    Args:
        paths: Scenario files and folders of them.
    """
    from firedrill.scenario.cell import cells

    scenarios = load(paths)
    if scenarios is None:
        return BAD_INPUT
    found = [(cell.id, ", ".join(scenario.tags)) for scenario in scenarios for cell in cells(scenario)]
    width = max((len(name) for name, _ in found), default=0)
    say("\n".join(f"{name:{width}}  {tags}".rstrip() for name, tags in found) or "no scenario was found")
    return PASSED if found else NOTHING_RAN


def validate(paths: Paths) -> int:
    """Report every mistake of scenario files at once, with line and column; nothing is run.

    Example: firedrill validate scenarios

    Args:
        paths: Scenario files and folders of them.
    """
    scenarios = load(paths)
    if scenarios is None:
        return BAD_INPUT
    say(f"{len(scenarios)} scenarios are valid" if len(scenarios) != 1 else "1 scenario is valid")
    return PASSED


def explain(path: Annotated[Path, tyro.conf.Positional]) -> int:
    """Say in words what a scenario does and what must hold.

    Example: firedrill explain scenarios/nan/nan-weight-steady-state.yaml

    Args:
        path: One scenario file.
    """
    from firedrill.scenario.explain import explain as in_words

    scenarios = load((path,))
    if scenarios is None:
        return BAD_INPUT
    say("\n\n".join(in_words(scenario) for scenario in scenarios))
    return PASSED


def schema(*, out: Path | None = None) -> int:
    """Write the JSON Schema of scenario files, by which an editor completes and checks them.

    Example: firedrill schema --out scenarios/.schema/scenario-v1.json

    Args:
        out: The file to write; without it the schema is printed.
    """
    from firedrill.scenario.schema import json_schema_text

    if out is None:
        say(json_schema_text().rstrip())
        return PASSED
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json_schema_text(), encoding="utf-8")
    return PASSED


def run(
    paths: Paths,
    *,
    html: Path | None = None,
    k: Annotated[str, tyro.conf.arg(aliases=["-k"])] = "",
    device: Literal["cpu", "cuda", "all"] = "all",
    keep: Path | None = None,
    conduct: Conducted = AS_USUAL,
) -> int:
    """Run scenarios and judge them.

    Example: firedrill run scenarios -k "governor and not slow" --device cpu --html report.html

    Exit codes: 0 all as expected, 1 an expectation failed, 2 bad input, 3 the harness failed, 4 nothing ran, 130 interrupted.

    Args:
        paths: Scenario files and folders of them.
        html: Write a page that stands alone to this file.
        k: Words with and, or, not and brackets, looked for in ids and tags.
        device: Only the cells of this device.
        keep: Keep in this folder all that cells record; those that it already holds from the same code are taken over.
    """
    from firedrill.scenario.cell import cells
    from firedrill.scenario.selection import BadExpression, select

    scenarios = load(paths)
    if scenarios is None:
        return BAD_INPUT
    try:
        chosen = select((cell for scenario in scenarios for cell in cells(scenario)), k)
    except BadExpression as error:
        return complain(f"-k: {error}")
    chosen = [cell for cell in chosen if device in {"all", cell.device}]
    if not chosen:
        say("no cell fits", error=True)
        return NOTHING_RAN
    return _run(chosen, conduct, keep, html)


def judge(
    folder: Annotated[Path, tyro.conf.Positional],
    *,
    oracles: str = "",
    k: Annotated[str, tyro.conf.arg(aliases=["-k"])] = "",
    json: Path | None = None,
    html: Path | None = None,
) -> int:
    """Judge again what firedrill run --keep has kept; nothing is trained, and no torch is loaded.

    Example: firedrill judge reports/local/kept --oracles core,twin --json judged.json

    Exit codes are those of firedrill run; what an oracle needs and nobody recorded makes it answer unknown.

    Args:
        folder: What was given to --keep.
        oracles: Names of oracles and bundles with commas between; by default those of each scenario.
        k: Words with and, or, not and brackets, looked for in ids and tags.
        json: Write the results to this file.
        html: Write a page that stands alone to this file.
    """
    from firedrill.report import console
    from firedrill.report import html as page
    from firedrill.runner.keep import CannotKeep, kept_cells, oracles_named
    from firedrill.runner.result import exit_code, write_json
    from firedrill.scenario.selection import BadExpression, fits

    results: list[CellResult] = []
    names = [name.strip() for name in oracles.split(",") if name.strip()]
    complete = True
    try:
        kept = [one for one in kept_cells(folder) if fits(k, f"{one.cell.id} {' '.join(one.cell.scenario.tags)}")]
        with console.Progress(len(kept)) as progress:
            for one in kept:
                results.append(one.judged(oracles_named(names, one.cell) if names else None))
                progress.ended(results[-1])
    except (CannotKeep, BadExpression) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        complete = False
    if json is not None:
        write_json(json, results, complete)
    if html is not None:
        page.write(html, results, {})
    show(results, html)
    return exit_code(results) if complete else INTERRUPTED


def _run(chosen: "Sequence[Cell]", conduct: Conduct, keep: Path | None, html: Path | None) -> int:
    from firedrill.campaign.campaign import Campaign
    from firedrill.report import console
    from firedrill.report import html as page
    from firedrill.runner.result import exit_code, write_json

    with opened(conduct, keep) as stage, console.Progress(len(chosen)) as progress:
        campaign = Campaign(stage.executor, progress.ended, stage.deadline, stage.keep)
        campaign.run(chosen)
    places = {cell.id: place for place, cell in enumerate(chosen)}
    results = sorted(campaign.results, key=lambda result: places[result.id])
    if conduct.json is not None:
        write_json(conduct.json, results, campaign.complete)
    if html is not None:
        page.write(html, results, {})
    show(results, html)
    if not campaign.complete:
        why = "interrupted" if campaign.interrupted else "out of time"
        say(f"{why}: {len(results)} of {len(chosen)} cells finished", error=True)
    return INTERRUPTED if campaign.interrupted else exit_code(results)


OWN: dict[str, Callable[..., int]] = {
    "init": init,
    "list": list_cells,
    "validate": validate,
    "explain": explain,
    "schema": schema,
    "run": run,
    "judge": judge,
}
COMMANDS = OWN | report_cli.COMMANDS | bench_cli.COMMANDS | compare_cli.COMMANDS | campaign_cli.COMMANDS


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            args=arguments,
            prog="firedrill",
            description="Disturbs training runs on purpose and judges how they take it. Begin with: firedrill init",
        )
    except Refused as refused:
        code = complain(str(refused))
    sys.exit(code)


if __name__ == "__main__":
    main()
