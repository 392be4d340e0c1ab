"""Paths that no file can have: too long, with a NUL, with half a character. Each command says so, and none breaks."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.cli.app import run_command

PIPELINE = 'inputs: {f: {type: file}}\nsteps: [{id: a, tool: log, parameters: {message: "{{ f }}"}}]\n'
PATHS = {"long": "a" * 300, "deep": "a/" * 3000 + "a", "half a character": "a\ud83d", "undecodable": "a\udcff"}
COMMANDS = (
    ("run", "p.yaml", "-i", "f=@"),
    ("run", "@"),
    ("check", "@"),
    ("check", "@.yaml"),
    ("run", "p.yaml", "-i", "f=p.yaml", "--inputs", "@"),
    ("run", "p.yaml", "-i", "f=p.yaml", "--tools", "@.py"),
    ("run", "p.yaml", "-i", "f=p.yaml", "--store", "sqlite:///@"),
    ("test", "@"),
    ("test", "@.test.yaml"),
    ("map", "p.yaml", "@"),
    ("lock", "@.yaml"),
    ("graph", "@.yaml"),
)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_path_that_no_file_can_have_is_refused_in_words(
    command: Sequence[str],
    path: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(PIPELINE, encoding="utf-8")
    assert run_command([word.replace("@", path) for word in command]) in (1, 2)
    said = capsys.readouterr()
    assert re.search(r"error\[ORC\d{3}\]", said.err + said.out)
    assert "ORC999" not in said.err + said.out
