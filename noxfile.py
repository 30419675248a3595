"""The only door to checking this project: `nox` runs lint, types, tests and scenarios; continuous integration runs the same sessions.

Words after `--` go to the session's program, for example `nox -s tests -- -k governor` or `nox -s scenarios -- --device cuda`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"

ROOT = Path(__file__).parent
# One environment for all sessions but gpu, because torch is large: a session each would install it six times.
SHARED = ROOT / ".nox" / "shared"
BIN = SHARED / ("Scripts" if os.name == "nt" else "bin")
GROUPS = ("test", "lint")
# As a reader would type them: sessions run in the root of the project, and a page shows these names.
LOCAL = Path("reports/local")
BENCHMARKS = "tests/benchmarks"
INTEGRATIONS = "tests/integrations"
PAGE = "tests/page"
LIBRARIES = "tests/libraries"
# As they are called on Debian and on the runners of GitHub.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# What every executor promises; those of clusters are installed in `integrations` only.
EXECUTORS = "tests/firedrill/runner/executors"


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format and floors: ruff and import-linter."""
    install(session)
    run(session, "ruff", "check", *session.posargs)
    run(session, "ruff", "format", "--check")
    run(session, "lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy, strict."""
    install(session)
    run(session, "mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Every test that needs no GPU, framework or browser; for those `gpu`, `integrations`, `libraries`, `page`, benchmarks in `bench`."""
    install(session)
    # One thread in each of two processes; more threads than cores would only wait for one another.
    apart = [f"--ignore={folder}" for folder in (BENCHMARKS, INTEGRATIONS, LIBRARIES, PAGE)]
    parallel = ("-n", "2", "--dist", "loadgroup", "--benchmark-disable", *apart)
    run(session, "pytest", *parallel, "-m", "not gpu and not nightly", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session
def scenarios(session: nox.Session) -> None:
    """Every scenario on the CPU; the page is reports/local/report.html, and what was recorded lies in reports/local/kept."""
    install(session)
    # Recorded anew each time: to take cells over is for whoever asks for it.
    shutil.rmtree(LOCAL / "kept", ignore_errors=True)
    kept = ("--keep", f"{LOCAL}/kept")
    run(session, "firedrill", "run", "scenarios", *written_to("report.html", "run.json"), *kept, *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """What the governor, a snapshot, a rollback and a seam cost, as ratios; the record is reports/local/bench.json."""
    install(session)
    LOCAL.mkdir(parents=True, exist_ok=True)
    measuring = ("-n", "0", "--benchmark-only", "--benchmark-json", f"{LOCAL}/bench.json")
    run(session, "pytest", BENCHMARKS, *measuring, *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(default=False)
def integrations(session: nox.Session) -> None:
    """Lightning, the Trainer of Hugging Face, Ray and submitit, for real; installs them, each in the version that is newest."""
    install(session)
    run(session, "python", "-m", "pip", "install", "-q", "-c", "constraints.txt", "-e", ".[lightning,transformers,ray,slurm]")
    # Ray writes a token into the home directory, which tests leave alone, and asks whether it may tell of itself.
    env = {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    run(session, "pytest", INTEGRATIONS, EXECUTORS, "-n", "0", *session.posargs, env=env)


@nox.session(default=False)
def libraries(session: nox.Session) -> None:
    """Stable-Baselines3, sb3-contrib and TorchRL, for real: they drive our environments, and our advantages are theirs."""
    install(session)
    also(session, "libraries")
    run(session, "pytest", LIBRARIES, "-n", "0", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(default=False)
def page(session: nox.Session) -> None:
    """The report's page in a browser: matrix, timeline, filters, keyboard, and an automated check of accessibility."""
    if not any(map(shutil.which, BROWSERS)):
        reason = f"none of {', '.join(BROWSERS)} is installed"
        if os.environ.get("TOLARIA_REQUIRE_BROWSER") == "1":
            session.error(f"TOLARIA_REQUIRE_BROWSER is set, but {reason}")
        session.skip(reason)
    install(session)
    also(session, "page")
    run(session, "pytest", PAGE, "-n", "0", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """Whether the tests notice small changes of lifecycle, verdict and commit logic; `-- --only jury` looks at one module."""
    install(session)
    also(session, "mutation")
    run(session, "python", "-m", "mutation", *session.posargs, env={"OMP_NUM_THREADS": "1", "PYTHONPATH": "tests"})


@nox.session(default=False)
def nightly(session: nox.Session) -> None:
    """What takes too long for every change: the governor against its model for longer, the large shrink, random scenarios."""
    install(session)
    long = ("tests/firedrill/campaign", "-n", "0", "--hypothesis-profile=nightly", "-m", "nightly or not slow", "--timeout", "3000")
    run(session, "pytest", *long, env={"OMP_NUM_THREADS": "1"})
    # Another seed each night; a failing case is kept with a token that replays it.
    seed = datetime.now(UTC).strftime("%Y%m%d")
    run(session, "firedrill", "fuzz", "--seed", seed, "--cases", "1000", "--time-budget", "3000", *session.posargs)


@nox.session(default=False)
def power(session: nox.Session) -> None:
    """Whether the harness sees every broken governor of the family; words after `--` such as `--json FILE` go to the program."""
    install(session)
    paths = os.pathsep.join(("src", "harness", "tests"))
    run(session, "python", "-m", "power", *session.posargs, env={"OMP_NUM_THREADS": "1", "PYTHONPATH": paths})


@nox.session(default=False)
def against(session: nox.Session) -> None:
    """Time snapshot, rollback and judging against the commit where this work began; `nox -s against -- main all` takes everything."""
    install(session)
    revision, subject = (*session.posargs, *("main", "snapshot")[len(session.posargs) :])
    run(session, "firedrill", "bench", subject, "--against", revision, "--json", f"{LOCAL}/timing.json")


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Hold the last run of `scenarios` against its baseline, and write page, comment and JUnit XML of it into reports/local."""
    install(session)
    last, changes = f"{LOCAL}/run.json", f"{LOCAL}/changes.json"
    Path(changes).unlink(missing_ok=True)
    # 4: this class of machine has no baseline. A regression is the exit code of the report too, which shows it.
    run(session, "firedrill", "compare", "reports/baselines", last, "--json", changes, codes=(0, 1, 4))
    beside = [name for name in (changes, f"{LOCAL}/timing.json") if Path(name).exists()]
    wanted = ("--html", f"{LOCAL}/report.html", "--md", f"{LOCAL}/report.md", "--junit", f"{LOCAL}/junit.xml")
    github = ("--github",) if os.environ.get("GITHUB_ACTIONS") else ()
    run(session, "firedrill", "report", last, *beside, *wanted, *github, *session.posargs)


@nox.session(default=False)
def gpu(session: nox.Session) -> None:
    """Everything that needs a CUDA device, with the interpreter that nox runs in; installs nothing. Words after `--`: see tests/gpu."""
    program = (sys.executable, str(ROOT / "tests" / "gpu"))
    reason = subprocess.run([*program, "--why-not"], capture_output=True, text=True, check=True).stdout.strip()
    if reason and os.environ.get("TOLARIA_REQUIRE_GPU") == "1":
        session.error(f"TOLARIA_REQUIRE_GPU is set, but {reason}")
    if reason:
        session.skip(reason)
    session.run(*program, *session.posargs)


def install(session: nox.Session) -> None:
    """Bring the shared environment up to date; a no-op while what it is made from has not changed."""
    sources = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = SHARED / "installed.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    requirements = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), *GROUPS)
    session.run(sys.executable, "-m", "venv", str(SHARED))
    run(session, "python", "-m", "pip", "install", "-q", "-c", "constraints.txt", "-e", ".[reports]", *requirements)
    stamp.write_text(wanted)


def also(session: nox.Session, group: str) -> None:
    """Put one more dependency group into the shared environment."""
    wanted = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), group)
    run(session, "python", "-m", "pip", "install", "-q", "-c", "constraints.txt", *wanted)


def run(session: nox.Session, program: str, *arguments: str, env: dict[str, str] | None = None, codes: tuple[int, ...] = (0,)) -> None:
    """Run a program of the shared environment; any exit code but these ends the session."""
    session.run(str(BIN / program), *arguments, env=env, success_codes=codes)


def written_to(html: str, json: str) -> tuple[str, ...]:
    """The options that put a page and a record into reports/local."""
    return ("--html", f"{LOCAL}/{html}", "--json", f"{LOCAL}/{json}")
