"""The command `tolaria bench`: our own experiments, each with bars that it has to reach. Nothing heavy is imported before one runs."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg, subcommand

from tolaria.bench.credit_cli import Credit
from tolaria.bench.grow_cli import Grow
from tolaria.bench.ppo_cli import PpoBench

# One name for each experiment.
Experiment = Annotated[Credit, subcommand("credit")] | Annotated[Grow, subcommand("grow")] | Annotated[PpoBench, subcommand("ppo")]


@dataclass(frozen=True, slots=True)
class Bench:
    """Measure whether the system does what it is for, against bars that it may miss.

    Example: tolaria bench ppo --only cartpole
    """

    experiment: Annotated[Experiment, arg(name="")]
    """What is measured."""

    def run(self) -> int:
        """Returns the exit code: 1 where a bar is missed."""
        return self.experiment.run()
