"""Runs the cases of the py-orc dialect: each file is checked, and written in the canonical form."""

import os
import shutil
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.cli.terminal.hints import Hints
from orchestrator.diagnostics import render_text
from orchestrator.language import read_document
from orchestrator.language.canonical_text import canonical_text
from orchestrator.language.spellings import older_names, spellings_of
from orchestrator.models.actions import model_tools
from orchestrator.testing import FakeModel
from orchestrator.tools import builtin_registry

HERE = Path(__file__).parent / "dialect"
UPDATE = bool(os.environ.get("UPDATE_CONFORMANCE"))
CASES = sorted(path for path in HERE.glob("*.yaml") if not path.name.endswith(".canonical.yaml"))
HAS = (builtin_registry() | model_tools()).has
CANONICAL = sorted(HERE.glob("*.canonical.yaml"))


def expect(path: Path, actual: str) -> None:
    if UPDATE:
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


def of_case(path: Path) -> Path:
    return path.with_name(path.name.replace(".canonical.yaml", ".yaml"))


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the file of the case, and those that it uses."""
    path: Path = request.getfixturevalue("path")
    monkeypatch.chdir(tmp_path)
    for case in CASES:
        shutil.copy(case, tmp_path)
    files = of_case(path).with_suffix(".files")
    if files.exists():
        shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    shutil.copy(path, tmp_path)
    return tmp_path


def check(path: Path, directory: Path, *, canonical: bool = False) -> orc.Report:
    with orc.Orchestrator(
        store=f"sqlite:///{directory}/runs.db", directory=directory, models=FakeModel(otherwise="fail")
    ) as client:
        return client.check(directory / path.name, canonical=canonical)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_file_of_the_dialect_is_accepted_or_explained(path: Path, project: Path) -> None:
    report = check(path, project)
    assert all(diagnostic.advice for diagnostic in report.diagnostics), "every diagnostic says how to go on"
    text = render_text(report.diagnostics, render=Hints().line) if report.diagnostics else "no problems"
    expect(path.with_suffix(".txt"), text.replace(str(project), "/project") + "\n")
    canonical = path.with_suffix(".canonical.yaml")
    if report.ok:
        expect(canonical, canonical_text(read_document(path, is_known=HAS), is_known=HAS).text)
    assert canonical.exists() is report.ok


@pytest.mark.parametrize("path", CANONICAL, ids=lambda path: path.stem)
def test_the_canonical_form_means_the_same_and_has_no_other_spelling(path: Path, project: Path) -> None:
    written, canonical = (read_document(each, is_known=HAS) for each in (of_case(path), path))
    if not any(step.result_names for step in written.spec.steps):  # templates read them by other names
        assert canonical.spec == written.spec
    assert spellings_of(canonical) == older_names(canonical) == []
    before, after = check(of_case(path), project), check(path, project, canonical=True)
    codes = [each.code for each in before.diagnostics if each.code != "ORC513" and "no effect here" not in each.message]
    assert [diagnostic.code for diagnostic in after.diagnostics] == codes


@pytest.mark.parametrize("path", CANONICAL, ids=lambda path: path.stem)
def test_comments_survive(path: Path) -> None:
    for line in of_case(path).read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("# ") and "{{" not in line:
            assert line.strip() in path.read_text(encoding="utf-8")
