"""Break the governor in every known way and count what the harness sees; every drill must be green on the real one first.

Prints one line a trial and then the counts as JSON. The exit status is 1 where a broken governor survives, or the real one does not.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from power.drills import written
from power.patching import Undoing
from power.proofs import PROOFS, Proof
from power.trial import Trial, page

from firedrill.oracles.oracle import Answer
from firedrill.runner.assess import result_of
from firedrill.runner.cell import record
from firedrill.runner.folder import told_ending
from firedrill.runner.result import CellResult
from firedrill.scenario.cell import cells
from firedrill.scenario.load import load


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m power", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every trial there")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page of reports/power there")
    options = parser.parse_args()
    trials = [reference(name) for name in sorted({proof.scenario for proof in PROOFS.values()})]
    trials += [broken(name, proof) for name, proof in PROOFS.items()]
    counts = counted(trials)
    if options.json:
        told = counts | {"trials": [asdict(trial) for trial in trials]}
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if options.write:
        options.write.write_text(page(trials), encoding="utf-8")
    print(json.dumps(counts))
    return 0 if all(trial.as_expected for trial in trials) else 1


def reference(name: str) -> Trial:
    """The real governor in a drill."""
    result = drilled(name, None)
    return told(Trial("the real governor", name, result.expected[0].value, result.verdict.value, "", result.passed))


def broken(name: str, proof: Proof) -> Trial:
    """A broken one in the drill that is for it."""
    result = drilled(proof.scenario, proof)
    failed = {finding.oracle for finding in result.findings if finding.answer is Answer.FAIL}
    seen = result.verdict is proof.verdict and not result.passed and (not proof.oracle or proof.oracle in failed)
    return told(Trial(name, proof.scenario, proof.verdict.value, result.verdict.value, proof.oracle, seen))


def drilled(name: str, proof: Proof | None) -> CellResult:
    """One cell, recorded in this process and judged."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as undone:
        cell = cells(load(written(name, Path(scratch) / "scenarios")))[0]
        if proof is not None:
            proof.sabotage(Undoing(undone))
        folder = Path(scratch) / "recorded"
        folder.mkdir()
        record(cell, folder)
        return result_of(cell, folder, told_ending(folder), 0.0)


def told(trial: Trial) -> Trial:
    """Say it at once: all of them together take a minute."""
    print(trial, flush=True)
    return trial


def counted(trials: Sequence[Trial]) -> dict[str, int]:
    """How many broken governors there are and were seen, and in how many drills the real one is green."""
    broken, real = ([trial for trial in trials if trial.is_broken is wanted] for wanted in (True, False))
    return {
        "broken": len(broken),
        "killed": sum(trial.as_expected for trial in broken),
        "drills": len(real),
        "green": sum(trial.as_expected for trial in real),
    }


if __name__ == "__main__":
    sys.exit(main())
