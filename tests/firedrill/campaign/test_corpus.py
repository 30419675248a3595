from pathlib import Path

import pytest

from firedrill.campaign.corpus import Entry, ForeignCorpus, add, read

ONE, OTHER = Entry("fuzz/a", "missed", "fd1.a"), Entry("fuzz/b", "crashed: KeyError", "fd1.b")


def test_what_failed_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "corpus.jsonl"
    assert add(path, [ONE]) == 1
    assert add(path, [ONE, OTHER]) == 1
    assert read(path) == [ONE, OTHER]


def test_where_nothing_failed_no_file_is_made(tmp_path: Path) -> None:
    assert add(tmp_path / "corpus.jsonl", []) == 0
    assert read(tmp_path / "corpus.jsonl") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["version: 1\n", '{"cell": "x"}\n', "[1, 2]\n"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(text)
    with pytest.raises(ForeignCorpus, match="no corpus"):
        read(path)
