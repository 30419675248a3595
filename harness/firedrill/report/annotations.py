"""Failed claims as annotations of GitHub: a line of output each, shown there at the line of the scenario that made the claim."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from firedrill.report.wording import Outcome, blamed, contrast, outcome
from firedrill.runner.result import CellResult
from firedrill.scenario.claims import Claims, Spot
from firedrill.scenario.scenario import GENERATED


def annotations(results: Sequence[CellResult]) -> list[str]:
    """One command for each line that a failed claim stands in, whatever number of cells failed there."""
    failed = [result for result in results if outcome(result) is Outcome.UNEXPECTED]
    claims = {result.file: Claims(Path(result.file)) for result in failed}
    told: dict[Spot, dict[str, list[str]]] = {}
    for result in failed:
        for spot, title, line in _failed_claims(result, claims[result.file]):
            told.setdefault(spot, {}).setdefault(title, []).append(line)
    return [_command(result_spot, titles) for result_spot, titles in told.items()]


def _failed_claims(result: CellResult, claims: Claims) -> Iterator[tuple[Spot, str, str]]:
    if GENERATED in result.tags:
        # No file holds it.
        yield Spot("", 0), "a generated case is not as expected", f"{result.id}: {contrast(result)}: {result.reason}"
        return
    if result.known_gap and result.passed:
        yield claims.key("known_gap"), "a known gap has closed", f"{result.id}: remove the note"
        return
    if result.verdict not in result.expected:
        yield claims.verdict(), contrast(result), f"{result.id}: {result.reason}"
    for finding in blamed(result):
        yield claims.oracle(finding.oracle), f"{finding.oracle}: {finding.answer}", f"{result.id}: {finding.place}: {finding.detail}"


def _command(spot: Spot, titles: dict[str, list[str]]) -> str:
    lines = [line for group in titles.values() for line in group]
    properties = {"file": spot.file, "line": str(spot.line)} if spot.file else {}
    properties["title"] = ", ".join(titles)
    return f"::error {','.join(f'{name}={_property(value)}' for name, value in properties.items())}::{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    # As the runner decodes them; anything else could begin a command of its own.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
