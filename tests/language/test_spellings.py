"""Every accepted spelling reads as its canonical form; two spellings of one thing in one place are an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from orchestrator.language import read_document
from orchestrator.language.aliases import tables
from orchestrator.language.reference.schema import json_schema
from orchestrator.language.yaml.nodes import plain_data

if TYPE_CHECKING:
    from orchestrator.language.spec.pipeline import PipelineSpec, StepSpec


SCHEMA = jsonschema.Draft202012Validator(json_schema())


def spec_of(text: str) -> PipelineSpec:
    document = read_document(text, name="f.yaml")
    assert not document.diagnostics, [d.message for d in document.diagnostics]
    assert document.root is not None
    SCHEMA.validate(plain_data(document.root))  # what is accepted is what the schema describes
    return document.spec


def step_of(lines: str) -> StepSpec:
    body = "".join(f"    {line}\n" for line in lines.split("\n"))
    return spec_of(f"steps:\n  - id: a\n    tool: x\n{body}").steps[0]


STEPS = {
    "depends_on: [b, c]": "dependencies: [b, c]",
    "depends: [b]": "dependencies: [b]",
    "needs: b": "dependencies: [b]",
    "dependencies: b, c": "dependencies: [b, c]",
    "dependencies: b": "dependencies: [b]",
    "dependencies:": "dependencies: []",
    "if: x > 1": "condition: x > 1",
    "when: x > 1": "condition: x > 1",
    "params: {a: 1}": "parameters: {a: 1}",
    "args: {a: 1}": "parameters: {a: 1}",
    "arguments: {a: 1}": "parameters: {a: 1}",
    "with: {a: 1}": "parameters: {a: 1}",
    "timeout_seconds: 30": "timeout: 30s",
    "timeout: 90": "timeout: 1m30s",
    "retry: 3": "retry: {max_attempts: 3}",
    "max_retries: 2": "retry: {max_attempts: 3}",
    "retries: 2": "retry: 3",
    "retry_count: 2": "retry: 3",
    "retry: {max_retries: 2}": "retry: 3",
    "retry: {attempts: 3, initial_delay: 2s}": "retry: {max_attempts: 3, delay: 2}",
    "retry: {backoff_factor: 3}": "retry: {backoff: 3}",
    "retry: {backoff: exponential}": "retry: {backoff: 2}",
    "retry: {backoff: constant}": "retry: {backoff: 1}",
    "retry: {jitter: false}": "retry: {jitter: 0}",
    "retry: {on: ORC706}": "retry: {on: [ORC706]}",
    "retry: {retry_on: [ORC706]}": "retry: {on: [ORC706]}",
    "continue_on_error: true": "on_failure: continue",
    "continue_on_error: false": "on_failure: fail",
    "on_error: continue": "on_failure: continue",
    "on_failure: ignore": "on_failure: continue",
    "on_failure: skip": "on_failure: continue",
    "on_failure: stop": "on_failure: fail",
    "on_failure: abort": "on_failure: fail",
    "on_failure: {jump: b}": "on_failure: b",
    "on_failure: {goto: b}": "on_failure: b",
    "on_failure: {default: 1}": "on_failure: {value: 1}",
    "name: 7": "name: '7'",
    "prompt: y": "parameters: {prompt: y}",
    "model: [y, z]\nparameters: {prompt: y}\nsystem: z": "parameters: {prompt: y, model: [y, z], system: z}",
    "check: output": "check: {that: [output]}",
    "check: [output, b]": "check: {that: [output, b]}",
    "check: {expression: output}": "check: {that: [output]}",
    "check: {expressions: [output]}": "check: {that: [output]}",
    "check: {judge: y}": "check: {judge: {rubric: y}}",
    "budget: 2": "budget: {usd: 2}",
}


@pytest.mark.parametrize("written", STEPS)
def test_a_spelling_of_a_step_reads_as_the_canonical_one(written: str) -> None:
    assert step_of(written) == step_of(STEPS[written])


BODY = "steps: [{id: b, tool: x}]"

WORK = {
    f"foreach: [1], {BODY}": f"for_each: [1], {BODY}",
    f"loop_over: [1], {BODY}": f"for_each: [1], {BODY}",
    f"for_each: [1], loop_var: row, {BODY}": f"for_each: [1], as: row, {BODY}",
    f"for_each: [1], loop_variable: row, {BODY}": f"for_each: [1], as: row, {BODY}",
    f"for_each: [1], item_name: row, {BODY}": f"for_each: [1], as: row, {BODY}",
    f"for_each: [1], max_concurrency: 3, {BODY}": f"for_each: [1], max_parallel: 3, {BODY}",
    f"for_each: [1], concurrency: 3, {BODY}": f"for_each: [1], max_parallel: 3, {BODY}",
    f"for_each: [1], on_item_error: skip, {BODY}": f"for_each: [1], on_item_failure: continue, {BODY}",
    f"for_each: {{range: 5}}, {BODY}": f"for_each: {{range: {{stop: 5}}}}, {BODY}",
    f"for_each: {{range: [5]}}, {BODY}": f"for_each: {{range: {{stop: 5}}}}, {BODY}",
    f"for_each: {{range: [1, 5]}}, {BODY}": f"for_each: {{range: {{start: 1, stop: 5}}}}, {BODY}",
    f"for_each: {{range: [1, 5, 2]}}, {BODY}": f"for_each: {{range: {{start: 1, stop: 5, step: 2}}}}, {BODY}",
    "for_each: [1], steps: {b: {tool: x}}": f"for_each: [1], {BODY}",
    f"while: y, max_loop_iterations: 3, {BODY}": f"while: y, max_iterations: 3, {BODY}",
    f"switch: 1, cases: {{v: {{{BODY}}}}}": "switch: 1, cases: {v: [{id: b, tool: x}]}",
    "switch: 1, cases: {v: {b: {tool: x}}}": "switch: 1, cases: {v: [{id: b, tool: x}]}",
    "switch: 1, cases: {v: {tool: x}}": "switch: 1, cases: {v: [{id: v, tool: x}]}",
    "switch: 1, cases: {v: {id: b, tool: x}}": "switch: 1, cases: {v: [{id: b, tool: x}]}",
    "switch: 1, cases: {very high: {tool: x}}": "switch: 1, cases: {very high: [{id: very_high, tool: x}]}",
    "switch: 1, cases: {2: {tool: x}}": "switch: 1, cases: {2: [{id: _2, tool: x}]}",
    "switch: 1, cases: {'?': {tool: x}}": "switch: 1, cases: {'?': [{id: case, tool: x}]}",
    f"switch: 1, cases: {{v: {{{BODY}, timeout: 5}}}}": f"switch: 1, cases: {{v: [{{id: v, {BODY}, timeout: 5}}]}}",
    "switch: 1, cases: {v: {ask: y}}": "switch: 1, cases: {v: [{id: v, ask: y}]}",
    "switch: 1, cases: {v: {b: {tool: x}}}, otherwise: {tool: x}": "switch: 1, cases: {v: [{id: b, tool: x}]}, "
    "default: [{id: default, tool: x}]",
    "parallel: {b: {tool: x}, c: {tool: y}}": "parallel: [{id: b, tool: x}, {id: c, tool: y}]",
    "parallel: {b: [{id: c, tool: y}]}": "parallel: [{id: b, steps: [{id: c, tool: y}]}]",
    "sub_pipeline: f.yaml": "pipeline: f.yaml",
    "pipeline: f.yaml, parameters: {y: 1}": "pipeline: f.yaml, inputs: {y: 1}",
    "pipeline: f.yaml, with: {y: 1}": "pipeline: f.yaml, inputs: {y: 1}",
    "ask: How many?": "ask: {prompt: How many?}",
    "ask: {question: How many?}": "ask: {prompt: How many?}",
    "ask: {message: How many?, type: int}": "ask: {prompt: How many?, type: integer}",
    "ask: {prompt: y, options: [1]}": "ask: {prompt: y, choices: [1]}",
    "ask: {prompt: y, enum: [1]}": "ask: {prompt: y, choices: [1]}",
    "ask: {prompt: y, type: int, min: 1, max: 5}": "ask: {prompt: y, type: integer, minimum: 1, maximum: 5}",
    "ask: {prompt: y, minLength: 1, maxLength: 5}": "ask: {prompt: y, min_length: 1, max_length: 5}",
    "ask: {prompt: y, minItems: 1, maxItems: 5}": "ask: {prompt: y, min_length: 1, max_length: 5}",
    "ask: {prompt: y, items: int}": "ask: {prompt: y, items: {type: integer}}",
    "ask: {prompt: y, timeout: 1h}": "ask: y, timeout: 1h",
    "ask: {prompt: y, timeout_seconds: 5}": "ask: y, timeout: 5",
    "approve: Publish?": "approve: {title: Publish?}",
    "approve: {prompt: Publish?}": "approve: {title: Publish?}",
    "approve: {question: Publish?}": "approve: {title: Publish?}",
    "approve: {title: Publish?, assignees: [ada]}": "approve: {title: Publish?, assignee: [ada]}",
    "ask: {prompt: Which?, assignees: ada}": "ask: {prompt: Which?, assignee: ada}",
    "approve: {message: Publish?, editable: true, timeout: 5}": "approve: {title: Publish?, allow_editing: true}, "
    "timeout: 5",
    "sleep: 90": "sleep: 1m30s",
    "prompt: y": "tool: model, action: generate_text, parameters: {prompt: y}",
    "prompt: y, schema: {a: string}": "tool: model, action: generate, parameters: {prompt: y, schema: {a: string}}",
    "prompt: y, vars: {a: b}, max_tokens: 9": "tool: model, action: generate, "
    "parameters: {prompt: y, vars: {a: b}, max_tokens: 9}",
    "prompt: y, tools: [z], schema: {a: string}": "tool: model, action: agent, "
    "parameters: {prompt: y, tools: [z], schema: {a: string}}",
    "prompt: y, tools: [z], parallel: false": "tool: model, action: agent, "
    "parameters: {prompt: y, tools: [z], parallel: false}",
    "action: agent, parallel: true": "action: agent, parameters: {parallel: true}",
    "action: classify, text: y, labels: [z]": "action: classify, parameters: {text: y, labels: [z]}",
    "for_each: [1], action: summarize, file: y": "for_each: [1], action: summarize, parameters: {file: y}",
    "for_each: [1], prompt: y": "for_each: [1], tool: model, action: generate_text, parameters: {prompt: y}",
    "switch: 1, cases: {v: {prompt: y, labels: [b]}}": "switch: 1, cases: {v: [{id: v, tool: model, "
    "action: generate_text, parameters: {prompt: y, labels: [b]}}]}",
    "switch: 1, cases: {v: {check: {tool: x}, model: {tool: x}}}": "switch: 1, "
    "cases: {v: [{id: check, tool: x}, {id: model, tool: x}]}",
    "tool: x, on_error: {prompt: y}": "tool: x, on_error: [{steps: [{id: handle, tool: model, action: generate_text, "
    "parameters: {prompt: y}}]}]",
    "tool: x, cache: true": "tool: x, cache: {}",
    "tool: x, cache: false": "tool: x",
    "tool: x, on_error: continue": "tool: x, on_failure: continue",
    "tool: x, on_error: b": "tool: x, on_failure: b",
    "tool: x, on_error: {value: 1}": "tool: x, on_failure: {value: 1}",
    f"tool: x, on_error: {{{BODY}}}": f"tool: x, on_error: [{{{BODY}}}]",
    "tool: x, on_error: {tool: y, parameters: {m: 1}}": "tool: x, on_error: [{steps: "
    "[{id: handle, tool: y, parameters: {m: 1}}]}]",
    "tool: x, on_error: {id: b, ask: y, retry: 2}": "tool: x, on_error: [{steps: [{id: b, ask: y}], retry: 2}]",
    "tool: x, on_error: {handler_action: y}": "tool: x, on_error: [{steps: [{id: handle, action: y}]}]",
    "tool: x, on_error: {error_type: A, fallback: 1}": "tool: x, on_error: [{error_types: [A], fallback_value: 1}]",
    "tool: x, on_error: {errors: 'A, B', fallback: 1}": "tool: x, on_error: [{error_types: [A, B], fallback_value: 1}]",
    "tool: x, on_error: {error_types: ['*'], retry: 2}": "tool: x, on_error: [{error_types: [], retry: 2}]",
    "tool: x, on_error: {error_pattern: 'a, b', retry: 2}": "tool: x, on_error: [{error_patterns: ['a, b'], retry: 2}]",
    "tool: x, on_error: {patterns: [a], max_retries: 1}": "tool: x, on_error: [{error_patterns: [a], retry: 2}]",
}


@pytest.mark.parametrize("written", WORK)
def test_a_spelling_of_work_reads_as_the_canonical_one(written: str) -> None:
    one, other = (spec_of(f"steps: [{{id: a, {step}}}]\n") for step in (written, WORK[written]))
    assert said(one) == said(other)


def said(spec: PipelineSpec) -> Any:
    """What a spec says; a key that is there without a value says what one says that is not there."""
    return spec.model_dump(exclude_none=True)


FILES = {
    "parameters: {topic: x}": "inputs: {topic: x}",
    "params: {topic: x}": "inputs: {topic: x}",
    "vars: {a: 1}": "variables: {a: 1}",
    "constants: {a: 1}": "variables: {a: 1}",
    "version: 1.0": "version: '1.0'",
    "finally: {b: {tool: x}}": "finally: [{id: b, tool: x}]",
    "on_error: {tool: x}": "error_handlers: [{steps: [{id: handle, tool: x}]}]",
    "global_error_handlers: [{tool: x}]": "error_handlers: [{tool: x}]",
    "error_handlers: {tool: x}": "error_handlers: [{tool: x}]",
    "inputs: [topic]": "inputs: {topic: }",
    "inputs: [{topic: None}]": "inputs: {topic: }",
    "inputs: [{topic: x}, {n: 5}]": "inputs: {topic: x, n: 5}",
    "inputs: [{name: topic, type: string}]": "inputs: {topic: {type: string}}",
    "inputs: [{name: topic}]": "inputs: {topic: }",
    "inputs: {a: {type: int, min: 1, max: 5}}": "inputs: {a: {type: integer, minimum: 1, maximum: 5}}",
    "inputs: {a: {type: str, minLength: 1, maxLength: 5}}": "inputs: {a: {type: string, min_length: 1, max_length: 5}}",
    "inputs: {a: {type: list, minItems: 1, maxItems: 5}}": "inputs: {a: {type: array, min_length: 1, max_length: 5}}",
    "inputs: {a: {choices: [x, y]}}": "inputs: {a: {enum: [x, y]}}",
    "inputs: {a: {options: [x, y]}}": "inputs: {a: {enum: [x, y]}}",
    "inputs: {a: {env: TOKEN, desc: d}}": "inputs: {a: {default_from_env: TOKEN, description: d}}",
    "inputs: {a: {type: array, items: str}}": "inputs: {a: {type: array, items: {type: string}}}",
    "inputs: {a: {properties: {b: int}}}": "inputs: {a: {properties: {b: {type: integer}}}}",
    "inputs: {a: solar}": "inputs: {a: {default: solar, type: string}}",
    "inputs: {a: [1]}": "inputs: {a: {default: [1], type: array}}",
    "outputs: {r: '{{ a }}'}": "outputs: {r: {value: '{{ a }}'}}",
    "outputs: [a]": "outputs: {a: '{{ a }}'}",
    "outputs: [{r: '{{ a }}'}]": "outputs: {r: '{{ a }}'}",
    "outputs: [{name: r, value: '{{ a }}'}]": "outputs: {r: '{{ a }}'}",
    "outputs: {r: {from: '{{ a }}', desc: d}}": "outputs: {r: {value: '{{ a }}', description: d}}",
    "default_model: y": "model: y",
    "selection: {strategy: cost}": "selection: cost",
    "budget: 2.5": "budget: {usd: 2.5}",
    "model: ": "",
    "experts: ": "",
    "defaults: {retry: 3}": "defaults: {retry: {max_attempts: 3}}",
    "orchestrator: [a/b, c/d]": "judge_model: [a/b, c/d]",
    "defaults: {max_retries: 2, timeout_seconds: 5}": "defaults: {retry: 3, timeout: 5s}",
}


@pytest.mark.parametrize("written", FILES)
def test_a_spelling_of_the_file_reads_as_the_canonical_one(written: str) -> None:
    rest = "\nsteps: [{id: a, tool: x}]\n"
    assert spec_of(written + rest) == spec_of(FILES[written] + rest)


def test_every_spelling_of_the_tables_has_a_case() -> None:
    cases = " ".join([*STEPS, *WORK, *FILES])
    every: list[dict[str, Any]] = [tables.PIPELINE_KEYS, tables.STEP_KEYS, tables.INPUT_KEYS]
    every += [tables.OUTPUT_KEYS, tables.RETRY_KEYS, tables.ON_FAILURE_WORDS]
    every += [tables.CHECK_KEYS, tables.ASK_KEYS, tables.APPROVE_KEYS, tables.HANDLER_KEYS]
    for name in [*(name for table in every for name in table), *tables.RETRY_COUNTS]:
        assert name in cases


@pytest.mark.parametrize("word", tables.TYPE_WORDS)
def test_a_word_for_a_type_reads_as_the_type(word: str) -> None:
    spec = spec_of(f"inputs: {{a: {{type: {word}}}}}\nsteps: [{{id: b, tool: x}}]\n")
    assert spec.inputs["a"].type == tables.TYPE_WORDS[word]


def test_steps_may_be_a_mapping_by_id() -> None:
    written = spec_of("steps:\n  a: {tool: x}\n  b: {tool: y}\n")
    assert written == spec_of("steps: [{id: a, tool: x}, {id: b, tool: y}]\n")
    node = written.steps[1].node.get("id")
    assert node is not None
    assert (node.span.start.line, node.span.start.column) == (3, 3)


def test_a_word_that_is_a_steps_id_is_that_step() -> None:
    step = spec_of("steps:\n  - {id: a, tool: x, on_failure: skip}\n  - {id: skip, tool: x}\n").steps[0]
    assert step.on_failure is not None
    assert (step.on_failure.kind, step.on_failure.target) == ("jump", "skip")


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("steps:\n  - id: a\n    tool: x\n    if: b\n    when: c\n", (4, 5), (5, 5)),
        ("steps:\n  - id: a\n    tool: x\n    condition: b\n    if: c\n", (4, 5), (5, 5)),
        ("steps:\n  - id: a\n    tool: x\n    retry: 2\n    max_retries: 1\n", (4, 5), (5, 5)),
        ("steps:\n  - id: a\n    tool: x\n    on_failure: fail\n    continue_on_error: true\n", (4, 5), (5, 5)),
        ("steps:\n  - id: a\n    for_each: [1]\n    foreach: [2]\n    tool: x\n", (3, 5), (4, 5)),
        ("steps:\n  - id: a\n    pipeline: f\n    with: {b: 1}\n    inputs: {c: 1}\n", (5, 5), (4, 5)),
        ("steps:\n  - id: a\n    timeout: 5\n    ask: {prompt: b,\n      timeout: 6}\n", (3, 5), (5, 7)),
        ("steps:\n  - id: a\n    tool: x\n    on_error: fail\n    on_failure: b\n", (5, 5), (4, 5)),
        ("steps:\n  - id: a\n    parallel:\n      b: {tool: x,\n        id: c}\n", (4, 7), (5, 9)),
        ("error_handlers: {tool: x}\non_error: {tool: x}\nsteps: [{id: a, tool: x}]\n", (1, 1), (2, 1)),
        ("inputs: {a: 1}\nparameters: {a: 2}\nsteps: [{id: a, tool: x}]\n", (1, 10), (2, 14)),
        ("inputs:\n  - a: 1\n  - a: 2\nsteps: [{id: b, tool: x}]\n", (2, 5), (3, 5)),
        ("inputs:\n  a:\n    min: 1\n    minimum: 2\nsteps: [{id: b, tool: x}]\n", (3, 5), (4, 5)),
    ],
)
def test_two_spellings_of_one_thing_are_an_error_with_both_places(
    text: str, first: tuple[int, int], second: tuple[int, int]
) -> None:
    (diagnostic,) = read_document(text).diagnostics
    assert diagnostic.code == "ORC207"
    assert (diagnostic.span.start.line, diagnostic.span.start.column) == second
    place = diagnostic.related[0].span.start
    assert (place.line, place.column) == first


def test_a_canonical_node_keeps_the_place_of_what_was_written() -> None:
    step = step_of("when: x > 1")
    key, value = step.node.key("condition"), step.node.get("condition")
    assert key is not None
    assert value is not None
    assert (key.span.start.line, key.span.start.column, key.span.end.column) == (4, 5, 9)
    assert value.span.start.column == 11


def test_a_name_in_a_text_of_names_has_its_own_place() -> None:
    step = step_of("dependencies: b, cc")
    node: Any = step.node.get("dependencies")
    assert [(item.text, item.span.start.column, item.span.end.column) for item in node.items] == [
        ("b", 19, 20),
        ("cc", 22, 24),
    ]
