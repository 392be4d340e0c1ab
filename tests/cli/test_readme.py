"""Everything that the README shows is done here: its commands, its Python, its mistake."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.models.catalog.providers import PROVIDERS
from tests.cli.conftest import Done, Project

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`([\w.]+\.yaml)`:\n\n```yaml\n(.*?)```", README, re.DOTALL))
PIPELINE = FILES["greeting.yaml"]
COMMANDS = [line[2:].split("#")[0].strip() for line in README.splitlines() if line.startswith("$ ")]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the README's pipelines, and no keys of providers."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for provider in PROVIDERS.values():
        for variable in (*provider.key_variables, *provider.own_keys):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(words: list[str], directory: Path) -> Done:
    project = Project(directory, tools=None)
    return project.process(*words) if words[0] in ("run", "status") else project(*words)


def test_every_command_does_what_is_said(directory: Path) -> None:
    commands = [line.split()[1:] for line in COMMANDS if line.startswith("orchestrator ")]
    assert len(commands) > 10
    for words in commands:
        done = command(words, directory)
        assert done.code == 0, (words, done.err)
        assert done.out or words[0] == "check"
    shown = re.search(r"\$ orchestrator run greeting\.yaml -i who=Ada\n(.*?)```", README, re.DOTALL)
    assert shown
    assert command(["run", "greeting.yaml", "-i", "who=Ada"], directory).out == shown[1]


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert named == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="not in a virtual environment, as `make test` is")
def test_the_environment_that_make_makes_has_the_command_once_it_is_active() -> None:
    assert "VENV := .venv\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    (line,) = (line for line in COMMANDS if line.startswith(". "))
    here = line.replace(".venv", shlex.quote(sys.prefix))
    found = subprocess.run(
        ["sh", "-c", f"{here} && command -v orchestrator"], capture_output=True, text=True, check=True
    )
    assert found.stdout == f"{sys.prefix}/bin/orchestrator\n"


def test_the_mistake_is_shown_as_it_is_said(directory: Path) -> None:
    (directory / "greeting.yaml").write_text(PIPELINE.replace("{{ words |", "{{ wrods |"))
    done = command(["run", "greeting.yaml"], directory)
    shown = re.search(r"<!-- mistake -->\n```text\n(.*?)```", README, re.DOTALL)
    assert shown
    assert (done.code, done.err) == (2, shown[1])


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_every_python_block_runs(directory: Path, code: str) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert out.getvalue()


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
