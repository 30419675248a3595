from pathlib import Path

import pytest

from tolaria.errors import ConfigError
from tolaria.tasks.stdlib_lm import sources, stdlib_lm


def test_modules_are_read_in_the_encoding_that_they_declare(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes("# coding: latin-1\n# caf\u00e9\n".encode("latin-1"))
    (tmp_path / "plain.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "inside.py").write_text("y = 2\n", encoding="utf-8")
    assert sources(tmp_path) == {"latin.py": "# coding: latin-1\n# caf\u00e9\n", "plain.py": "x = 1\n"}


def test_a_python_without_its_sources_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sources of the standard library"):
        sources(tmp_path)


def test_there_is_ten_times_as_much_text_as_in_the_manual() -> None:
    assert stdlib_lm().train.inputs.numel() > 1_500_000
