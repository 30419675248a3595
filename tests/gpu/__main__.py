"""The session on a CUDA device, with the interpreter that it stands in: `nox -s gpu`, or `python tests/gpu` where there is no nox.

Without a GPU it says so in one line and runs nothing; with TOLARIA_REQUIRE_GPU=1 that is a failure. It installs nothing and
needs no network; what is missing it says in one line. One part after the other, each in one process, because there is one device:

    tests         what is marked gpu: streams, captured graphs, mixed precision, memory that runs out
    certificate   every task trained twice, with the settings under which it is the same to the last bit
    scenarios     every cell on cuda
    bench         what a snapshot keeps host, device and training from, beside the targets
    rollback      a rollback part by part, beside reloading what was kept
    training      steps with the governor and without, against a bare loop, and stacks against one host at a time
    report        run.json and report.html, of all that there is

Results go to reports/gpu/<class of machine>. A part that fails ends nothing; it decides the exit code.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# This folder is what Python has put there for `python tests/gpu`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu.lease import held
from gpu.needs import ROOT, missing, requirements, why_no_gpu, why_not_python

PARTS = ("tests", "certificate", "scenarios", "bench", "rollback", "training", "report")
# What of these is measured, by the file that it goes to.
MEASURED = {"bench": "device.json", "rollback": "device.rollback.json", "training": "device.training.json"}
REQUIRED = "TOLARIA_REQUIRE_GPU"


def main(words: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="nox -s gpu --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS", help="some of the parts, with commas between")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where results go instead of reports/gpu/<class of machine>")
    parser.add_argument("--sizes", default="", help="models of bench, as in 0.1M,1M,10M,100M")
    parser.add_argument("--time-budget", default="", metavar="S", help="seconds for the scenarios; what was not begun by then is not run")
    parser.add_argument("--needs", action="store_true", help="list the packages that are needed, and nothing else")
    parser.add_argument("--why-not", action="store_true", help="say why there is no GPU, or nothing, and nothing else")
    options = parser.parse_args(words)
    if options.needs:
        return said("\n".join(requirements()))
    reason = why_no_gpu()
    if options.why_not:
        return said(reason)
    if reason and os.environ.get(REQUIRED) == "1":
        return said(f"gpu: {REQUIRED} is set, but {reason}", code=1)
    if reason:
        return said(f"gpu: nothing was run, because {reason}")
    parts = tuple(options.only.split(","))
    if unknown := [part for part in parts if part not in PARTS]:
        return said(f"gpu: --only {', '.join(unknown)}: not one of {', '.join(PARTS)}", code=2)
    if lacking := list(filter(None, [why_not_python(sys.version_info[:2]), *missing(requirements())])):
        return said(f"gpu: nothing was run, because {sys.executable} lacks {', '.join(lacking)}", code=1)
    with held(said):
        return run(parts, options.into or ROOT / "reports" / "gpu" / machine(), options.sizes, options.time_budget)


def run(parts: Sequence[str], folder: Path, sizes: str, time_budget: str) -> int:
    """One part after the other; the exit code is 1 where one of them failed."""
    folder.mkdir(parents=True, exist_ok=True)
    codes = {
        part: subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode
        for part, command in commands(parts, folder, sizes, time_budget).items()
    }
    (folder / "session.json").write_text(json.dumps({"exit codes": codes}, indent=1) + "\n", encoding="utf-8")
    failed = [part for part, code in codes.items() if code]
    return said(
        f"gpu: {', '.join(failed)} failed; {folder}" if failed else f"gpu: {', '.join(codes)} passed; {folder}", code=int(bool(failed))
    )


def commands(parts: Sequence[str], folder: Path, sizes: str, time_budget: str) -> dict[str, list[str]]:
    """What each part runs, in their order whatever order was asked for."""
    firedrill = (sys.executable, "-m", "firedrill.cli")
    ran, page = (str(folder / name) for name in ("run.json", "report.html"))
    files = {part: folder / name for part, name in MEASURED.items()}
    # Of what this session or one before it has measured.
    beside = [str(file) for part, file in files.items() if part in parts or file.exists()]
    budget = ("--time-budget", time_budget) if time_budget else ()
    known = {
        "tests": [sys.executable, "-m", "pytest", "tests/gpu", "-m", "gpu"],
        "certificate": [sys.executable, "-m", "gpu.certify", str(folder / "certificate.json")],
        "scenarios": [*firedrill, "run", "scenarios", "--device", "cuda", "--jobs", "1", "--json", ran, *budget],
        "report": [*firedrill, "report", ran, *beside, "--html", page],
    }
    for part, file in files.items():
        subject = "snapshot" if part == "bench" else part
        known[part] = [*firedrill, "bench", subject, "--device", "cuda", "--json", str(file)]
    known["bench"] += ["--sizes", sizes] if sizes else []
    return {part: known[part] for part in PARTS if part in parts}


def environment() -> dict[str, str]:
    """Works uninstalled; what the machine has on its path already stays there, because torch may come from it."""
    roots = [str(ROOT / name) for name in ("src", "harness", "tests")] + [os.environ.get("PYTHONPATH", "")]
    # cuBLAS is deterministic only with a workspace that is chosen before CUDA starts.
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, roots)), "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "OMP_NUM_THREADS": "1"}


def machine() -> str:
    """The class of this machine, as every record names it."""
    program = "from firedrill.runner.machine import machine_class; print(machine_class())"
    return subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True).stdout.strip()


def said(text: str, code: int = 0) -> int:
    """Say it, if there is anything to say."""
    if text:
        print(text, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
