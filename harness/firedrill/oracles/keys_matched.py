"""After a rollback the host has the tensors of its snapshot, no more and no fewer, and they are the ones that are trained."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, Restoration, host_tensors, restorations


@dataclass(frozen=True, slots=True)
class KeysMatched(Oracle):
    """Both key differences are empty, parameters kept their identity, optimizers hold the live ones.

    No growing seed is left, unless seeds come back: then those of the snapshot are there, and no others.
    """

    kind: ClassVar[str] = "keys_matched"

    def judge(self, evidence: Evidence) -> Finding:
        """The first thing that does not fit decides."""
        pairs = restorations(evidence.faulted, evidence.claim.live_seeds)
        if not pairs:
            return self.unknown("no rollback was observed")
        for pair in pairs:
            misfit, key = self._misfit(pair)
            if misfit:
                return self.failed(pair.at, misfit, key)
        return self.passed(f"keys, identity and optimizers fit after {len(pairs)} rollbacks")

    def _misfit(self, pair: Restoration) -> tuple[str, str]:
        observed = pair.observed
        if pair.snapshot is None:
            return f"snapshot {observed.snapshot} was never seen published", "unpublished"
        found, promised = host_tensors(pair.found).keys(), host_tensors(pair.promised).keys()
        if promised - found:
            return f"{min(promised - found)} is missing", "missing"
        if found - promised:
            return f"{min(found - promised)} was not in the snapshot", "surplus"
        if not observed.identity_kept:
            return "a host parameter is another object than before", "identity"
        if not observed.optimizer_live:
            return "an optimizer does not hold exactly the live parameters", "optimizer"
        if set(observed.occupied) - set(pair.growing):
            return f"{', '.join(observed.occupied)} still holds a growing seed", "occupied"
        if set(pair.growing) - set(observed.occupied):
            return f"{', '.join(pair.growing)} should hold growing seeds again", "bereft"
        return "", ""
