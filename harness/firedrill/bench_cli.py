"""The command that measures: against a limit and others, or one state of the code against another."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from firedrill.compare_cli import PAIRED_SIZES, timed_between
from firedrill.screen import PASSED, complain, say

GATE_MISSED = 1
# Gates were missed, and others had the machine, or there is no GPU: it says nothing either way.
CONTENDED = 4
# Subjects whose ratios have bounds of their own, and how often everything is timed.
RATIOS = ("rollback", "training")
TRAINING_ROUNDS, ROLLBACK_ROUNDS = 30, 40


def bench(
    subject: Annotated[Literal["snapshot", "rollback", "training", "all"], tyro.conf.Positional] = "snapshot",
    *,
    json: Path | None = None,
    sizes: str = "",
    mode: str = "hot,train",
    against: str = "",
    aa: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
) -> int:
    """Measure the snapshot engine, rollbacks or training against their limits and what others use, or against another state of the code.

    Example: firedrill bench snapshot --against main --json changes.json

    Against memmove and others it takes minutes, and up to 16 GB at 100M. With --against, snapshot, rollback and judging of the merge
    base and of what stands here are timed in turns; what seems slower is timed again before it is called a regression.

    A rollback is taken apart, and held against reloading kept copies. Training is held against a bare loop that does the same, stacks
    of hosts against the loop, and two processes against one, all in turns; each has its bound.

    Exit codes: 0 every gate holds, or no regression; 1 a gate is missed, or a regression; 2 bad input; 4 missed only where others had
    the machine, not comparable, or there is no GPU.

    Args:
        subject: What is measured; all of them one after the other, with --json into a file each: changes.rollback.json beside changes.json.
        json: Write the numbers to this file; with --against and --aa it is one for firedrill report.
        sizes: Models by their parameters, some of 0.1M, 1M, 10M and 100M; by default all, and 0.1M and 1M with --against and --aa.
        mode: Of hot caches, as training leaves them, or both: hot, train. With --against and --aa caches are hot.
        against: A revision; what stands here is held against the commit where the two parted.
        aa: Hold what stands here against itself, which shows what this machine makes of identical code.
        device: With cuda, what a snapshot on the device keeps the host and the training from, beside what was aimed at.
    """
    if against and aa:
        return complain("--against and --aa: one of the two")
    if subject in RATIOS and (against or aa or device == "cuda"):
        return complain(f"bench {subject}: --against, --aa and --device cuda are for bench snapshot, which times rollbacks as well")
    if subject in RATIOS:
        return _ratios(subject, json)
    if subject == "all":
        more = [_ratios(name, json and json.with_suffix(f".{name}.json")) for name in RATIOS] if not (against or aa) else []
        return max([*more, bench(json=json, sizes=sizes, mode=mode, against=against, aa=aa, device=device)])
    from firedrill.bench import cases

    chosen = (sizes or (PAIRED_SIZES if against or aa else ",".join(cases.SIZES))).split(",")
    if unknown := [name for name in chosen if name not in cases.SIZES]:
        return complain(f"--sizes: {', '.join(unknown)}: not one of {', '.join(cases.SIZES)}")
    if device == "cuda":
        return complain("--device cuda: neither --against nor --aa") if against or aa else _on_device(chosen, json)
    if against or aa:
        return _paired(against, chosen, json)
    return _gates(chosen, mode.split(","), json)


def _ratios(subject: str, json: Path | None) -> int:
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from firedrill.bench import ratios, rollback, training
    from firedrill.bench.snapshot import machine, versions
    from firedrill.report import benchmark
    from firedrill.report.ratios import ratios_table, verdict

    if subject == "training":
        with TemporaryDirectory() as folder, benchmark.Sampling(training.rounds_of(TRAINING_ROUNDS)) as sampling:
            found = training.measure(TRAINING_ROUNDS, Path(folder), sampling.advance)
    else:
        with benchmark.Sampling(len(rollback.SIZES) * (ROLLBACK_ROUNDS + rollback.WARMUPS)) as sampling:
            found = [one for size in rollback.SIZES for one in rollback.measure(size, ROLLBACK_ROUNDS, sampling.advance)]
    if json is not None:
        ratios.write_json(json, machine(), versions(), found)
    Console().print(ratios_table(found))
    say(verdict(found))
    if any(one.missed for one in found):
        return GATE_MISSED
    return CONTENDED if any(one.undecided for one in found) else PASSED


def _gates(sizes: "list[str]", modes: "list[str]", json: Path | None) -> int:
    from rich.console import Console

    from firedrill.bench import cases, gates, record
    from firedrill.bench.snapshot import measure, rounds_of
    from firedrill.report import benchmark

    if unknown := [name for name in modes if name not in cases.MODES]:
        return complain(f"--mode: {', '.join(unknown)}: not one of {', '.join(cases.MODES)}")
    models = [cases.SIZES[name] for name in sizes]
    with benchmark.Sampling(rounds_of(models, modes)) as sampling:
        found = measure(models, modes, sampling.advance)
    if json is not None:
        record.write_json(json, found)
    judged = gates.judge(found.cases)
    screen = Console()
    screen.print(benchmark.cases_table(found.cases))
    screen.print(benchmark.gates_table(judged))
    say(benchmark.verdict(judged))
    if any(one.is_missed for one in judged):
        return GATE_MISSED
    return PASSED if all(one.holds for one in judged) else CONTENDED


def _on_device(sizes: "list[str]", json: Path | None) -> int:
    import torch
    from rich.console import Console

    from firedrill.bench import cases, figures, on_device
    from firedrill.report import benchmark
    from firedrill.report.figures import figures_table, verdict

    if not torch.cuda.is_available():
        say("PyTorch sees no GPU here, so nothing was measured", error=True)
        return CONTENDED
    with benchmark.Sampling(len(sizes)) as sampling:
        found = on_device.measure([cases.SIZES[name] for name in sizes], sampling.advance)
    if json is not None:
        figures.write_json(json, found)
    screen = Console()
    screen.print(figures_table(found.figures))
    say(verdict(found.figures))
    return GATE_MISSED if any(one.holds is False for one in found.figures) else PASSED


def _paired(against: str, sizes: "list[str]", json: Path | None) -> int:
    from contextlib import ExitStack

    from firedrill.bench.paired import NoRevision, checked_out, git, merge_base

    with ExitStack() as stack:
        try:
            here = Path(git("rev-parse", "--show-toplevel"))
            base = stack.enter_context(checked_out(merge_base(against)))[0] if against else here
        except NoRevision as error:
            return complain(f"--against {against}: {error}" if against else str(error))
        return timed_between(base, here, sizes, json)


COMMANDS: dict[str, Callable[..., int]] = {"bench": bench}
