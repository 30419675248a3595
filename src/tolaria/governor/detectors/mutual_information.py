"""A network whose answers depend less and less on its inputs.

I = H(mean answer) - mean H(answer), in nats on the validation batch, is what an answer says about its input: zero for
a constant one, whether uniform or certain, with any number of classes and any frequency of labels.
"""

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# What is left of the usual information when it counts as lost.
LEFT = 0.25
# Below this part of ln C there has never been anything to lose.
INFORMED = 0.05
IN_A_ROW = 2


class MutualInformation:
    """Counted, two in a row, and one says nothing: the mutual information is below a quarter of its median in the clean window."""

    def __init__(self, limits: Limits) -> None:
        self._samples_min = limits.config.samples_min
        self._floor = INFORMED * limits.chance_loss

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Nothing to say where nobody looked at the answers, or not often enough yet."""
        if vitals.outputs is None or len(window.clean.outputs) < self._samples_min:
            return None
        usual = window.clean.median_information
        now = vitals.outputs.mutual_information
        if usual <= self._floor or now >= LEFT * usual:
            return None
        evidence = f"answers say {now:.4f} nats of inputs, usually {usual:.4f}"
        return Alarm("mutual_information", IN_A_ROW, vitals.val_loss, None, evidence, suspect_at=IN_A_ROW)
