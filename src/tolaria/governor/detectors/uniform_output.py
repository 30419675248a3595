"""A network whose answers no longer distinguish anything, judged by the answers and not by the loss.

Where labels are imbalanced a dead network need not have the chance loss, nor a poor one be far below it; but the
answers of one that is dead are all uniform, or all of one class.
"""

from statistics import median

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.mutual_information import LEFT
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# So near to ln C an entropy is that of a uniform answer, and so far below it one that is sure of something.
UNIFORM, SURE = 0.98, 0.85
# One class takes (almost) all inputs, and did not.
ONE_CLASS, SEVERAL_CLASSES = 0.995, 0.95
# Whoever once told so much of ln C about the inputs has told them apart; a host that has learned nothing stays below.
TOLD_APART = 0.03
# A step that was too long makes a healthy host sure of one class, and the next one may bring it back. Who has lost what he knew is unsure
# of his answers, or says nothing at all of the inputs any more.
NOTHING, IN_A_ROW = 0.01, 2


class UniformOutput:
    """Every answer is uniform and so is their mean, or one class takes all of what had been told apart.

    The first is immediate. The second is believed only of answers that hold less than a quarter of their usual mutual information: at
    once where it is less than a hundredth or the answers are no surer than usual, else after two in a row.
    """

    def __init__(self, limits: Limits) -> None:
        self._samples_min = limits.config.samples_min
        self._chance = limits.chance_loss

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Nothing to say where nobody looked at the answers, or not often enough yet."""
        now, before = vitals.outputs, window.clean.outputs
        if now is None or len(before) < self._samples_min:
            return None
        # What was usual is asked for last, because hardly any answers are so poor. Where each of them is uniform, so is their mean.
        if now.sample_entropy > UNIFORM * self._chance:
            was = median([outputs.sample_entropy for outputs in before])
            if was < SURE * self._chance:
                evidence = f"answers of {now.sample_entropy:.4f} nats each, {self._chance:.4f} is uniform, {was:.4f} was usual"
                return Alarm("uniform_output", 1, vitals.val_loss, None, evidence)
        if now.largest_share >= ONE_CLASS:
            share = median([outputs.largest_share for outputs in before])
            # A host that never told inputs apart has nearly uniform answers, and noise decides which class is the most popular one.
            told_apart = max(outputs.mutual_information for outputs in before) > TOLD_APART * self._chance
            # Of a host that lives the favourite class may take all for a step, while the probabilities still tell inputs apart.
            usual = window.clean.median_information
            if share <= SEVERAL_CLASSES and told_apart and now.mutual_information < LEFT * usual:
                unsure = now.sample_entropy >= median([outputs.sample_entropy for outputs in before])
                in_a_row = 1 if unsure or now.mutual_information < NOTHING * usual else IN_A_ROW
                evidence = f"one class takes {now.largest_share:.1%} of the inputs, {share:.1%} was usual"
                return Alarm("uniform_output", in_a_row, vitals.val_loss, None, evidence)
        return None
