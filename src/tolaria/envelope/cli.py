"""The command `tolaria envelope`. Nothing heavy is imported before it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from tolaria.destination import check_destinations
from tolaria.errors import ConfigError
from tolaria.interruption import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tolaria.envelope.measure import Cell
    from tolaria.governor.config import GovernorConfig

# Half of a recording is one host, and the noise of its first steps is not used.
ENVELOPE_STEPS_MIN = 170
# The tasks whose hosts are struck.
DAMAGED = ("spirals", "digits")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Measure what a suite of detectors catches, how soon, and what it costs in false alarms.

    Faults are laid over the noise of healthy runs, which are recorded first; the classic suite is measured beside it.
    Ctrl-C stops early and tells what is measured so far; a second Ctrl-C stops at once.

    Example: tolaria envelope --detectors default --json envelope.json --picture envelope.png
    """

    detectors: str = "default"
    """A suite, classic or default, or names of detectors with commas between them."""
    seeds: int = 1
    """Runs of every recipe (tasks, optimizers, learning rates, blends) that are recorded, each with two hosts and with growth."""
    steps: int = 200
    """Decision steps of each of them."""
    healthy_steps: int = 20_000
    """Steps of resampled healthy streams that are judged beside the recorded ones."""
    damage: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """Instead flip every exponent bit in trained hosts, and put NaN and Inf in, and write there what was harmful and noticed."""
    seed: int = 0
    """The seed of the first run and of the resampling."""
    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """Also write every cell there."""
    picture: Annotated[Path | None, arg(metavar="FILE.png", help_behavior_hint="(default: none)")] = None
    """Also draw the map."""

    def run(self) -> int:
        """Returns the exit code: 1 where the suite is anywhere slower than the classic one, or lasting harm was not noticed."""
        check_destinations(self.json, self.picture)
        if self.seeds < 1 or self.steps < ENVELOPE_STEPS_MIN:
            raise ConfigError("steps", (self.seeds, self.steps), f"at least 1 seed and {ENVELOPE_STEPS_MIN} steps")
        from tolaria.governor.config import SUITES, GovernorConfig

        config = GovernorConfig(detectors=self.detectors if self.detectors in SUITES else tuple(self.detectors.split(",")))
        return self._measure(config) if self.damage is None else self._strike(config, self.damage)

    def _strike(self, config: "GovernorConfig", path: Path) -> int:
        from tolaria.envelope.damage import survey, to_json, told
        from tolaria.envelope.progress import progress

        with progress() as seen:
            struck = survey(config, DAMAGED, seed=self.seed, follow=seen.follow)
        _tell(told(struck))
        path.write_text(to_json(struck), encoding="utf-8")
        return INTERRUPTED if seen.interrupted else int(any(one.harmful and one.noticed is None for one in struck))

    def _measure(self, config: "GovernorConfig") -> int:
        from tolaria.envelope.progress import progress
        from tolaria.envelope.report import Extent, envelope_of, told

        extent = Extent(range(self.seed, self.seed + self.seeds), self.steps, self.healthy_steps)
        with progress() as seen:
            found = envelope_of(config, extent, seen.follow)
        if found is None:
            return INTERRUPTED
        _tell(told(found))
        if self.json is not None:
            self.json.write_text(found.to_json(), encoding="utf-8")
        if self.picture is not None and found.cells[found.suite]:
            _draw(found.cells, self.picture)
        return INTERRUPTED if seen.interrupted else int(bool(found.slower))


def _draw(cells: "Mapping[str, Sequence[Cell]]", path: Path) -> None:
    try:
        from tolaria.envelope.picture import draw
    except ModuleNotFoundError as error:
        raise ConfigError("picture", f"no module {error.name}", "an installation with pictures: pip install 'tolaria[reports]'") from None
    draw(cells, path)


def _tell(lines: "Iterable[str]") -> None:
    from rich.console import Console

    console = Console()
    for line in lines:
        # As it is: not folded, not coloured by its content.
        console.print(line, markup=False, highlight=False, soft_wrap=True)
