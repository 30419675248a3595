"""The command line `firedrill`. Nothing heavy is imported before a command needs it: help and validation load no torch."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from firedrill import bench_cli, campaign_cli, compare_cli, report_cli
from firedrill.screen import BAD_INPUT, INTERRUPTED, NOTHING_RAN, PASSED, complain, load, say, show

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
    json: Path | None = None,
    html: Path | None = None,
    k: Annotated[str, tyro.conf.arg(aliases=["-k"])] = "",
    device: Literal["cpu", "cuda", "all"] = "all",
    jobs: int | None = None,
) -> int:
    """Run scenarios and judge them.

    Example: firedrill run scenarios -k "governor and not slow" --device cpu --html report.html

    Exit codes: 0 all as expected, 1 an expectation failed, 2 bad input, 3 the harness failed, 4 nothing ran, 130 interrupted.

    Args:
        paths: Scenario files and folders of them.
        json: Write the results to this file.
        html: Write a page that stands alone to this file.
        k: Words with and, or, not and brackets, looked for in ids and tags.
        device: Only the cells of this device.
        jobs: So many cells at once, each in a process of its own with one thread; by default one a core.
    """
    from firedrill.scenario.cell import cells
    from firedrill.scenario.selection import BadExpression, select

    scenarios = load(paths)
    if scenarios is None:
        return BAD_INPUT
    if jobs is not None and jobs < 1:
        return complain(f"--jobs {jobs}: at least one cell must run at a time")
    try:
        chosen = select((cell for scenario in scenarios for cell in cells(scenario)), k)
    except BadExpression as error:
        return complain(f"-k: {error}")
    chosen = [cell for cell in chosen if device in {"all", cell.device}]
    if not chosen:
        say("no cell fits", error=True)
        return NOTHING_RAN
    return _run(chosen, jobs or os.cpu_count() or 1, json, html)


def _run(chosen: "Sequence[Cell]", jobs: int, json: Path | None, html: Path | None) -> int:
    from firedrill.report import console
    from firedrill.report import html as page
    from firedrill.runner.result import exit_code, write_json
    from firedrill.runner.run import run_cells

    results: list[CellResult] = []
    interrupted = False
    with console.Progress(len(chosen)) as progress:

        def on_result(result: "CellResult") -> None:
            results.append(result)
            progress.ended(result)

        try:
            results = run_cells(chosen, jobs, on_result)
        except KeyboardInterrupt:
            # What is finished is kept and shown; the cells under way are not.
            interrupted = True
    if json is not None:
        write_json(json, results)
    if html is not None:
        page.write(html, results, {})
    show(results, html)
    if interrupted:
        say(f"interrupted: {len(results)} of {len(chosen)} cells finished", error=True)
        return INTERRUPTED
    return exit_code(results)


OWN: dict[str, Callable[..., int]] = {
    "init": init,
    "list": list_cells,
    "validate": validate,
    "explain": explain,
    "schema": schema,
    "run": run,
}
COMMANDS = OWN | report_cli.COMMANDS | bench_cli.COMMANDS | compare_cli.COMMANDS | campaign_cli.COMMANDS


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    code = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        args=arguments,
        prog="firedrill",
        description="Disturbs training runs on purpose and judges how they take it. Begin with: firedrill init",
    )
    sys.exit(code)


if __name__ == "__main__":
    main()
