"""The command that measures: against a limit and others, or one state of the code against another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from firedrill.compare_cli import timed_between
from firedrill.screen import PASSED, Refused, complain, say

if TYPE_CHECKING:
    from firedrill.bench.cases import Size
    from firedrill.bench.clock import Place
    from firedrill.bench.ratios import Measured
    from firedrill.compare.between import Chosen

GATE_MISSED = 1
# Gates were missed, and others had the machine, or there is no GPU: it says nothing either way.
CONTENDED = 4
Device = Literal["cpu", "cuda"]
# How often everything is timed whose ratios have bounds of their own.
TRAINING_ROUNDS, ROLLBACK_ROUNDS = 30, 40


@dataclass(frozen=True, slots=True)
class Asked:
    """What is measured, of which sizes (all where none is named), in which modes, and where it is written."""

    sizes: tuple[str, ...]
    modes: tuple[str, ...]
    device: Device
    json: Path | None


def bench(
    subject: Annotated[Literal["snapshot", "rollback", "training", "all"], tyro.conf.Positional] = "snapshot",
    *,
    json: Path | None = None,
    sizes: str = "",
    mode: str = "hot,train",
    against: str = "",
    aa: bool = False,
    device: Device = "cpu",
) -> int:
    """Measure the snapshot engine, rollbacks or training against their limits and what others use, or against another state of the code.

    Example: firedrill bench rollback --against main --json changes.json

    Against memmove and others it takes minutes, and up to 16 GB at 100M. With --against, the merge base and what stands here are timed
    in turns; what seems slower is timed again before it is called a regression.

    A rollback is taken apart, and held against reloading kept copies. Training is held against a bare loop that does the same, with the
    governor against without, stacks of hosts against the loop, and two processes against one, all in turns; each has its bound.

    Exit codes: 0 every gate holds, or no regression; 1 a gate is missed, or a regression; 2 bad input; 4 missed only where others had
    the machine, not comparable, or there is no GPU.

    Args:
        subject: What is measured; all of them one after the other, with --json into a file each: changes.rollback.json beside changes.json.
            With --against and --aa they are one comparison, in one file.
        json: Write the numbers to this file, for firedrill report.
        sizes: Models by their parameters, some of 0.1M, 1M, 10M and (for snapshot) 100M; by default all, and 0.1M and 1M with --against
            and --aa. Training has its own.
        mode: Of snapshots, hot caches, as training leaves them, or both: hot, train. With --against and --aa caches are hot.
        against: A revision; what stands here is held against the commit where the two parted.
        aa: Hold what stands here against itself, which shows what this machine makes of identical code.
        device: With cuda, what is done on the device, and what it keeps the host and the training from, beside what was aimed at.
    """
    subjects = ("snapshot", "rollback", "training") if subject == "all" else (subject,)
    modes = tuple(mode.split(","))
    try:
        chosen = _chosen(subjects, tuple(sizes.split(",")) if sizes else (), modes)
    except Refused as refused:
        return complain(str(refused))
    if against and aa:
        return complain("--against and --aa: one of the two")
    if device == "cuda" and (against or aa):
        return complain("--device cuda: neither --against nor --aa")
    if against or aa:
        return _paired(against, chosen, json)
    if device == "cuda" and not _sees_a_gpu():
        return CONTENDED
    return max(MEASURED[name](Asked(own, modes, device, _file(json, name, subject))) for name, own in chosen.items())


def _chosen(subjects: Sequence[str], sizes: tuple[str, ...], modes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The sizes of each subject, none where all are meant; a subject that has sizes, but none of these, is left out. Raises `Refused`."""
    from firedrill.bench import cases, rollback

    known: dict[str, tuple[str, ...]] = {"snapshot": tuple(cases.SIZES), "rollback": tuple(rollback.SIZES), "training": ()}
    sized = [name for name in cases.SIZES if any(name in known[subject] for subject in subjects)]
    if unknown := [name for name in sizes if name not in sized]:
        raise Refused(f"--sizes: {', '.join(unknown)}: not one of {', '.join(sized)}" if sized else "--sizes: training has none")
    if unknown := [name for name in modes if name not in cases.MODES]:
        raise Refused(f"--mode: {', '.join(unknown)}: not one of {', '.join(cases.MODES)}")
    own = {subject: tuple(name for name in sizes if name in known[subject]) for subject in subjects}
    return {subject: names for subject, names in own.items() if names or not sizes or not known[subject]}


def _file(json: Path | None, each: str, subject: str) -> Path | None:
    if json is None or subject != "all" or each == "snapshot":
        return json
    return json.with_suffix(f".{each}.json")


def _sees_a_gpu() -> bool:
    import torch

    if torch.cuda.is_available():
        return True
    say("PyTorch sees no GPU here, so nothing was measured", error=True)
    return False


def _training(asked: Asked) -> int:
    from tempfile import TemporaryDirectory

    from firedrill.bench import training
    from firedrill.bench.clock import PROCESS
    from firedrill.report.benchmark import Sampling

    place = _on(asked.device) or PROCESS
    with TemporaryDirectory() as folder, Sampling(training.rounds_of(TRAINING_ROUNDS, place)) as sampling:
        return _concluded(training.measure(TRAINING_ROUNDS, Path(folder), sampling.advance, place), asked)


def _rollback(asked: Asked) -> int:
    from firedrill.bench import rollback
    from firedrill.bench.clock import THREAD
    from firedrill.report.benchmark import Sampling

    place = _on(asked.device) or THREAD
    sizes = asked.sizes or tuple(rollback.SIZES)
    with Sampling(rollback.rounds_of(sizes, ROLLBACK_ROUNDS)) as sampling:
        found = [one for size in sizes for one in rollback.measure(size, ROLLBACK_ROUNDS, sampling.advance, place)]
    return _concluded(found, asked)


def _on(device: Device) -> "Place | None":
    if device == "cpu":
        return None
    from firedrill.bench.device_clock import CudaClock, place_of

    return place_of(device, CudaClock())


def _concluded(found: "Sequence[Measured]", asked: Asked) -> int:
    """Keep ratios and show them; the exit code says the worst of it."""
    from rich.console import Console

    from firedrill.bench import on_device, ratios, snapshot
    from firedrill.report.ratios import ratios_table, verdict

    if asked.json is not None:
        machine = snapshot.machine() if asked.device == "cpu" else on_device.machine()
        ratios.write_json(asked.json, machine, snapshot.versions(), found)
    Console().print(ratios_table(found))
    say(verdict(found))
    if any(one.missed for one in found):
        return GATE_MISSED
    return CONTENDED if any(one.undecided for one in found) else PASSED


def _snapshot(asked: Asked) -> int:
    from rich.console import Console

    from firedrill.bench import cases, gates, record
    from firedrill.bench.snapshot import measure, rounds_of
    from firedrill.report import benchmark

    models = [cases.SIZES[name] for name in asked.sizes or cases.SIZES]
    if asked.device == "cuda":
        return _snapshot_on_device(models, asked.json)
    with benchmark.Sampling(rounds_of(models, asked.modes)) as sampling:
        found = measure(models, asked.modes, sampling.advance)
    if asked.json is not None:
        record.write_json(asked.json, found)
    judged = gates.judge(found.cases)
    screen = Console()
    screen.print(benchmark.cases_table(found.cases))
    screen.print(benchmark.gates_table(judged))
    say(benchmark.verdict(judged))
    if any(one.is_missed for one in judged):
        return GATE_MISSED
    return PASSED if all(one.holds for one in judged) else CONTENDED


def _snapshot_on_device(models: "Sequence[Size]", json: Path | None) -> int:
    from rich.console import Console

    from firedrill.bench import figures, on_device
    from firedrill.report import benchmark
    from firedrill.report.figures import figures_table, verdict

    with benchmark.Sampling(len(models)) as sampling:
        found = on_device.measure(models, sampling.advance)
    if json is not None:
        figures.write_json(json, found)
    Console().print(figures_table(found.figures))
    say(verdict(found.figures))
    return GATE_MISSED if any(one.holds is False for one in found.figures) else PASSED


def _paired(against: str, chosen: "Chosen", json: Path | None) -> int:
    from contextlib import ExitStack

    from firedrill.bench.paired import SUBJECTS, NoRevision, checked_out, git, merge_base

    with ExitStack() as stack:
        try:
            here = Path(git("rev-parse", "--show-toplevel"))
            base = stack.enter_context(checked_out(merge_base(against)))[0] if against else here
        except NoRevision as error:
            return complain(f"--against {against}: {error}" if against else str(error))
        return timed_between(base, here, {name: own or SUBJECTS[name] for name, own in chosen.items()}, json)


MEASURED: dict[str, Callable[[Asked], int]] = {"snapshot": _snapshot, "rollback": _rollback, "training": _training}
COMMANDS: dict[str, Callable[..., int]] = {"bench": bench}
