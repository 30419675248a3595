"""Changes the decisions of the project one by one and counts which changes no test notices.

`[tool.mutation]` in `pyproject.toml` names the modules and the tests that speak for them; `triage.toml` says of every change
that stays unnoticed why it may. What was measured is kept in `reports/mutation/scores.json`, so that modules can be measured one
at a time. The session fails below the score, and where a survivor is not in the triage.
"""

import argparse
import importlib
import sys
import time
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import grimp
from mutation.kept import Kept, Measured
from mutation.mutants import mutants
from mutation.report import Score, page
from mutation.triage import Triage
from mutation.trial import Trial, survivors

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "src"
SCORES = ROOT / "reports" / "mutation" / "scores.json"


def main() -> int:
    """The command line; the exit status is 1 where the tests are not good enough."""
    options = _options()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutation"]
    triage, kept = Triage.read(ROOT / "tests" / "mutation" / "triage.toml"), Kept(options.scores)
    suites = {module: suite for suite in settings["suites"] for module in suite["modules"]}
    chosen = [module for module in suites if any(text in module for text in options.only.split(","))]
    if not options.read:
        for name in settings["preload"]:
            importlib.import_module(name)
        for module in _unmeasured(chosen, _scores(chosen, kept, triage)) if options.unmeasured else chosen:
            _measure(module, _groups(module, suites[module]), kept, options)
            _show(*_scores([module], kept, triage))
    if options.write:
        scores = _scores(suites, kept, triage)
        options.write.write_text(page(scores, _unmeasured(suites, scores), settings["score_min"]), encoding="utf-8")
    scores = _scores(chosen, kept, triage)
    return _verdict(scores, _unmeasured(chosen, scores), settings["score_min"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="try only modules whose path holds one of these, separated by commas")
    parser.add_argument("--jobs", type=int, default=1, help="so many trials at once")
    parser.add_argument("--survivors", action="store_true", help="try only what survived last time, after tests were added")
    parser.add_argument("--unmeasured", action="store_true", help="try only modules that are not measured as they are now")
    parser.add_argument("--read", action="store_true", help="try nothing, go by what is kept")
    parser.add_argument("--scores", type=Path, default=SCORES, metavar="FILE", help="where it is kept")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page of reports/mutation there")
    return parser.parse_args()


def _groups(module: str, suite: dict[str, list[str]]) -> tuple[tuple[str, ...], ...]:
    """The test files, group by group, as the suite lists them.

    Where it speaks for several modules, those named like this one come first, because most changes are noticed there.
    """
    groups = [tuple(sorted(map(str, (ROOT / place).rglob("test_*.py")))) or (str(ROOT / place),) for place in suite["tests"]]
    if len(suite["modules"]) == 1:
        return tuple(groups)
    own = tuple(file for group in groups for file in group if Path(file).stem == f"test_{Path(module).stem}")
    others = [tuple(file for file in group if file not in own) for group in groups]
    return tuple(group for group in (own, *others) if group)


def _measure(module: str, tests: tuple[tuple[str, ...], ...], kept: Kept, options: argparse.Namespace) -> None:
    path = SOURCES / module
    source, name = path.read_text(encoding="utf-8"), ".".join(Path(module).with_suffix("").parts).removesuffix(".__init__")
    found = mutants(source)
    last = kept.of(module, source) if options.survivors else None
    begun = time.monotonic()
    knowing = frozenset(grimp.build_graph("tolaria").find_downstream_modules(name))
    healthy = [alive for _, alive in survivors([Trial(name, path, source, tests, knowing)], limit_s=600.0, jobs=1)]
    if healthy != [True]:
        sys.exit(f"{module}: its tests fail without any change: {tests}")
    limit_s = 10.0 + 5.0 * (time.monotonic() - begun)
    trials = [Trial(name, path, code, tests, knowing) for code, change in found.items() if last is None or change in last.survivors]
    alive = {trial.code for trial, survived in survivors(trials, limit_s, options.jobs) if survived}
    kept.put(module, source, Measured(len(found), tuple(change for code, change in found.items() if code in alive)))


def _scores(modules: Iterable[str], kept: Kept, triage: Triage) -> list[Score]:
    """Of the modules that were measured as they are now."""
    scores = []
    for module in modules:
        measured = kept.of(module, (SOURCES / module).read_text(encoding="utf-8"))
        if measured:
            scores.append(Score(module, measured.total, tuple((change, triage.of(module, change)) for change in measured.survivors)))
    return scores


def _unmeasured(modules: Iterable[str], scores: Sequence[Score]) -> list[str]:
    return [module for module in modules if module not in {score.module for score in scores}]


def _show(score: Score) -> None:
    print(score, flush=True)
    for change, known in score.survivors:
        label = known.label if known else "UNKNOWN"
        print(f"    {label}: {change.where}\n        - {change.before}\n        + {change.after}", flush=True)


def _verdict(scores: Sequence[Score], unmeasured: Sequence[str], score_min: float) -> int:
    low = [score.module for score in scores if score.percent < score_min]
    unknown = sum(known is None for score in scores for _, known in score.survivors)
    print(Score.of_all(scores))
    if low:
        print(f"below {score_min} %: {', '.join(low)}")
    if unknown:
        print(f"{unknown} survivors are not in tests/mutation/triage.toml")
    if unmeasured:
        print(f"not measured as they are now: {', '.join(unmeasured)}")
    return 1 if low or unknown or unmeasured else 0


if __name__ == "__main__":
    sys.exit(main())
