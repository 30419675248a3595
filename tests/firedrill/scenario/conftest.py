"""A good scenario, and a folder to spoil it in."""

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """\
version: 1
name: nan-weight
because: A weight that becomes NaN must be noticed and undone.
tags: [governor, smoke]
subject: {task: spirals, seed: 11, envs: 2, steps: 16}
faults:
  - at: {step: 8, env: 1}
    do: tensor.set
    target: {params: "head.*", pick: {count: 1}}
    with: {value: nan}
expect:
  - detected: {within: 1 steps, cause: non_finite}
  - core
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the good scenario with some of its text replaced; each replacement must hit."""

    def written(*replacements: tuple[str, str], name: str = "nan-weight", folder: str = "governor", more: str = "") -> Path:
        text = GOOD
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "scenarios" / folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + more, encoding="utf-8")
        return path

    return written
