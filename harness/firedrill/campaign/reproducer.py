"""A scenario as a test that needs no file beside it."""

TEMPLATE = '''\
"""{because}"""

from pathlib import Path

from firedrill.runner.run import run_cells
from firedrill.scenario.cell import cells
from firedrill.scenario.load import load_text

SCENARIO = """\\
{yaml}"""


def test_{name}() -> None:
    chosen = cells(load_text(SCENARIO, Path("scenarios/{file}.yaml")))
    (result,) = run_cells(chosen, jobs=1, on_result=lambda _: None)
    assert result.passed, f"{{result.verdict}}: {{result.reason}}"
'''


def as_pytest(name: str, because: str, yaml: str) -> str:
    """The text of a test module: green when the cell ends as the scenario expects."""
    return TEMPLATE.format(because=_quoted(because), yaml=_quoted(yaml), name=name.replace("-", "_"), file=name)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
