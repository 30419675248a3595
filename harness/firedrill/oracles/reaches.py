"""The struck environments learn all the same."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, of
from tolaria.telemetry.run_events import RunFinished


@dataclass(frozen=True, slots=True)
class Reaches(Oracle):
    """Every struck environment ends with at least this test accuracy, in [0, 1]."""

    test_accuracy: float
    kind: ClassVar[str] = "reaches"

    def judge(self, evidence: Evidence) -> Finding:
        """A retired environment reached nothing; a run without an end says nothing."""
        if not evidence.claim.struck_envs:
            return self.unknown("no environment was struck")
        finished = of(evidence.faulted, RunFinished)
        if not finished:
            return self.failed("", "the run did not reach its end", "unfinished") if evidence.faulted else self.unknown("no history")
        accuracies = finished[-1].test_accuracies
        reached = {env: accuracies[env] if env < len(accuracies) else None for env in sorted(evidence.claim.struck_envs)}
        for env, accuracy in reached.items():
            # Written so that NaN fails.
            if accuracy is None or not accuracy >= self.test_accuracy:
                found = "no accuracy" if accuracy is None else f"{accuracy:.4f}"
                return self.failed(f"env {env}", f"{found} at the end, {self.test_accuracy:.4f} is needed", "short")
        return self.passed(", ".join(f"env {env}: {accuracy:.4f}" for env, accuracy in reached.items()))
