"""Changes the decisions of the project one by one and counts which changes no test notices.

`[tool.mutation]` in `pyproject.toml` names the modules and the tests that speak for them; `triage.toml` says of every change
that stays unnoticed why it may. The session fails below the score, and where a survivor is not in the triage.
"""

import argparse
import importlib
import sys
import time
import tomllib
from pathlib import Path

import grimp
from mutation.mutants import mutants
from mutation.report import Score, page
from mutation.triage import Triage
from mutation.trial import Trial, survivors

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "src"


def main() -> int:
    """The command line; the exit status is 1 where the tests are not good enough."""
    options = _options()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutation"]
    triage = Triage.read(ROOT / "tests" / "mutation" / "triage.toml")
    for name in settings["preload"]:
        importlib.import_module(name)
    scores = [
        _score(module, _groups(module, suite["tests"]), triage, options.jobs)
        for suite in settings["suites"]
        for module in suite["modules"]
        if not options.only or any(text in module for text in options.only.split(","))
    ]
    if options.write:
        options.write.write_text(page(scores, settings["score_min"]), encoding="utf-8")
    return _verdict(scores, settings["score_min"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="only modules whose path holds this text")
    parser.add_argument("--jobs", type=int, default=1, help="so many trials at once")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page of reports/mutation there")
    return parser.parse_args()


def _groups(module: str, places: list[str]) -> tuple[tuple[str, ...], ...]:
    """The test files, group by group: those named like the module first, because most changes are noticed there."""
    groups = [tuple(sorted(map(str, (ROOT / place).rglob("test_*.py")))) or (str(ROOT / place),) for place in places]
    own = tuple(file for group in groups for file in group if Path(file).stem == f"test_{Path(module).stem}")
    others = [tuple(file for file in group if file not in own) for group in groups]
    return tuple(group for group in (own, *others) if group)


def _score(module: str, tests: tuple[tuple[str, ...], ...], triage: Triage, jobs: int) -> Score:
    path = SOURCES / module
    source, name = path.read_text(encoding="utf-8"), ".".join(Path(module).with_suffix("").parts).removesuffix(".__init__")
    begun = time.monotonic()
    knowing = frozenset(grimp.build_graph("tolaria").find_downstream_modules(name))
    healthy = [alive for _, alive in survivors([Trial(name, path, source, tests, knowing)], limit_s=600.0, jobs=1)]
    if healthy != [True]:
        sys.exit(f"{module}: its tests fail without any change: {tests}")
    limit_s = 10.0 + 5.0 * (time.monotonic() - begun)
    found = {mutant.code: mutant for mutant in mutants(source)}
    trials = [Trial(name, path, code, tests, knowing) for code in found]
    alive = {trial.code for trial, survived in survivors(trials, limit_s, jobs) if survived}
    left = [mutant for code, mutant in found.items() if code in alive]
    score = Score(module, len(found), tuple((mutant, triage.of(module, mutant)) for mutant in left))
    print(score, flush=True)
    for mutant, known in score.survivors:
        label = known.label if known else "UNKNOWN"
        print(f"    {label}: {mutant.where}\n        - {mutant.before}\n        + {mutant.after}", flush=True)
    return score


def _verdict(scores: list[Score], score_min: float) -> int:
    low = [score.module for score in scores if score.percent < score_min]
    unknown = sum(known is None for score in scores for _, known in score.survivors)
    print(Score.of_all(scores))
    if low:
        print(f"below {score_min} %: {', '.join(low)}")
    if unknown:
        print(f"{unknown} survivors are not in tests/mutation/triage.toml")
    return 1 if low or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
