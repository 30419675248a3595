"""How a host is judged while little is known of it, because a rollback took away a seed that it leaned on.

It is worse without the seed, so its old statistics are gone and new ones are not there yet; a host that dies now would
not be noticed by comparing with either. So it is measured once, right after the restore, and what follows must not be
far worse than that.
"""

import math

from tolaria.governor.config import RECOVERY_FAILED
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.mutual_information import INFORMED, LEFT
from tolaria.governor.verdict import Alarm
from tolaria.telemetry.governor_events import Probe
from tolaria.vitals import Vitals

IN_A_ROW = 2


class Recovery:
    """Counted, two in a row: the loss is an explosion beside the probe's, or the answers say a quarter of what they said then."""

    def __init__(self, limits: Limits) -> None:
        self._absolute = limits.explosion_loss
        self._multiplier = limits.config.multiplier
        self._floor = INFORMED * limits.chance_loss

    def alarm(self, vitals: Vitals, probe: Probe) -> Alarm | None:
        """What is wrong, or None; a loss that is no number is not for this one to judge."""
        if not math.isfinite(vitals.val_loss):
            return None
        threshold = max(self._absolute, self._multiplier * probe.loss)
        if vitals.val_loss > threshold:
            evidence = f"loss {vitals.val_loss:.4g} above {threshold:.4g}, it was {probe.loss:.4g} right after the rollback"
            return Alarm(RECOVERY_FAILED, IN_A_ROW, vitals.val_loss, threshold, evidence)
        if vitals.outputs is None or probe.mutual_information <= self._floor:
            return None
        now = vitals.outputs.mutual_information
        if now >= LEFT * probe.mutual_information:
            return None
        evidence = f"answers say {now:.4f} nats of inputs, {probe.mutual_information:.4f} right after the rollback"
        return Alarm(RECOVERY_FAILED, IN_A_ROW, vitals.val_loss, None, evidence)
