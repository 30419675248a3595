"""The table of executors, by the name that a command line knows, and the extra that each needs."""

from typing import Literal

ExecutorName = Literal["local", "ray", "slurm"]
EXTRAS: dict[ExecutorName, str] = {"ray": "ray", "slurm": "slurm"}
