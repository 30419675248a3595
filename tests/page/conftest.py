"""A browser without a window, and the page of a real run in it."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from firedrill.bench.record import Case
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.report import html
from firedrill.report.beside import Beside
from firedrill.report.maps import Field, Map
from firedrill.report.wording import Tone
from firedrill.runner.result import CellResult
from firedrill.runner.run import run_cells
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import cells
from firedrill.scenario.load import load

ROOT = Path(__file__).parents[2]
SCENARIOS = ("nan/nan-weight-steady-state", "controls/suppressed-nan")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# The sandbox of the browser needs rights that a container does not give, and no page of ours needs the network.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

CASE = Case("take", 100_000, 30, "hot", 1.5, {}, 2e-5, 3e-5, 3e-5, 8e-5, 3e-5, 3, False, (2e-5, 3e-5, 8e-5))
BESIDE = Beside(
    (Compared("a cell", "verdict", MetricClass.EXACT, Change.REGRESSION, "recovered", "missed", "because"),),
    (CASE, replace(CASE, params=1_000_000)),
    (Map("Coverage", "signs", ("bare", "fossil"), (("tensor.set", (Field("✓", "pass", Tone.GOOD), Field("✗", "fail", Tone.BAD))),)),),
)


@dataclass(slots=True)
class Opened:
    """A page and everything that went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; a machine without it skips these tests, unless it says that it has to have it."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        reason = f"none of {', '.join(PROGRAMS)} is installed"
        pytest.fail(reason) if os.environ.get("TOLARIA_REQUIRE_BROWSER") == "1" else pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def results() -> list[CellResult]:
    """Two scenarios that really ran, one of them as if it had failed, and one that was not run."""
    recovered, suppressed = run_cells([cells(load(ROOT / "scenarios" / f"{name}.yaml"))[0] for name in SCENARIOS], 1, lambda _: None)
    red = replace(suppressed, expected=(Verdict.RECOVERED,), passed=False)
    idle = replace(recovered, id="idle[cuda]", device="cuda", verdict=Verdict.NOT_RUN, passed=False, reason="there is no CUDA device")
    return [recovered, red, idle]


@pytest.fixture(scope="session")
def file(results: list[CellResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on disk."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    html.write(path, results, {"machine": "this one"}, BESIDE)
    return path


@pytest.fixture(params=["light", "dark", "phone"])
def opened(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Opened]:
    """The page opened from disk: by day, by night, and on a phone."""
    phone = request.param == "phone"
    context = browser.new_context(
        color_scheme="dark" if request.param == "dark" else "light",
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 900},
        has_touch=phone,
        reduced_motion="reduce",
    )
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.complaints.append(message.text) if message.type in {"error", "warning"} else None)
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("request", lambda asked: None if asked.url == file.as_uri() else found.complaints.append(f"asks for {asked.url[:80]}"))
    found.page.goto(file.as_uri())
    yield found
    context.close()
