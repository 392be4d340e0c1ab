"""Nothing that a step of a served run does adds, changes or removes a pipeline that the server offers."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.config.tables.serve import ServeTable
from orchestrator.errors import CompilationError, PermissionDenied, StepError
from orchestrator.server.catalog import Catalog, output_directories, pipeline_directories
from orchestrator.server.service import Service
from tests.tools.support import Workplace

EVIL = "steps: [{id: evil, action: sleep, parameters: {seconds: 0}}]\n"
KEPT = "steps: [{id: kept, action: sleep, parameters: {seconds: 0}}]\n"

PATHS = st.sampled_from(
    [
        *("a.yaml", "A.YAML", "new.yml", "a.yaml.lock", "a.yaml.", "a.yaml::$DATA", ".hidden/new.yaml", "."),
        *("reports", "reports/a.yaml", "reports/new.yaml", "./reports/../b.yml", "reports/sub"),
        *("output", "output/new.yaml", "output/deep/new.yaml", "output/evil.yaml", "output/reports"),
        *("data.txt", "hard.txt", "linked.txt", "link", "link/new.yaml", "to_reports", "to_reports/new.yaml"),
        *("to_output", "to_output/new.yaml", "evil", "evil/tree", "moved", "empty", "empty/new.yaml"),
        *("pipelines", "pipelines/new.yaml", "{work}/reports/a.yaml", "{work}/new.yaml", "../work/new.yaml"),
    ]
)


def call(name: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.fixed_dictionaries(parameters).map(lambda given: (f"filesystem.{name}", given))


ACTIONS = st.one_of(
    call("write", path=PATHS, content=st.just(EVIL), overwrite=st.booleans()),
    call("append", path=PATHS, content=st.just(EVIL)),
    call("copy", path=PATHS, destination=PATHS, overwrite=st.booleans()),
    call("move", path=PATHS, destination=PATHS, overwrite=st.booleans()),
    call("delete", path=PATHS, recursive=st.booleans(), missing_ok=st.booleans()),
)


def build(work: Path, *, output: str) -> None:
    for name in ("reports", "evil/tree", "empty", "pipelines"):
        (work / name).mkdir(parents=True)
    for name in ("a.yaml", "reports/a.yaml"):
        (work / name).write_text(KEPT)
    (work / "a.yaml.lock").write_text("kept")
    (work / "data.txt").write_text("data")
    (work / "evil" / "tree" / "evil.yaml").symlink_to("../text")
    (work / "evil" / "text").write_text(EVIL)
    (work / "hard.txt").hardlink_to(work / "reports" / "a.yaml")
    (work / "linked.txt").symlink_to("reports/a.yaml")
    (work / "link").symlink_to("reports")
    (work / "to_reports").symlink_to("reports")
    if output == "directory":
        (work / "output").mkdir()
        (work / "output" / "evil.yaml").write_text(EVIL)
    elif output == "link":
        (work / "output").symlink_to("data")
        (work / "data").mkdir()
    (work / "to_output").symlink_to("output")


def offered(work: Path, table: ServeTable) -> dict[str, str]:
    """The pipelines that a server offers, with their texts and those of their lock files."""
    found = {}
    for directory in pipeline_directories(work, table):
        for file in directory.files():
            found[str(file.place.path)] = file.path.read_text()
            lock = file.path.with_name(f"{file.path.name}.lock")
            found[str(lock)] = lock.read_text() if lock.exists() else ""
    return found


@settings(max_examples=250)
@given(
    calls=st.lists(ACTIONS, min_size=1, max_size=6),
    output=st.sampled_from(["directory", "absent", "link"]),
    served=st.sampled_from([(".",), ("reports", "pipelines"), ("pipelines",), (".", "pipelines")]),
)
def test_no_sequence_of_actions_changes_what_a_server_offers(calls: Any, output: str, served: tuple[str, ...]):
    base = Path(os.path.realpath(tempfile.mkdtemp()))
    try:
        work = base / "work"
        work.mkdir()
        build(work, output=output)
        table = ServeTable(pipelines=served)
        workplace = Workplace(work)
        outputs = [Path(os.path.realpath(path)) for path in output_directories(work, table)]
        workplace.context.permissions = workplace.permissions.protecting(
            offered=[directory.path for directory in pipeline_directories(work, table)], outputs=outputs
        )
        before = offered(work, table)
        for name, parameters in calls:
            given = {
                key: value.replace("{work}", str(work)) if isinstance(value, str) else value
                for key, value in parameters.items()
            }
            with suppress(StepError):  # refused, or not possible
                workplace(name, **given)
        assert offered(work, table) == before
    finally:
        shutil.rmtree(base)


@pytest.mark.parametrize("path", ["output/new.yaml", "reports/new.txt", "new.json", "output/deep/new.yml"])
def test_other_files_and_those_in_output_directories_are_written(path: str, tmp_path: Path):
    workplace = Workplace(tmp_path)
    workplace.context.permissions = workplace.permissions.protecting(offered=[tmp_path], outputs=[tmp_path / "output"])
    workplace("filesystem.write", path=path, content=EVIL)
    assert (tmp_path / path).read_text() == EVIL


def test_a_refusal_says_how_to_continue(tmp_path: Path):
    workplace = Workplace(tmp_path)
    workplace.context.permissions = workplace.permissions.protecting(offered=[tmp_path])
    with pytest.raises(PermissionDenied, match="belongs to Orchestrator") as denied:
        workplace("filesystem.write", path="new.yaml", content=EVIL)
    assert "`outputs` in [serve]" in str(denied.value.help)
    assert "protect_pipelines = false" in str(denied.value.help)


WRITING = """\
inputs: {path: {type: string}}
steps:
  - {id: a, action: filesystem.write, parameters: {path: "{{ path }}", content: "steps: []"}}
"""


@pytest.mark.parametrize("protect", [True, False])
def test_a_server_protects_its_pipelines_unless_it_is_told_not_to(tmp_path: Path, protect: bool):
    (tmp_path / "writing.yaml").write_text(WRITING)
    with orc.Orchestrator(directory=tmp_path) as client:
        service = Service(client, ServeTable(protect_pipelines=protect))
        pipeline = service.catalog.find("writing").required()
        assert pipeline.start(path="other.yaml").wait().state == ("failed" if protect else "succeeded")
        assert (tmp_path / "other.yaml").exists() is not protect
        assert pipeline.start(path="output/data.yaml").wait().state == "succeeded"


def test_a_literal_path_is_refused_when_the_pipeline_is_compiled(tmp_path: Path):
    (tmp_path / "writing.yaml").write_text(WRITING.partition("\n")[2].replace("{{ path }}", "writing.yaml"))
    with orc.Orchestrator(directory=tmp_path) as client:
        service = Service(client, ServeTable())
        with pytest.raises(CompilationError) as refused:
            service.catalog.find("writing").required()
        assert refused.value.diagnostics[0].code == "ORC406"


def test_a_run_of_the_command_writes_where_it_may(tmp_path: Path):
    with orc.Orchestrator(directory=tmp_path) as client:
        Catalog(client, ServeTable())
        assert client.permissions.check_write("new.yaml") is None
