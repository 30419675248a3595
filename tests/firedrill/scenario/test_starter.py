from pathlib import Path

from firedrill.scenario.load import load
from firedrill.scenario.starter import SCHEMA_PATH, starter


def test_the_starter_is_valid_and_an_editor_finds_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "my-first.yaml"
    path.write_text(starter("my-first"))
    assert load(path).name == "my-first"
    assert path.read_text().splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA_PATH.as_uri()}"
    assert SCHEMA_PATH.is_file()
