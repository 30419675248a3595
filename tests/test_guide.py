"""docs/guide.md is followed to the letter: every snippet is written or run where a reader would, in the order of the page."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from firedrill.runner.verdict import Verdict

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")

SNIPPET = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"# exit code (\d+)")
SECTIONS = ("scenario", "fault", "oracle", "loop", "verdict")


@dataclass
class Reader:
    """Somebody with a copy of the harness, who does what the guide says; `printed` is what the last command printed."""

    clone: Path
    printed: str = ""

    def write(self, snippet: str) -> None:
        """A whole file, whose name is in the first line."""
        path = self.named(snippet)
        assert not path.exists(), f"{path} exists"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(snippet, encoding="utf-8")

    def edit(self, snippet: str) -> None:
        """A change of a file: each line that stays is looked for, and what follows it is added behind it or taken out."""
        path = self.named(snippet)
        lines, place = path.read_text(encoding="utf-8").splitlines(), 0
        for change in snippet.splitlines()[1:]:
            sign, line = change[0], change[1:]
            if sign == "+":
                lines.insert(place, line)
                place += 1
                continue
            assert sign in " -", f"{change!r} neither stays nor goes nor comes"
            assert lines.count(line) == 1, f"{line!r} stands {lines.count(line)} times in {path}"
            place = lines.index(line)
            if sign == "-":
                del lines[place]
            else:
                place += 1
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")

    def run(self, snippet: str) -> None:
        """Commands, each with the exit code that stands behind it, or 0."""
        paths = os.pathsep.join(map(str, (self.clone / "harness", ROOT / "src")))
        env = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        for line in snippet.splitlines():
            program, *arguments = shlex.split(line, comments=True)
            assert program == "firedrill", f"nobody runs {program!r}"
            command = [sys.executable, "-m", "firedrill.cli", *arguments]
            ended = subprocess.run(command, cwd=self.clone, env=env, capture_output=True, text=True, timeout=60, check=False)
            expected = CODE.search(line)
            self.printed = ended.stdout
            assert ended.returncode == (int(expected[1]) if expected else 0), f"{line}\n{ended.stdout}{ended.stderr}"

    def see(self, snippet: str) -> None:
        """Lines that the last command printed."""
        assert set(snippet.splitlines()) <= set(self.printed.splitlines()), f"{snippet}is not in\n{self.printed}"

    def named(self, snippet: str) -> Path:
        """The file that a snippet names in its first line."""
        name = re.match(r"# (\S+)\n", snippet)
        assert name, f"no file is named: {snippet}"
        return self.clone / name[1]


EXECUTORS: dict[str, Callable[[Reader, str], None]] = {
    "yaml": Reader.write,
    "python": Reader.write,
    "diff": Reader.edit,
    "sh": Reader.run,
    "text": Reader.see,
}


def follow(page: str, reader: Reader) -> None:
    """Do everything that a page says; a snippet that cannot be done is a mistake of the page."""
    snippets = SNIPPET.findall(page)
    assert len(snippets) * 2 == page.count("```"), "a snippet is not closed, or indented"
    for language, snippet in snippets:
        assert language in EXECUTORS, f"nobody can execute {language or 'this'}: {snippet}"
        EXECUTORS[language](reader, snippet)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A reader with a harness of their own to change."""
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    return Reader(tmp_path)


def test_every_snippet_does_what_the_guide_says(reader: Reader) -> None:
    follow(PAGE, reader)


def test_every_section_ends_with_something_that_was_run() -> None:
    titles = re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    assert [word for word, title in zip(SECTIONS, titles, strict=True) if word not in title] == []
    for section in PAGE.split("\n## ")[1:]:
        assert [language for language, _ in SNIPPET.findall(section)][-2:] == ["sh", "text"]


def test_the_guide_explains_each_verdict_and_no_other() -> None:
    """In the order of gravity, which the guide promises."""
    assert re.findall(r"^\| `(\w+)` \| .+ \|$", PAGE, flags=re.MULTILINE) == [verdict.value for verdict in Verdict]


@pytest.mark.parametrize(
    "wrong",
    [
        "```rust\nfn main() {}\n```\n",
        "```\nnothing\n```\n",
        "```python\nx = 1\n```\n",
        "```sh\nls\n```\n",
        "```sh\nfiredrill validate nowhere.yaml\n```\n",
        "```sh\nfiredrill --help  # exit code 1\n```\n",
        "```text\nnobody printed this\n```\n",
        "```diff\n# a.txt\n no such line\n+added\n```\n",
        "```sh\nfiredrill --help\n",
    ],
)
def test_a_wrong_snippet_is_noticed(wrong: str, reader: Reader) -> None:
    (reader.clone / "a.txt").write_text("one line\n")
    with pytest.raises(AssertionError):
        follow(wrong, reader)
