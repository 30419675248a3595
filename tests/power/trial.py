"""What came of one governor in one drill, and the page that keeps all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

COMMAND = "nox -s power -- --write reports/power/README.md"


@dataclass(frozen=True, slots=True)
class Trial:
    """`expected` and `shown` are verdicts; `oracle` is the one that has to answer FAIL, empty where only the verdict counts."""

    governor: str
    drill: str
    expected: str
    shown: str
    oracle: str
    as_expected: bool

    @property
    def is_broken(self) -> bool:
        """Whether this is one of the family, and not the real governor."""
        return self.governor != "the real governor"

    def __str__(self) -> str:
        outcome = ("killed" if self.as_expected else "SURVIVED") if self.is_broken else ("green" if self.as_expected else "RED")
        return f"{outcome:<9} {self.governor} in {self.drill}: {self.shown}, expected {self.expected}"


def page(trials: Sequence[Trial]) -> str:
    """Markdown: the counts, and a row for every broken governor."""
    broken = [trial for trial in trials if trial.is_broken]
    real = [trial for trial in trials if not trial.is_broken]
    rows = [
        f"| {trial.governor} | {trial.drill} | {trial.shown.replace('_', ' ')} | {trial.oracle or '-'} | "
        f"{'yes' if trial.as_expected else '**no**'} |"
        for trial in broken
    ]
    return "\n".join(
        (
            "# Power",
            "",
            "Real code is broken in one way at a time, and a small scenario is recorded with it, control run and all. A broken governor is",
            "killed when its cell has the verdict that was named beforehand, is not green, and the oracle that was named answers FAIL.",
            "",
            f"Written by `{COMMAND}`; `tests/end_to_end/test_power.py` checks the same in every run of the tests.",
            "",
            f"* {sum(trial.as_expected for trial in broken)} of {len(broken)} broken governors are killed.",
            f"* The real governor is green in {sum(trial.as_expected for trial in real)} of {len(real)} drills.",
            "",
            "| broken so that | drill | verdict | oracle | killed |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        )
    )
