"""The score of each module, and the page that keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass

from mutation.mutants import Change
from mutation.triage import Known

COMMAND = "nox -s mutation -- --write reports/mutation/README.md"


@dataclass(frozen=True, slots=True)
class Score:
    """How many changes of a module were made, and which of them no test noticed."""

    module: str
    total: int
    survivors: tuple[tuple[Change, Known | None], ...]

    @staticmethod
    def of_all(scores: "Sequence[Score]") -> "Score":
        """All modules as one."""
        return Score("all", sum(score.total for score in scores), tuple(left for score in scores for left in score.survivors))

    @property
    def killed(self) -> int:
        """Changes that a test noticed."""
        return self.total - len(self.survivors)

    @property
    def equivalent(self) -> int:
        """Changes that no test can notice."""
        return sum(known is not None and known.label == "equivalent" for _, known in self.survivors)

    @property
    def raw(self) -> float:
        """Percent noticed of all changes."""
        return 100.0 * self.killed / self.total if self.total else 100.0

    @property
    def percent(self) -> float:
        """Percent noticed of the changes that can be."""
        possible = self.total - self.equivalent
        return 100.0 * self.killed / possible if possible else 100.0

    def __str__(self) -> str:
        counts = f"{self.killed} of {self.total} noticed, {self.equivalent} equivalent"
        return f"{self.module}: {counts}: {self.percent:.1f} % (raw {self.raw:.1f} %)"


def page(scores: Sequence[Score], unmeasured: Sequence[str], score_min: float) -> str:
    """Markdown: a table of scores, every survivor with its reason, and what has no score."""
    rows = [_row(score) for score in [*scores, Score.of_all(scores)]]
    lists = [line for score in scores if score.survivors for line in ("", f"## {score.module}", "", *map(_survivor, score.survivors))]
    return "\n".join(
        (
            "# Mutation score",
            "",
            "Each module is changed in one small way at a time (a comparison, a number, an argument, an entry of a table), and its",
            f"tests are run against the change. At least {score_min} % of the changes that can be noticed must be, in every module, and",
            "every survivor has a reason in `tests/mutation/triage.toml`. This page was written by",
            "",
            f"    {COMMAND}",
            "",
            "What was measured of a module is kept in `scores.json` beside this page until the module changes: `--unmeasured` tries",
            "only modules that have changed since, `--only jury` one module, `--survivors` only what nothing had noticed before tests",
            "were added, and `--read` nothing. So this page may be put together from several runs.",
            "",
            "| module | changes | noticed | equivalent | score | raw score |",
            "|---|--:|--:|--:|--:|--:|",
            *rows,
            "",
            "The score is noticed / (changes - equivalent); the raw one is noticed / changes.",
            "",
            "# Survivors",
            *lists,
            *(("", "# Not measured as they are now", "", *(f"- `{module}`" for module in unmeasured)) if unmeasured else ()),
            "",
        )
    )


def _row(score: Score) -> str:
    counts = f"{score.total} | {score.killed} | {score.equivalent}"
    return f"| `{score.module}` | {counts} | {score.percent:.1f} % | {score.raw:.1f} % |"


def _survivor(found: tuple[Change, Known | None]) -> str:
    change, known = found
    reason = f"{known.label} because {known.because}" if known else "not looked at yet"
    return f"- `{change.where}`: `{change.before}` -> `{change.after}`: {reason}"
