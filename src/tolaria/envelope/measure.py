"""The detection envelope: how soon each fault on each baseline is a collapse, and how often a healthy stream is one."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median

from tolaria.envelope.progress import Follow, unseen
from tolaria.envelope.shapes import BASELINES, SHAPES, Baseline, Shape
from tolaria.envelope.streams import Healthy, NoisePool, Stream, limits_of, resampled
from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.jury import Jury
from tolaria.governor.verdict import Standing
from tolaria.seeding import stream
from tolaria.vitals import Vitals

# So many healthy steps come before a fault, and so many times a cell is tried with other noise.
HEALTHY, TRIALS = 40, 8


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault on one baseline: how many trials were noticed, the median and the longest delay in steps, and the usual cause.

    A delay of 0 is the very step of the onset. A trial that was not noticed counts as endless in the median; None is endless.
    """

    shape: str
    magnitude: float
    unit: str
    baseline: str
    noticed: int
    trials: int
    delay: float | None
    delay_max: int | None
    cause: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What two suites have in common."""
        return self.shape, f"{self.magnitude:.4g}", self.baseline


@dataclass(frozen=True, slots=True)
class Case:
    """A fault of one magnitude on one baseline."""

    name: str
    shape: Shape
    magnitude: float
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Of healthy streams. `bound` is the highest rate of alarms a step that is not refuted at 95 percent, as if each came by itself."""

    streams: int
    steps: int
    collapses: int
    suspicions: int
    causes: tuple[tuple[str, int], ...]

    @property
    def bound(self) -> float:
        """One-sided, exact for Poisson counts: at a higher rate so few alarms come in less than one case of twenty."""
        low, high = 0.0, 3.0 * self.collapses + 5.0
        while high - low > 1e-9:
            middle = (low + high) / 2
            seen = math.fsum(math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(self.collapses + 1))
            low, high = (middle, high) if seen > 0.05 else (low, middle)
        return high / max(1, self.steps)


@dataclass(frozen=True, slots=True)
class Suite:
    """What is measured: settings, and the absolute gate of explosions in nats; None is one and a half times chance, as tasks have it."""

    config: GovernorConfig
    gate: float | None = None


def measure(suites: Mapping[str, Suite], streams: Sequence[Stream], seed: int, follow: Follow = unseen) -> dict[str, list[Cell]]:
    """Every cell of the envelope by every suite; the same noise for all suites of a seed."""
    pool = NoisePool(streams, skip=HEALTHY)
    cases = [
        Case(name, shape, magnitude, baseline)
        for name, shape in SHAPES.items()
        for magnitude in shape.magnitudes
        for baseline in BASELINES
        if _worse(name, magnitude, baseline)
    ]
    found: dict[str, list[Cell]] = {name: [] for name in suites}
    # A case goes to all suites before the next one, so that they can be compared however early somebody stops.
    for case in follow("cells", cases, len(cases)):
        for name, suite in suites.items():
            found[name].append(_cell(case, suite, pool, seed))
    return found


class Healthcheck:
    """Counts what a suite says of healthy streams; after a collapse the rest of a stream is judged as a new one."""

    def __init__(self, config: GovernorConfig) -> None:
        self._config = config
        self._streams = self._steps = self._suspicions = 0
        self._causes: Counter[str] = Counter()

    def judge(self, task: str, vitals: Sequence[Vitals]) -> None:
        """One more stream."""
        limits = limits_of(task, self._config)
        jury = Jury(self._config, limits)
        for one in vitals:
            verdict = jury.judge(one)
            jury.remember(verdict, one)
            self._suspicions += verdict.standing is Standing.SUSPECT
            if verdict.standing is Standing.COLLAPSED:
                assert verdict.alarm is not None
                self._causes[verdict.alarm.cause] += 1
                jury = Jury(self._config, limits)
        self._streams += 1
        self._steps += len(vitals)

    @property
    def found(self) -> FalseAlarms:
        """So far."""
        return FalseAlarms(self._streams, self._steps, self._causes.total(), self._suspicions, tuple(sorted(self._causes.items())))


def false_alarms(configs: Mapping[str, GovernorConfig], streams: Iterable[Healthy]) -> dict[str, FalseAlarms]:
    """Judge healthy streams as they are, each by every suite, so that all suites see the same and none needs to be kept."""
    checks = {name: Healthcheck(config) for name, config in configs.items()}
    for task, vitals in streams:
        for check in checks.values():
            check.judge(task, vitals)
    return {name: check.found for name, check in checks.items()}


def more_streams(streams: Sequence[Stream], steps: int, seed: int, follow: Follow = unseen) -> Iterable[Healthy]:
    """Resampled streams of about so many steps in all."""
    wanted = math.ceil(steps * len(streams) / sum(len(one.vitals) for one in streams))
    return follow("resampled streams", islice(resampled(streams, stream(seed, "envelope", "resampled")), wanted), wanted)


def slower(suite: Iterable[Cell], reference: Iterable[Cell]) -> list[tuple[str, str, str]]:
    """Cells in which a suite notices less often or later than the reference; none where it dominates."""
    by_key = {cell.key: cell for cell in reference}
    return [
        cell.key for cell in suite if cell.noticed < by_key[cell.key].noticed or _endless(cell.delay) > _endless(by_key[cell.key].delay)
    ]


def gained(suite: Iterable[Cell], reference: Iterable[Cell]) -> list[tuple[str, str, str]]:
    """Cells that a suite notices in every trial and the reference does not."""
    missed = {cell.key for cell in reference if cell.noticed < cell.trials}
    return [cell.key for cell in suite if cell.noticed == cell.trials and cell.key in missed]


def _worse(name: str, magnitude: float, baseline: Baseline) -> bool:
    # A jump to where the host already is is none.
    return name not in {"step", "spike train"} or magnitude > 1.3 * baseline.level


def _endless(delay: float | None) -> float:
    return math.inf if delay is None else delay


def _cell(case: Case, suite: Suite, pool: NoisePool, seed: int) -> Cell:
    delays: list[float] = []
    causes: Counter[str] = Counter()
    for trial in range(TRIALS):
        rng = stream(seed, "envelope", case.baseline.name, trial)
        # Of the recorded noise a baseline takes that of the loss; from it the rest of its vitals follows.
        noise = pool.at_level(case.baseline.level, HEALTHY + case.shape.patience, rng)[:, 0].tolist()
        delay, cause = _delay(case, suite, noise)
        delays.append(delay)
        causes.update([cause] if cause else [])
    noticed = [int(delay) for delay in delays if math.isfinite(delay)]
    middle = median(delays)
    return Cell(
        shape=case.name,
        magnitude=case.magnitude,
        unit=case.shape.unit,
        baseline=case.baseline.name,
        noticed=len(noticed),
        trials=TRIALS,
        delay=middle if math.isfinite(middle) else None,
        delay_max=max(noticed, default=None),
        cause=causes.most_common(1)[0][0] if causes else "",
    )


def _delay(case: Case, suite: Suite, noise: Sequence[float]) -> tuple[float, str]:
    """Steps from the onset to the collapse, and its cause; endless where none came, or one came before there was a reason."""
    base = case.baseline
    gate = 1.5 * base.chance_loss if suite.gate is None else suite.gate
    jury = Jury(suite.config, Limits(suite.config, base.chance_loss, gate, base.prior_loss))
    fault = case.shape.build(case.magnitude)
    for step, amount in enumerate(noise):
        vitals = base.vitals(step, amount)
        if step >= HEALTHY:
            vitals = fault(base, vitals, step - HEALTHY)
        verdict = jury.judge(vitals)
        jury.remember(verdict, vitals)
        if verdict.standing is Standing.COLLAPSED and verdict.alarm is not None:
            return (float(step - HEALTHY), verdict.alarm.cause) if step >= HEALTHY else (math.inf, "")
    return math.inf, ""
