"""What all runs of one task come to: a line for each arm and each difference, and two gates that must be open before either counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tolaria.bench.grow.arms import GROWING, LARGE, PATIENCE, SMALL, STATIC, Grown, Lesson, Plan
from tolaria.bench.grow.paired import Interval, interval, paired

# A small net at ten times the epochs must stay so far below a large one, in accuracy, for growing to be able to pay.
REGIME_MARGIN = 0.03
# Controllers that look at nothing that they have learnt; by these a reward is judged.
FIXED = ("random", "schedule", "heuristic")
# How much dearer a rent is that is too high.
DEAR = 10.0


@dataclass(frozen=True, slots=True)
class Sheet:
    """The finished runs of a task, and how its controller learnt."""

    plan: Plan
    runs: tuple[Grown, ...]
    lessons: tuple[Lesson, ...] = ()

    @property
    def seeds(self) -> list[int]:
        """Seeds on which every arm was run."""
        return sorted(set.intersection(*({run.seed for run in self.runs if run.arm == arm} for arm in (*STATIC, *GROWING))))

    @property
    def arms(self) -> list[str]:
        """Arms of which there are runs, in the order of the table."""
        return [arm for arm in (*STATIC, *GROWING) if any(run.arm == arm for run in self.runs)]

    def of(self, arm: str) -> list[Grown]:
        """The runs of an arm, one for each seed."""
        by_seed = {run.seed: run for run in self.runs if run.arm == arm}
        return [by_seed[seed] for seed in self.seeds]

    def accuracies(self, arm: str) -> list[float]:
        """Test accuracy at equal epochs, by seed."""
        return [run.test_accuracy for run in self.of(arm)]

    def patient(self) -> list[float]:
        """Test accuracy of the small host after ten times the epochs, by seed."""
        return [run.curve[PATIENCE * self.plan.steps - 1][1] for run in self.of(SMALL)]

    def at_equal_macs(self, static: str, arm: str) -> list[float]:
        """Test accuracy of a static host that has made as many products as an arm did on the same seed, or just more."""
        pairs = zip(self.of(static), self.of(arm), strict=True)
        return [next(accuracy for macs, accuracy in host.curve if macs >= run.macs) for host, run in pairs]

    @property
    def regime(self) -> Interval:
        """How far the large host is above the small one that had ten times its epochs."""
        return paired(self.accuracies(LARGE), self.patient())

    @property
    def in_regime(self) -> bool:
        """Whether growing can pay at all here."""
        return self.regime.mean >= REGIME_MARGIN

    def by_return(self, dearer: float = 1.0) -> dict[str, float]:
        """Mean return of whoever waits and of the fixed controllers, dearest first; a dearer rent changes nothing that they do."""
        found = {SMALL: interval([run.reward for run in self.of(SMALL)]).mean}
        for arm in FIXED:
            found[arm] = interval([run.reward + (dearer - 1.0) * run.rent for run in self.of(arm)]).mean
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def misordered(self) -> list[tuple[str, str]]:
        """Pairs of which the first is surely more accurate on these seeds and yet paid less."""
        paid = self.by_return()
        pairs = [(better, worse) for better in paid for worse in paid if better != worse]
        return [
            (better, worse)
            for better, worse in pairs
            if paired(self.accuracies(better), self.accuracies(worse)).verdict == "better" and paid[better] < paid[worse]
        ]

    def differences(self) -> Iterator[tuple[str, str, Interval]]:
        """Arm, what it is held against, and its test accuracy minus that one's."""
        for arm in (arm for arm in self.arms if arm in GROWING):
            ours = self.accuracies(arm)
            for static in STATIC:
                yield arm, f"{static}, equal epochs", paired(ours, self.accuracies(static))
                yield arm, f"{static}, equal MACs", paired(ours, self.at_equal_macs(static, arm))
            for other in ("random", "heuristic"):
                if other != arm:
                    yield arm, other, paired(ours, self.accuracies(other))


def told(sheet: Sheet) -> list[str]:
    """The whole table, whoever wins."""
    plan, seeds = sheet.plan, sheet.seeds
    if not seeds:
        return [f"{plan.task}: no seed was run with every arm"]
    lines = [f"{plan.task}: {len(seeds)} held-out seeds, {plan.steps} steps of {plan.batches_per_step} batches, mean and 95 % interval"]
    lines.append(f"{'arm':<16} {'test accuracy':<24} {'MACs':>9} {'parameters':>10} {'return':>8} {'seeds kept':>10} {'rollbacks':>9}")
    small = _mean([run.macs for run in sheet.of(SMALL)])
    for arm in sheet.arms:
        runs = sheet.of(arm)
        lines.append(
            f"{arm:<16} {percent(interval(sheet.accuracies(arm))):<24} {_mean([run.macs for run in runs]) / small:>8.1f}x "
            f"{_mean([run.parameters for run in runs]):>10.0f} {_mean([run.reward for run in runs]):>+8.3f} "
            f"{_mean([run.committed for run in runs]):>10.1f} {sum(run.rollbacks for run in runs):>9}"
        )
    lines.append(f"{SMALL} x{PATIENCE:<2} {percent(interval(sheet.patient())):<24} {PATIENCE:>8.1f}x")
    lines += ["", f"{'difference in points':<46} {'mean and 95 % interval':<26}"]
    lines += [f"{f'{arm} - {against}':<46} {percent(found, sign='+'):<26} {found.verdict}" for arm, against, found in sheet.differences()]
    return [*lines, "", *_gates(sheet)]


def percent(found: Interval, sign: str = "") -> str:
    """A mean with its interval, in percent."""
    return f"{100 * found.mean:{sign}.1f} [{100 * found.low:{sign}.1f}, {100 * found.high:{sign}.1f}]"


def _gates(sheet: Sheet) -> list[str]:
    open_or_not = "open" if sheet.in_regime else "CLOSED"
    order = " > ".join(f"{arm} {value:+.3f}" for arm, value in sheet.by_return().items())
    dear = " > ".join(f"{arm} {value:+.3f}" for arm, value in sheet.by_return(DEAR).items())
    wrong = ", ".join(f"{better} is more accurate than {worse} and paid less" for better, worse in sheet.misordered)
    return [
        f"regime gate: {open_or_not}; {LARGE} is {percent(sheet.regime, sign='+')} points above {SMALL} at {PATIENCE} times the epochs",
        f"reward gate: {'CLOSED, ' + wrong if wrong else 'open'}; by return: {order}",
        f"at {DEAR:g} times the rent: {dear}",
    ]


def _mean(values: Sequence[float]) -> float:
    return interval(values).mean
