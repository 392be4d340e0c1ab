"""What the API takes and gives: sources of every kind, words that must be known, views, pickles, and `dir`."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.errors import ConfigurationError, InputError
from orchestrator.remedies import AllowCommands
from orchestrator.testing import FakeModel
from tests.runtime.support import Bench, pipeline, step

if TYPE_CHECKING:
    from pathlib import Path

SIMPLE = pipeline(
    step("a", value="{{ topic }}!"), inputs={"topic": {"default": ["sun"]}}, outputs={"a": "{{ a }}"}, name="Simple"
)
TEXT = "steps: [{id: a, action: sleep, parameters: {seconds: 0}}]"


# --- sources


@pytest.mark.parametrize("many_lines", [False, True])
@pytest.mark.parametrize(
    "form", ["text", "bytes", "bytearray", "path", "path text", "text file", "binary file", "stream"]
)
def test_a_pipeline_is_read_from_every_form_that_a_file_has(
    client: orc.Orchestrator, tmp_path: Path, form: str, many_lines: bool
) -> None:
    text = TEXT + "\n" * many_lines
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with path.open() as as_text, path.open("rb") as as_bytes:
        source: Any = {
            "text": text,
            "bytes": text.encode(),
            "bytearray": bytearray(text.encode()),
            "path": path,
            "path text": str(path),
            "text file": as_text,
            "binary file": as_bytes,
            "stream": io.StringIO(text),
        }[form]
        assert client.check(source).ok
        if "file" not in form and form != "stream":
            assert client.compile(source).run().state == "succeeded"


@pytest.mark.parametrize("method", ["check", "compile"])
@pytest.mark.parametrize("source", [None, [], [{"id": "a"}], 3, 2.5, True, object(), {1, 2}, b"\xff\xfe", iter(())])
def test_what_cannot_be_a_pipeline_is_refused_in_words(client: orc.Orchestrator, method: str, source: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        getattr(client, method)(source)
    assert caught.value.help


def test_a_file_that_is_closed_or_opened_for_writing_is_refused(client: orc.Orchestrator, tmp_path: Path) -> None:
    closed = io.StringIO(TEXT)
    closed.close()
    with (tmp_path / "w").open("w") as writing:
        for file in (closed, writing):
            with pytest.raises(ConfigurationError, match="cannot be read"):
                client.check(file)


# --- words


UNKNOWN: dict[str, Any] = {
    "state of list_runs": (lambda c: c.list_runs(state="faild"), "did you mean `failed`?"),
    "limit of list_runs": (lambda c: c.list_runs(limit=0), "greater than 0"),
    "format of graph": (lambda c: c.compile(TEXT).graph("png"), "`mermaid`"),
    "cache": (lambda c: c.compile(TEXT).with_options(cache="no"), "`cache` cannot be 'no'"),
    "budget": (lambda c: c.compile(TEXT).with_options(budget=3), "Budget(usd=2)"),
    "refresh": (lambda c: c.compile(TEXT).with_options(refresh=[3]), "`refresh` cannot be 3"),
    "run id": (lambda c: c.get_run(None), "`run_id` cannot be None"),
    "permissions": (lambda c: orc.Orchestrator(permissions={"run": True}), "`permissions` cannot be"),
    "directory": (lambda c: orc.Orchestrator(directory=3), "`directory` cannot be 3"),
    "judge": (lambda c: c.compile(TEXT).run().qc(judge=3), "`judge` must be"),
    "fake": (lambda c: FakeModel(otherwise="fial"), "`otherwise` cannot be 'fial'"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_word_that_means_nothing_is_an_error(client: orc.Orchestrator, name: str) -> None:
    act, told = UNKNOWN[name]
    with pytest.raises(ConfigurationError) as caught:
        act(client)
    assert told in str(caught.value)


@pytest.mark.parametrize("given", [3, [1], "topic", {1: 2}, orc.Budget()])
def test_inputs_that_are_no_mapping_by_names_are_refused(client: orc.Orchestrator, given: Any) -> None:
    with pytest.raises(InputError, match="mapping of names to values"):
        client.compile(SIMPLE).run(given)


def test_an_unknown_level_of_a_log_line_fails_the_step_that_writes_it(tmp_path: Path) -> None:
    @orc.tool
    def says(context: orc.ToolContext) -> None:
        """Log."""
        context.log("x", level="loud")  # type: ignore[arg-type]

    with (
        orc.Orchestrator(directory=tmp_path, tools=[says]) as client,
        pytest.raises(orc.RunFailed, match="unknown log level 'loud'"),
    ):
        client.compile({"steps": [{"id": "a", "tool": "says"}]}).run()


def test_one_word_where_several_may_stand_is_that_word(tmp_path: Path) -> None:
    allowed = orc.Permissions(tmp_path).extended(run="git", hosts="db.internal", paths="shared")
    assert allowed.allow_run == ("git",)
    assert allowed.allow_hosts == ("db.internal",)
    assert allowed.allow_paths == (tmp_path / "shared",)


# --- views


def test_nothing_that_a_pipeline_shows_changes_it(client: orc.Orchestrator) -> None:
    compiled: Any = client.compile(SIMPLE)
    for act in (
        lambda: compiled.inputs.update(x=1),
        lambda: compiled.inputs.__setitem__("x", 1),
        lambda: compiled.outputs.__delitem__("a"),
        lambda: compiled.steps.append(1),
        lambda: setattr(compiled, "name", "other"),
        lambda: setattr(compiled, "id", "other"),
        lambda: setattr(compiled, "diagnostics", ()),
    ):
        with pytest.raises((AttributeError, TypeError)):
            act()
    compiled.inputs["topic"].default.append("moon")
    compiled.to_dict()["steps"].clear()
    assert compiled.run().outputs == {"a": '["sun"]!'}
    assert copy.copy(compiled) is compiled
    assert copy.deepcopy(compiled) is compiled


# --- pickles


def test_a_result_is_the_same_after_it_was_pickled_and_needs_no_store(client: orc.Orchestrator, bench: Bench) -> None:
    loop = {"id": "each", "for_each": "{{ [1, 2, 3] }}", "steps": [step("n", value="{{ item }}")]}
    result = client.compile(pipeline(loop, outputs={"n": "{{ each }}"})).run()
    data = pickle.dumps(result)
    client.close()
    found: orc.Result = pickle.loads(data)
    assert found.outputs == {"n": [1, 2, 3]}
    assert found.state == "succeeded"
    assert found.steps["each[1].n"].output == 2
    assert next(iter(found.steps)) == "each"
    assert [event.type for event in found.log][:2] == ["run.created", "run.started"]
    assert "each" in found.to_markdown()
    assert found.qc(judge=False).ok
    assert pickle.dumps(pickle.loads(pickle.dumps(found)))


def test_a_failed_run_can_be_pickled_with_its_error(client: orc.Orchestrator) -> None:
    with pytest.raises(orc.RunFailed) as caught:
        client.compile(pipeline(step("a", "fail", message="no"))).run()
    found = pickle.loads(pickle.dumps(caught.value))
    assert (type(found), found.message, found.step, found.code) == (
        orc.RunFailed,
        caught.value.message,
        "a",
        caught.value.code,
    )
    assert found.result.error == caught.value.result.error


def test_every_error_can_be_pickled_whatever_its_class_needs() -> None:
    for error in (
        orc.PermissionDenied("no", remedies=[AllowCommands()]),
        orc.StepTimeout("late", seconds=2.0),
        orc.MissingExtra("not there", extra="data"),
        orc.ModelRateLimited("slow", provider="openai", retry_after=3.0),
        orc.RunOwned("taken", run_id="r", owner="me"),
        orc.InputError("bad", problems=["one"]),
    ):
        found = pickle.loads(pickle.dumps(error))
        assert type(found) is type(error)
        assert (found.__dict__, str(found)) == (error.__dict__, str(error))


def test_a_status_and_a_report_can_be_pickled(client: orc.Orchestrator) -> None:
    run = client.compile(SIMPLE).start()
    status = run.wait()
    assert pickle.loads(pickle.dumps(status)) == status
    report = client.check("steps: [{id: a, tol: x}]")
    assert pickle.loads(pickle.dumps(report)) == report


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_handle_cannot_be_pickled_and_says_what_can(client: orc.Orchestrator, duplicate: Any) -> None:
    compiled = client.compile(SIMPLE)
    run = compiled.start()
    run.wait()
    with compiled.map([{"topic": ["moon"]}]) as results:
        handles = {
            client: "create one in the other process",
            run: "pickle its `id`, and call `get_run(id)`",
            results: "pickle the results that it yields",
            compiled.amap([]): "pickle the results that it yields",
        }
        for handle, help in handles.items():
            with pytest.raises(ConfigurationError, match="cannot be pickled or copied") as caught:
                duplicate(handle)
            assert caught.value.code == "ORC902"
            assert help in (caught.value.help or "")
    assert client.get_run(pickle.loads(pickle.dumps(run.id))).status().state == "succeeded"


def test_what_is_about_a_run_names_it_run_id_and_only_the_run_itself_has_an_id(client: orc.Orchestrator) -> None:
    run = client.compile(SIMPLE).start()
    result = run.result()
    about = [run.status(), result, next(iter(run.events(follow=False))), run.record(), orc.RunPaused("", run_id=run.id)]
    assert {each.run_id for each in about} == {run.id}
    assert [type(each) for each in about if hasattr(each, "id")] == []
    assert not hasattr(run, "run_id")


IN_ANOTHER_PROCESS = """
import pickle
import sys

import orchestrator as orc

pipeline = pickle.loads(sys.stdin.buffer.read())
print(pipeline.run(n=4).outputs["o"], pipeline.name, pipeline.options.max_parallel, len(orc.list_runs()))
"""


def test_a_pipeline_is_pickled_as_its_source_and_compiled_where_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        "import orchestrator as orc\n\n\n@orc.tool\ndef double(n: int) -> int:\n    '''Double.'''\n    return 2 * n\n"
    )
    (tmp_path / "called.yaml").write_text(
        "inputs: {n: 1}\nsteps: [{id: d, tool: double, parameters: {n: '{{ n }}'}}]\noutputs: {d: '{{ d }}'}\n"
    )
    (tmp_path / "main.yaml").write_text(
        "name: Main\ninputs: {n: 1}\noutputs: {o: '{{ c.d }}'}\n"
        "steps: [{id: c, pipeline: called.yaml, inputs: {n: '{{ n }}'}}]\n"
    )
    with orc.Orchestrator(directory=tmp_path, tools=[str(tmp_path / "tools.py")]) as client:
        compiled = client.compile(tmp_path / "main.yaml").with_options(max_parallel=2)
        again = pickle.loads(pickle.dumps(compiled))
        assert again.backend is client.backend
        data = pickle.dumps(compiled)
    (tmp_path / "main.yaml").unlink()
    (tmp_path / "called.yaml").unlink()
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS], input=data, capture_output=True, cwd=tmp_path, timeout=300
    )
    assert done.stdout.decode().split() == ["8", "Main", "2", "1"], done.stderr.decode()


# --- what is public


def test_dir_names_what_is_public_and_nothing_else() -> None:
    assert dir(orc) == sorted(orc.__all__)


@pytest.mark.parametrize("name", ["check", "compile", "default", "fork", "get_run", "list_runs", "resume", "retry"])
def test_the_documentation_of_a_function_stands_by_itself(name: str) -> None:
    text = getattr(orc, name).__doc__
    assert not text.startswith("As `")
    assert name == "default" or "Args:" in text
