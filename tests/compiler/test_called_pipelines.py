"""Pipelines that call pipelines: what is read, what it is called, and how mistakes in another file are shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.compiler import Compilation, compile_pipeline
from orchestrator.diagnostics import diagnostics_json, render_text, to_github, to_sarif
from orchestrator.plan.steps import StepGroup, SubPipeline
from orchestrator.tools import Permissions, Registry, builtin_registry, to_tools
from tests.conformance import tools

REGISTRY: Registry = builtin_registry() | Registry(to_tools(tools))
CHILD = """
inputs: {topic: {type: string, required: true}}
steps: [{id: say, tool: echo, parameters: {value: "{{ topic }}"}}]
outputs: {text: {value: "{{ topic }}", type: string}, length: "{{ topic | length }}"}
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(**files: str) -> None:
    for name, text in files.items():
        path = Path(name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def compiled(source: Any, *, allow: tuple[Path, ...] = (), **options: Any) -> Compilation:
    permissions = Permissions(directory=Path.cwd(), allow_paths=allow)
    return compile_pipeline(source, registry=REGISTRY, permissions=permissions, **options)


def calling(file: str, *, inputs: str = "{topic: sun}", more: str = "") -> str:
    return f"steps: [{{id: part, pipeline: {file}, inputs: {inputs}{more}}}]\n"


def codes(compilation: Compilation) -> list[tuple[str, str]]:
    return [(diagnostic.source.name, diagnostic.code) for diagnostic in compilation.diagnostics]


def test_a_file_is_found_from_where_its_caller_is() -> None:
    write(parts__child=CHILD, parts__middle=calling("./child.yaml"), main=calling("parts/middle.yaml", inputs="{}"))
    plan = compiled(Path("main.yaml")).plan
    assert plan is not None
    assert sorted(plan.pipelines) == ["parts/child.yaml", "parts/middle.yaml"]
    assert plan.pipelines["parts/middle.yaml"].pipelines == {}
    middle = plan.pipelines["parts/middle.yaml"].steps[0].work
    assert isinstance(middle, SubPipeline)
    assert middle.source == "parts/child.yaml"
    assert plan.pipelines["parts/child.yaml"].id == "child"


def test_a_text_without_a_path_calls_from_the_directory_of_the_run() -> None:
    write(child=CHILD)
    assert compiled(calling("child.yaml")).ok


def test_a_file_outside_of_the_directory_needs_permission(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    write(outside__child=CHILD, inside__main=calling("../outside/child.yaml"))
    permissions = Permissions(directory=inside)
    source = inside / "main.yaml"
    refused = compile_pipeline(source, registry=REGISTRY, permissions=permissions)
    assert [diagnostic.code for diagnostic in refused.diagnostics] == ["ORC406"]
    allowed = compile_pipeline(
        source, registry=REGISTRY, permissions=Permissions(directory=inside, allow_paths=(outside,))
    )
    assert allowed.plan is not None
    assert list(allowed.plan.pipelines) == [(outside / "child.yaml").as_posix()]


def test_a_recorded_plan_is_made_again_of_recorded_texts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(parts__child=CHILD, sub__main=calling("../parts/middle.yaml"))
    write(parts__middle=calling("child.yaml", inputs='{topic: "{{ topic }}"}') + "inputs: {topic: moon}\n")
    first = compiled(Path("sub/main.yaml")).plan
    assert first is not None
    for path in tmp_path.rglob("*.yaml"):
        path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    again = compile_pipeline(
        first.source_text,
        registry=REGISTRY,
        permissions=Permissions(directory=tmp_path),
        name=first.source_name,
        sources=first.sources,
    ).plan
    assert again is not None
    assert again.digest == first.digest
    assert again.sources == first.sources


def test_what_was_not_recorded_is_not_read() -> None:
    write(child=CHILD)
    compilation = compiled(calling("child.yaml"), sources={})
    assert [diagnostic.code for diagnostic in compilation.diagnostics] == ["ORC410"]


def test_the_digest_changes_with_a_file_that_is_called() -> None:
    def digest(text: str) -> str:
        write(child=text)
        plan = compiled(calling("child.yaml")).plan
        assert plan is not None
        return plan.digest

    assert digest(CHILD) == digest(CHILD + "# a remark\n") != digest(CHILD.replace("say", "tell"))


def test_a_mistake_is_shown_once_in_its_own_file_in_every_format() -> None:
    write(parts__child=CHILD.replace('"{{ topic }}"}}', '"{{ topik }}"}}'))
    write(
        main="""
steps:
  - {id: one, pipeline: parts/child.yaml, inputs: {topic: sun}}
  - {id: two, pipeline: parts/../parts/child.yaml, inputs: {topic: [1]}}
"""
    )
    compilation = compiled(Path("main.yaml"))
    assert codes(compilation) == [("main.yaml", "ORC405"), ("parts/child.yaml", "ORC301")]
    text = render_text(compilation.diagnostics)
    assert " --> parts/child.yaml:3:" in text
    assert "::: parts/child.yaml:2:" in text
    assert 'value: "{{ topik }}"' in text
    first, second = diagnostics_json(compilation.diagnostics)["diagnostics"]
    assert (first["file"], first["related"][0]["file"]) == ("main.yaml", "parts/child.yaml")
    assert (second["file"], second["line"]) == ("parts/child.yaml", 3)
    assert "file=parts/child.yaml,line=3" in to_github(compilation.diagnostics)
    sarif = json.dumps(to_sarif(compilation.diagnostics))
    assert '"uri": "parts/child.yaml"' in sarif


def test_the_outputs_of_a_called_pipeline_have_the_types_that_their_expressions_have() -> None:
    write(child=CHILD)
    text = calling("child.yaml").replace("]\n", ", {id: show, tool: echo, parameters: {value: VALUE}}]\n")
    assert compiled(text.replace("VALUE", '"{{ part.length + 1 }}"')).ok
    assert codes(compiled(text.replace("VALUE", '"{{ part.text - 1 }}"'))) == [("<text>", "ORC316")]
    assert codes(compiled(text.replace("VALUE", '"{{ part.length.size }}"'))) == [("<text>", "ORC303")]


def test_recursion_has_a_limit_or_is_refused() -> None:
    end = "{id: again, condition: n > 0, pipeline: FILE, inputs: {n: '{{ n - 1 }}'}MORE}"
    text = f"inputs: {{n: 3}}\nsteps: [{end}]\n"
    write(itself=text.replace("FILE", "itself.yaml").replace("MORE", ", max_depth: 5"))
    plan = compiled(Path("itself.yaml")).plan
    assert plan is not None
    assert list(plan.pipelines) == ["itself.yaml"]
    assert plan.pipelines["itself.yaml"].steps == plan.steps
    write(one=text.replace("FILE", "two.yaml").replace("MORE", ""))
    write(two=text.replace("FILE", "one.yaml").replace("MORE", ", max_depth: 5"))
    assert compiled(Path("one.yaml")).ok
    write(three=text.replace("FILE", "two.yaml").replace("MORE", ""))
    write(one=text.replace("FILE", "three.yaml").replace("MORE", ""))
    write(two=text.replace("FILE", "one.yaml").replace("MORE", ""))
    compilation = compiled(Path("one.yaml"))
    assert [code for _, code in codes(compilation)] == ["ORC411"]
    [diagnostic] = compilation.diagnostics
    assert "`one.yaml` -> `three.yaml` -> `two.yaml` -> `one.yaml`" in diagnostic.message
    assert {related.source.name for related in diagnostic.related} == {"three.yaml", "two.yaml"}


def test_a_limit_on_one_way_round_does_not_hold_for_another() -> None:
    write(a="steps: [{id: b, pipeline: b.yaml}, {id: c, pipeline: c.yaml}]\n")
    write(b="steps: [{id: a, pipeline: a.yaml, max_depth: 2}]\n", c="steps: [{id: a, pipeline: a.yaml}]\n")
    compilation = compiled(Path("a.yaml"))
    assert [code for _, code in codes(compilation)] == ["ORC411"]
    assert "`a.yaml` -> `c.yaml` -> `a.yaml`" in compilation.diagnostics[0].message


def test_files_call_files_as_deep_as_they_like() -> None:
    step = "{id: s, pipeline: FILE}"
    for depth in range(40):
        step = f"{{id: s{depth}, steps: [{step}]}}"
    for number in range(60):
        write(**{f"f{number}": f"steps: [{step.replace('FILE', f'f{number + 1}.yaml')}]\n"})
    write(f60="steps: [{id: s, tool: echo}]\noutputs: {n: '{{ 1 }}'}\n")
    plan = compiled(Path("f0.yaml")).plan
    assert plan is not None
    assert len(plan.pipelines) == 60


def test_a_call_inside_of_a_block_is_a_call() -> None:
    write(child=CHILD)
    plan = compiled("steps: [{id: g, steps: [{id: part, pipeline: child.yaml, inputs: {topic: a}}]}]\n").plan
    assert plan is not None
    assert isinstance(plan.steps[0].work, StepGroup)
    assert list(plan.pipelines) == ["child.yaml"]


@pytest.mark.parametrize("name", ["child.yaml", "parts/child.yaml", "./parts/child.yaml", "missing.yaml", "parts"])
def test_a_file_that_cannot_be_called_is_one_mistake_of_the_caller(name: str) -> None:
    write(parts__other=CHILD)
    Path("child.yaml").write_bytes(b"\xff\xfe\x00steps")
    text = calling(name).replace("]\n", ", {id: show, tool: echo, parameters: {value: '{{ part.any.thing }}'}}]\n")
    assert codes(compiled(text)) == [("<text>", "ORC410")]


@pytest.mark.parametrize(
    "text",
    [
        "inputs:\n  topic: [unclosed\nsteps: {id: say\noutputs: {text: 1}\n",
        "input: {topic: sun}\nsteps: [{id: say, tool: echo}]\noutput: {x: '{{ say }}'}\n",
        "inputs: {topic: {typ: string}}\nsteps: [{id: say, tool: echo}]\noutputs: [1]\n",
    ],
)
def test_a_called_file_that_cannot_be_read_in_part_causes_no_echo_in_its_caller(text: str) -> None:
    write(child=text)
    show = ", {id: s, tool: echo, parameters: {value: '{{ part.x }}'}}]\n"
    compilation = compiled(calling("child.yaml").replace("]\n", show))
    assert {name for name, _ in codes(compilation)} == {"child.yaml"}
