"""The whole measurement in one value: the cells of a suite and of the classic one, and the false alarms of both."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from tolaria.envelope.measure import Cell, FalseAlarms, Suite, false_alarms, gained, measure, more_streams, slower
from tolaria.envelope.progress import Follow
from tolaria.envelope.streams import RECIPES, Stream, record
from tolaria.governor.config import GovernorConfig

CLASSIC = "classic"
# The gate in nats that such governors often have, whatever the number of classes.
ABSOLUTE_GATE = 12.0
GATED = "classic, gate at 12 nats"

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Cells by suite, false alarms by suite on recorded and on resampled streams, and the comparison with the classic suite."""

    suite: str
    cells: dict[str, list[Cell]]
    recorded: dict[str, FalseAlarms]
    resampled: dict[str, FalseAlarms]
    slower: list[Key]
    gained: list[Key]

    def to_json(self) -> str:
        """As text; what is not finite is a word."""
        alarms = {
            sort: {name: asdict(found) | {"bound_95": found.bound} for name, found in by_suite.items()}
            for sort, by_suite in (("recorded", self.recorded), ("resampled", self.resampled))
        }
        cells = {name: [_plain(asdict(cell)) for cell in found] for name, found in self.cells.items()}
        whole = {"suite": self.suite, "false_alarms": alarms, "slower": self.slower, "gained": self.gained, "cells": cells}
        return json.dumps(whole, indent=1, allow_nan=False) + "\n"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured: runs of every recipe with these seeds, their steps, and steps of resampled streams."""

    seeds: Sequence[int]
    steps: int
    healthy_steps: int


def envelope_of(config: GovernorConfig, extent: Extent, follow: Follow) -> Envelope | None:
    """Record healthy runs, and measure the suite and the classic one on them; None where somebody stops before there is any."""
    wanted = [(recipe, seed) for seed in extent.seeds for recipe in RECIPES]
    runs = follow("recorded runs", wanted, len(wanted))
    streams = [one for recipe, seed in runs for one in record(recipe, seed, extent.steps)]
    return envelope_on(config, streams, extent, follow) if streams else None


def envelope_on(config: GovernorConfig, streams: Sequence[Stream], extent: Extent, follow: Follow) -> Envelope:
    """The measurement on streams that are there already."""
    suite = config.detectors if isinstance(config.detectors, str) else ",".join(config.detectors)
    configs = {suite: config, CLASSIC: replace(config, detectors=CLASSIC)}
    suites = {name: Suite(one) for name, one in configs.items()} | {GATED: Suite(configs[CLASSIC], ABSOLUTE_GATE)}
    cells = measure(suites, streams, extent.seeds[0], follow)
    return Envelope(
        suite=suite,
        cells=cells,
        recorded=false_alarms(configs, ((one.task, one.vitals) for one in streams)),
        resampled=false_alarms(configs, more_streams(streams, extent.healthy_steps, extent.seeds[0], follow)),
        slower=sorted({*slower(cells[suite], cells[CLASSIC]), *slower(cells[suite], cells[GATED])}),
        gained=gained(cells[suite], cells[CLASSIC]),
    )


def told(envelope: Envelope) -> Iterator[str]:
    """The measurement as lines of text."""
    for name, cells in envelope.cells.items():
        caught = sum(cell.noticed == cell.trials for cell in cells)
        yield f"{name}: {caught} of {len(cells)} cells caught in every trial"
        for sort, by_suite in (("recorded", envelope.recorded), ("resampled", envelope.resampled)):
            if name not in by_suite or not by_suite[name].steps:
                continue
            found = by_suite[name]
            causes = ", ".join(f"{cause} {count}" for cause, count in found.causes) or "none"
            yield (
                f"  {sort}: {found.collapses} false alarms in {found.steps} healthy steps of {found.streams} streams ({causes}), "
                f"95 % bound {found.bound:.2g} a step; {found.suspicions} suspicions"
            )
    yield f"slower than classic: {len(envelope.slower)} cells" + "".join(f"\n  {' | '.join(key)}" for key in envelope.slower)
    yield f"caught beyond classic: {len(envelope.gained)} cells"
    yield f"{'fault':<12} {'magnitude':>10} {'unit':<9} {'baseline':<24}" + "".join(f"{name:>27}" for name in envelope.cells)
    for row in zip(*envelope.cells.values(), strict=True):
        first = row[0]
        columns = "".join(f"{_delay(cell):>27}" for cell in row)
        yield f"{first.shape:<12} {first.magnitude:>10.4g} {first.unit:<9} {first.baseline:<24}{columns}"


def _delay(cell: Cell) -> str:
    if not cell.noticed:
        return "-"
    part = "" if cell.noticed == cell.trials else f" ({cell.noticed}/{cell.trials})"
    return f"{'-' if cell.delay is None else f'{cell.delay:g}'} {cell.cause}{part}"


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {key: str(value) if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()}
