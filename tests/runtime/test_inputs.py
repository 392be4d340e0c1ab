"""The inputs of a run: given, from the environment, by default; all problems at once; fixed at the start."""

from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.remedies import AllowPath, GiveInput
from tests.runtime.support import Bench, pipeline, step


def run(client: orc.Orchestrator, inputs: dict[str, Any], **given: Any) -> Any:
    plan = pipeline(step("a", value="{{ inputs }}"), inputs=inputs, outputs={"a": "{{ a }}"})
    return client.compile(plan).run(given).outputs["a"]


def test_a_value_is_given_or_from_the_environment_or_the_default(
    client: orc.Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"n": {"type": "integer", "default": 1, "default_from_env": "TEST_N"}}
    assert run(client, spec) == {"n": 1}
    monkeypatch.setenv("TEST_N", "2")
    assert run(client, spec) == {"n": 2}
    assert run(client, spec, n=3) == {"n": 3}


def test_an_optional_input_without_a_value_is_null(client: orc.Orchestrator) -> None:
    assert run(client, {"n": {"type": "integer", "required": False}}) == {"n": None}


def test_all_problems_are_reported_at_once(client: orc.Orchestrator, bench: Bench) -> None:
    plan = pipeline(
        step("a", value="{{ inputs }}"),
        inputs={"topic": {"type": "string"}, "n": {"type": "integer", "minimum": 1}, "when": {"type": "string"}},
    )
    with pytest.raises(orc.InputError) as caught:
        client.compile(plan).run(topc="x", n=0, when=object())
    problems = caught.value.problems
    assert len(problems) == 4
    assert "did you mean `topic`?" in problems[0]
    assert problems[1].startswith("`topic` is required")
    assert problems[2].startswith("`n` ")
    assert "JSON" in problems[3]
    assert bench.calls == []
    assert client.list_runs() == []


@pytest.mark.parametrize(
    ("given", "code"), [({}, "ORC601"), ({"topic": "x", "other": 1}, "ORC602"), ({"topic": 5}, "ORC603")]
)
def test_each_kind_of_problem_has_its_code(given: dict[str, Any], code: str, client: orc.Orchestrator) -> None:
    with pytest.raises(orc.InputError) as caught:
        run(client, {"topic": {"type": "string"}}, **given)
    assert caught.value.code == code


@pytest.mark.parametrize(("name", "python"), [("topic", "topic=..."), ("main-topic", '{"main-topic": ...}')])
def test_how_an_input_is_given_is_said_for_the_command_line_and_for_python(
    client: orc.Orchestrator, name: str, python: str
) -> None:
    with pytest.raises(orc.InputError) as caught:
        run(client, {name: {"type": "string", "default_from_env": "TEST_TOPIC"}})
    assert caught.value.problems == (f"`{name}` is required",)
    remedy = GiveInput(name, variable="TEST_TOPIC")
    assert caught.value.remedies == (remedy,)
    assert f"; set $TEST_TOPIC, or give `{name}` with: {python}" in str(caught.value)
    assert remedy.shell == f"--input {name}=..."


def test_a_file_that_cannot_be_read_is_a_remedy_unless_its_path_is_a_secret(client: orc.Orchestrator) -> None:
    for secret in (False, True):
        with pytest.raises(orc.InputError) as caught:
            run(client, {"path": {"type": "file", "secret": secret}}, path="/etc/passwd")
        assert caught.value.remedies == (() if secret else (AllowPath("/etc/passwd"),))
        assert ("passwd" in str(caught.value)) is not secret


def test_a_file_must_exist_and_be_readable_by_the_run(client: orc.Orchestrator, tmp_path: Path) -> None:
    spec = {"path": {"type": "file"}}
    Path(tmp_path, "here.txt").write_text("x")
    assert run(client, spec, path="here.txt") == {"path": "here.txt"}
    assert run(client, spec, path=Path("here.txt")) == {"path": "here.txt"}
    for wrong, words in {"gone.txt": "does not exist", ".": "directory", "/etc/passwd": r"extended\(paths="}.items():
        with pytest.raises(orc.InputError, match=words):
            run(client, spec, path=wrong)


def test_inputs_named_like_arguments_are_inputs(client: orc.Orchestrator) -> None:
    spec = {"inputs_file": "x", "self": "y", "timeout": 5}
    assert run(client, spec, self="me") == {"inputs_file": "x", "self": "me", "timeout": 5}
