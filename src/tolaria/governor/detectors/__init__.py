"""The detectors by name, in the order in which they are asked.

To add one (see the README): a file here with one class, a line in this table, and its name in
`governor.config.DETECTOR_NAMES`, which makes it part of the default suite. The class is built from `Limits` and answers
`alarm(vitals, window)`; it keeps nothing between two steps, because what the window remembers is what a checkpoint remembers.
Its alarm says how many in a row make a collapse: 1 at once, 2 or more for what a seed that begins to blend may cause for a
step, None for a warning. The conformance test (`test_detector.py`) then asks of it what is asked of all; `tolaria envelope`
shows what it catches, how soon, and what it costs in false alarms.
"""

from collections.abc import Callable

from tolaria.governor.detectors.accuracy_drop import AccuracyDrop
from tolaria.governor.detectors.confirmed_explosion import ConfirmedExplosion
from tolaria.governor.detectors.confirmed_lobotomy import ConfirmedLobotomy
from tolaria.governor.detectors.detector import Detector, Limits
from tolaria.governor.detectors.early_explosion import EarlyExplosion
from tolaria.governor.detectors.lobotomy import Lobotomy
from tolaria.governor.detectors.loss_explosion import LossExplosion
from tolaria.governor.detectors.loss_outlier import LossOutlier
from tolaria.governor.detectors.mutual_information import MutualInformation
from tolaria.governor.detectors.non_finite import NonFinite
from tolaria.governor.detectors.skill_lost import SkillLost
from tolaria.governor.detectors.slow_drift import SlowDrift
from tolaria.governor.detectors.spike_train import SpikeTrain
from tolaria.governor.detectors.uniform_output import UniformOutput

DETECTORS: dict[str, Callable[[Limits], Detector]] = {
    "non_finite": NonFinite,
    "lobotomy": Lobotomy,
    "confirmed_lobotomy": ConfirmedLobotomy,
    "uniform_output": UniformOutput,
    "loss_explosion": LossExplosion,
    "confirmed_explosion": ConfirmedExplosion,
    "early_explosion": EarlyExplosion,
    "spike_train": SpikeTrain,
    "mutual_information": MutualInformation,
    "accuracy_drop": AccuracyDrop,
    "skill_lost": SkillLost,
    "slow_drift": SlowDrift,
    "loss_outlier": LossOutlier,
}
