"""Steps within steps: all of them are read, and each part knows where in the file it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.language import read_document
from orchestrator.language.spec.base import key_fields
from orchestrator.language.yaml.nodes import Mapping, Scalar, Sequence
from orchestrator.language.yaml.writer import write_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.language.spec.pipeline import HandlerSpec, PipelineSpec, StepSpec

CALL: dict[str, Any] = {"tool": "log", "parameters": {"message": "{{ x }}"}}

WAITS: list[dict[str, Any]] = [
    CALL,
    CALL | {"retry": 3, "cache": {"ttl": "1d"}, "on_resume": "ask"},
    CALL | {"for_each": [1, 2], "as": "row"},
    {"ask": {"prompt": "How many?", "type": "integer", "minimum": 1}, "timeout": "1h"},
    {"approve": "Publish?"},
    {"sleep": "{{ n }}"},
    {"wait_until": "2030-12-01"},
    {"pipeline": "other.yaml", "inputs": {"a": "{{ x }}"}},
]


def composites(blocks: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Steps that consist of steps."""
    body = {"steps": blocks}
    loops = [
        st.fixed_dictionaries({"for_each": st.sampled_from(["{{ a }}", {"range": [1, 5]}, {"file": "a.csv"}]), **body}),
        st.fixed_dictionaries({"while": st.just("x < 5"), "update": st.just({"n": 1}), **body}),
        st.fixed_dictionaries({"until": st.just(True), "max_iterations": st.integers(1, 9), **body}),
    ]
    cases = st.dictionaries(st.sampled_from(["a", "b c", "1", "true"]), blocks, min_size=1, max_size=3)
    switch = st.fixed_dictionaries({"switch": st.just("{{ x }}"), "cases": cases}, optional={"default": blocks})
    groups = [st.fixed_dictionaries({"parallel": blocks}), st.fixed_dictionaries(body)]
    return st.one_of(*loops, switch, *groups)


def with_handlers(steps: st.SearchStrategy[Any], blocks: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Steps, some of them with handlers."""
    handler = st.fixed_dictionaries({"steps": blocks}, optional={"error_types": st.just(["E"]), "retry": st.just(2)})
    return st.builds(
        lambda step, on: step | on,
        steps,
        st.fixed_dictionaries({}, optional={"on_error": st.lists(handler, min_size=1, max_size=2)}),
    )


def blocks(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Lists of steps, whose ids are unique in the list."""
    return st.lists(steps, min_size=1, max_size=3).map(
        lambda listed: [{"id": f"s{number}", **step} for number, step in enumerate(listed)]
    )


STEPS = st.recursive(
    st.sampled_from(WAITS), lambda inner: with_handlers(composites(blocks(inner)), blocks(inner)), max_leaves=12
)
PIPELINES = st.fixed_dictionaries(
    {"steps": blocks(STEPS)},
    optional={
        "finally": blocks(STEPS),
        "error_handlers": st.lists(st.builds(lambda b: {"steps": b}, blocks(STEPS)), min_size=1, max_size=2),
    },
)


@settings(max_examples=60)
@given(PIPELINES)
def test_every_step_at_any_depth_is_read_and_knows_its_place(pipeline: dict[str, Any]) -> None:
    text = write_yaml(pipeline)
    document = read_document(text)
    assert document.diagnostics == ()
    found = list(all_steps(document.spec))
    assert len(found) == sum(line.lstrip(" -").startswith("id: ") for line in text.splitlines())
    lines = text.splitlines()
    for step in found:
        id = step.node.get("id")
        assert isinstance(id, Scalar)
        assert excerpt(lines, id) == step.id
        for name in step.model_fields_set:
            key = {field: key for key, field in key_fields(type(step)).items()}[name]
            place = step.node.key(key)
            assert place is not None
            assert excerpt(lines, place) == key
        assert set(step.node.table) == {
            key for key, field in key_fields(type(step)).items() if field in step.model_fields_set
        }


@settings(max_examples=60)
@given(PIPELINES)
def test_the_nodes_of_inner_steps_are_those_below_the_nodes_of_outer_ones(pipeline: dict[str, Any]) -> None:
    spec = read_document(write_yaml(pipeline)).spec
    below = {id(node) for node in all_mappings(spec.node)}
    for step in all_steps(spec):
        assert id(step.node) in below
        for part in (step.ask, step.approve, step.for_each, step.retry, step.cache, *(step.on_error or ())):
            assert part is None or id(part.node) in below


@settings(max_examples=30)
@given(PIPELINES)
def test_what_was_read_reads_as_the_same_again(pipeline: dict[str, Any]) -> None:
    one = read_document(pipeline).spec
    assert one == read_document(write_yaml(pipeline)).spec


def all_steps(spec: PipelineSpec) -> Iterator[StepSpec]:
    for block in (spec.steps, spec.finally_ or ()):
        yield from steps_in(block)
    yield from handled(spec.error_handlers or ())


def steps_in(block: tuple[StepSpec, ...]) -> Iterator[StepSpec]:
    for step in block:
        yield step
        for inner in (step.steps, step.parallel, step.default, *(step.cases or {}).values()):
            yield from steps_in(inner or ())
        yield from handled(step.on_error or ())


def handled(handlers: tuple[HandlerSpec, ...]) -> Iterator[StepSpec]:
    for handler in handlers:
        yield from steps_in(handler.steps or ())


def all_mappings(node: Any) -> Iterator[Mapping]:
    if isinstance(node, Mapping):
        yield node
        for entry in node.entries:
            yield from all_mappings(entry.value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from all_mappings(item)


def excerpt(lines: list[str], node: Scalar) -> str:
    start, end = node.span.start, node.span.end
    assert start.line == end.line
    return lines[start.line - 1][start.column - 1 : end.column - 1]


def test_the_steps_of_a_case_stand_below_its_name() -> None:
    cases_of = "      yes: {tool: log}\n      no:\n        - {id: b, tool: log}\n"
    text = f"steps:\n  - id: a\n    switch: 1\n    cases:\n{cases_of}"
    step = read_document(text).spec.steps[0]
    cases = step.node.get("cases")
    assert isinstance(cases, Mapping)
    places = []
    for name in ("yes", "no"):
        key, listed = cases.key(name), cases.get(name)
        assert key is not None
        assert isinstance(listed, Sequence)
        assert [item.span.start for item in listed.items] == [
            inner.node.span.start for inner in (step.cases or {})[name]
        ]
        places.append((key.span.start.line, listed.items[0].span.start.line))
    assert places == [(5, 5), (6, 7)]


def test_a_short_form_stands_where_it_is_written() -> None:
    text = "steps:\n  - {id: a, ask: How many?}\n  - {id: b, for_each: {range: [1, 5]}, tool: log}\n"
    one, two = read_document(text).spec.steps
    assert one.ask is not None
    prompt = one.ask.node.get("prompt")
    assert prompt is not None
    assert (prompt.span.start.line, prompt.span.start.column, prompt.span.end.column) == (2, 18, 27)
    assert two.for_each is not None
    assert two.for_each.range is not None
    stop = two.for_each.range.node.get("stop")
    assert stop is not None
    assert (stop.span.start.line, stop.span.start.column) == (3, 35)


def test_steps_may_be_nested_as_deep_as_a_file_may_be() -> None:
    text = "steps: [{id: a, tool: x}]"
    for _ in range(40):
        text = f"steps: [{{id: a, {text}}}]"
    document = read_document(text + "\n")
    assert document.diagnostics == ()
    assert len(list(all_steps(document.spec))) == 41


def test_a_file_that_nests_deeper_is_refused() -> None:
    text = "steps: [{id: a, tool: x}]"
    for _ in range(200):
        text = f"steps: [{{id: a, {text}}}]"
    assert [d.code for d in read_document(text + "\n").diagnostics] == ["ORC105"]
