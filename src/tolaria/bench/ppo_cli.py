"""The command `tolaria bench ppo`. Nothing heavy is imported before it runs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from tolaria.destination import check_destinations
from tolaria.errors import ConfigError
from tolaria.interruption import INTERRUPTED

if TYPE_CHECKING:
    from tolaria.bench.learning import Learnt
    from tolaria.bench.speed import Speed
    from tolaria.envelope.progress import Progress

NAMES = ("cartpole", "acrobot", "counting", "t-maze", "t-maze-memoryless", "cards", "speed")


@dataclass(frozen=True, slots=True)
class PpoBench:
    """Measure whether the PPO learns CartPole, Acrobot, and small environments that need masks or memory, and how fast it is.

    Speed is measured against Stable-Baselines3, where that is installed. Ctrl-C stops after the run at hand and keeps what is measured.

    Example: tolaria bench ppo --json ppo.json --picture ppo.png

    Example: tolaria bench ppo --only cartpole,speed
    """

    only: str = ",".join(NAMES)
    """What is measured, with commas between."""
    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """Also write every run there, each as soon as it is over."""
    picture: Annotated[Path | None, arg(metavar="FILE.png", help_behavior_hint="(default: none)")] = None
    """Also draw the learning curves."""

    def run(self) -> int:
        """Returns the exit code: 1 where a bar is missed."""
        names = self.only.split(",")
        if unknown := sorted(set(names) - set(NAMES)):
            raise ConfigError("only", unknown[0], f"some of {', '.join(NAMES)}")
        check_destinations(self.json, self.picture)
        import torch

        from tolaria.bench.learning import chosen, curriculum
        from tolaria.envelope.progress import progress

        # More threads than cores would only wait for one another, and CPU-seconds would count the waiting.
        torch.set_num_threads(1)
        learnt: list[Learnt] = []
        with progress() as seen:
            cells = chosen(names)
            for _ in seen.follow("runs", curriculum(cells, learnt.append), max(len(cells), 1)):
                self._write(learnt, None, complete=False)
            speed = self._speed(seen) if "speed" in names and not seen.interrupted else None
        self._write(learnt, speed, complete=not seen.interrupted)
        self._tell(learnt, speed)
        if self.picture is not None and learnt:
            _draw(learnt, self.picture)
        missed = not all(one.passed for one in learnt) or not (speed is None or speed.passed)
        return INTERRUPTED if seen.interrupted else int(missed)

    def _speed(self, seen: "Progress") -> "Speed | None":
        try:
            from tolaria.bench.speed import PAIRS, Speed, pairs
        except ModuleNotFoundError as error:
            _say(f"skipped  speed: no module {error.name}; `nox -s libraries` installs what is compared with")
            return None
        ours, theirs = zip(*seen.follow("pairs of blocks", pairs(), PAIRS), strict=True)
        return Speed(ours, theirs)

    def _write(self, learnt: "list[Learnt]", speed: "Speed | None", complete: bool) -> None:
        from tolaria.bench.learning import to_value

        if self.json is not None:
            value = to_value(learnt, None if speed is None else speed.to_value(), complete)
            self.json.write_text(f"{json.dumps(value, indent=1)}\n", encoding="utf-8")

    def _tell(self, learnt: "list[Learnt]", speed: "Speed | None") -> None:
        from tolaria.bench.learning import told

        for line in [*told(learnt), *([] if speed is None else [speed.told()])]:
            _say(line)


def _draw(learnt: "list[Learnt]", path: Path) -> None:
    try:
        from tolaria.practice.picture import draw
    except ModuleNotFoundError as error:
        raise ConfigError("picture", f"no module {error.name}", "an installation with pictures: pip install 'tolaria[reports]'") from None
    from tolaria.bench.learning import LESSONS, panels

    draw(panels(learnt), path, {lesson.env: lesson.at_least for lesson in LESSONS if lesson.at_most is None})


def _say(line: str) -> None:
    from rich.console import Console

    # As it is: not folded, not coloured by its content.
    Console().print(line, markup=False, highlight=False, soft_wrap=True)
