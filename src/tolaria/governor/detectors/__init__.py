"""The detectors by name."""

from collections.abc import Callable

from tolaria.governor.detectors.detector import Detector, Limits
from tolaria.governor.detectors.lobotomy import Lobotomy
from tolaria.governor.detectors.loss_explosion import LossExplosion
from tolaria.governor.detectors.non_finite import NonFinite

DETECTORS: dict[str, Callable[[Limits], Detector]] = {
    "non_finite": NonFinite,
    "lobotomy": Lobotomy,
    "loss_explosion": LossExplosion,
}
