"""Files that are whole or not there."""

from pathlib import Path


def write_aside(path: Path, text: str) -> None:
    """Write a text beside its place and then put it there, so that nobody reads half of it. Folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
