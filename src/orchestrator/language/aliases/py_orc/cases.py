"""An example of each form of the dialect with its canonical form: the table of the documentation, and test cases."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Area = Literal["the file", "a step", "a loop", "a handler", "a template", "a condition"]


class FormCase(Struct, frozen=True):
    """A form as it is written in an area of a file, and its canonical form."""

    area: Area
    written: str
    canonical: str


def _cases(area: Area, forms: dict[str, str]) -> tuple[FormCase, ...]:
    return tuple(FormCase(area, written, canonical) for written, canonical in forms.items())


CASES: Final = (
    *_cases(
        "the file",
        {
            "inputs: {topic: {type: string}}, parameters: {topic: tides}": "inputs: {topic: {type: string, "
            "default: tides}}",
            "model: <AUTO>": "model: auto",
            'model: <AUTO task="analyze">a good model</AUTO>': "model: auto",
            "config: {a: 1}, author: Ann": "metadata: {config: {a: 1}, author: Ann}",
            'outputs: {text: {source: "{{ one }}", format: markdown}}': 'outputs: {text: {value: "{{ one }}"}}',
        },
    ),
    *_cases(
        "a step",
        {
            "action: generate_text, prompt: x, model: <AUTO>": "action: generate_text, prompt: x, model: auto",
            'action: generate_text, prompt: x, model: <AUTO task="vision">one</AUTO>': "action: generate_text, "
            "prompt: x, requires_model: {capabilities: [vision]}",
            'action: generate_text, prompt: x, model: <AUTO cost="low">one</AUTO>': "action: generate_text, prompt: x, "
            "selection: cost",
            "action: generate_text, prompt: x, requires-model: {min-size: 7B}": "action: generate_text, prompt: x, "
            "requires_model: {min_size: 7B}",
            "action: generate_text, prompt: x, max_completion_tokens: 9": "action: generate_text, prompt: x, "
            "max_tokens: 9",
            "action: generate_text, prompt: x, response_format: json_object": "action: generate_text, prompt: x, "
            "response_format: json",
            "action: generate_text, prompt: << review.md >>": "action: generate_text, prompt: {file: review.md}",
            'action: generate_text, prompt: "{{ file:review.md }}"': "action: generate_text, prompt: {file: review.md}",
            "action: log, type: task": "action: log",
            "action: log, parallel: true": "action: log",
            "action: log, capture_output: true": "action: log",
            "action: log, produces: markdown-file": "action: log, metadata: {produces: markdown-file}",
            "action: log, outputs: {result: string}": "action: log, metadata: {outputs: {result: string}}",
            "action: log, on-error: continue": "action: log, on_error: continue",
            "action: log, on_error: It could not be logged": "action: log, on_failure: {value: It could not be logged}",
            "action: log, depends-on: [a]": "action: log, depends_on: [a]",
            "action: log, max_retries: 2, retry_delay: 5": "action: log, retry: {max_retries: 2, delay: 5}",
            "action: log, retry: {max_attempts: 3, backoff: exponential, multiplier: 3}": "action: log, "
            "retry: {max_attempts: 3, backoff: 3}",
            "action: log, goto: each": "action: log, on_success: each",
            "action: generate_text, prompt: x, style: <AUTO>for children</AUTO>": "action: generate_text, prompt: x, "
            "style: for children",
            "action: generate_text, system_prompt: x, prompt: y": "action: generate_text, system: x, prompt: y",
            'action: generate_text, prompt: "{{ each.results }}"': "action: generate_text, "
            'prompt: "{{ each | to_json }}"',
            'tool: terminal, action: run_command, parameters: {command: "echo {{ inputs.topic }}"}': "tool: "
            'terminal, action: run_command, parameters: {command: "echo {{ inputs.topic | quote }}"}',
            "tool: python-executor, parameters: {code: \"x = '{{ inputs.topic }}'\"}": "tool: python-executor, "
            'parameters: {code: "x = inputs[\\"topic\\"]", inputs: {topic: "{{ inputs.topic | string }}"}}',
            "tool: data-processing, action: transform, parameters: {data: [], operation: {type: sort, by: a}}": "tool: "
            "data-processing, action: sort, parameters: {data: [], by: a}",
            "tool: data-processing, action: aggregate, parameters: {data: [], aggregations: {a: mean}}": "tool: "
            "data-processing, action: aggregate, parameters: {data: [], values: {a: 'AVG(\"a\")'}}",
            "type: parallel, tasks: [{id: a, action: log}]": "parallel: [{id: a, action: log}]",
            "parallel: true, steps: [{id: a, action: log}]": "parallel: [{id: a, action: log}]",
            "if: x > 1, then: [{id: a, action: log}], else: [{id: b, action: log}]": "switch: \"{{ 'yes' if x > 1 else "
            "'no' }}\", cases: {yes: [{id: a, action: log}]}, default: [{id: b, action: log}]",
        },
    ),
    *_cases(
        "a loop",
        {
            'type: loop, items: "{{ x }}", steps: [{id: a, action: log}]': 'for_each: "{{ x }}", '
            "steps: [{id: a, action: log}]",
            'type: parallel_map, items: "{{ x }}", item_var: y, action: log': 'for_each: "{{ x }}", as: y, action: log',
            'create_parallel_queue: {on: "{{ x }}", action_loop: [{action: log}]}': 'for_each: "{{ x }}", '
            "steps: [{id: log, action: log}]",
            "action_loop: [{action: log}], until: y, max_iterations: 3": "steps: [{id: log, action: log}], until: y, "
            "max_iterations: 3",
            'for_each: "{{ x }}", max_concurrent: 2, action: log': 'for_each: "{{ x }}", max_parallel: 2, action: log',
            'for_each: "{{ x }}", parallel: true, action: log': 'for_each: "{{ x }}", action: log',
            'for_each: "{{ x }}", parallel: false, action: log': 'for_each: "{{ x }}", max_parallel: 1, action: log',
            "while: 'true', max_iterations: 3, steps: [{id: a, action: log}]": "while: true, on_limit: continue, "
            "max_iterations: 3, steps: [{id: a, action: log}]",
            "while: y, max-iterations: 3, steps: [{id: a, action: log}]": "while: y, max_iterations: 3, "
            "steps: [{id: a, action: log}]",
        },
    ),
    *_cases(
        "a handler",
        {
            "error_codes: [429], fallback_value: x": 'error_patterns: ["\\\\b429\\\\b"], fallback_value: x',
            "error_codes: [ORC706], fallback_value: x": "error_types: [ORC706], fallback_value: x",
            "retry_with_handler: true, max_handler_retries: 2, error_types: [ORC706]": "retry: 3, "
            "error_types: [ORC706]",
            "priority: 1, fallback_value: x": "fallback_value: x",
            "enabled: true, fallback_value: x": "fallback_value: x",
            "name: fallback, fallback_value: x": "fallback_value: x",
            "action: continue, error_types: [ORC706]": "fallback_value: null, error_types: [ORC706]",
            "action: Use the raw rows, fallback_value: x": "fallback_value: x",
            "action: Use the raw rows, continue_on_error: true": "fallback_value: Use the raw rows",
            "handler_action: log, handler_parameters: {message: x}": "handler_action: log, parameters: {message: x}",
        },
    ),
    *_cases(
        "a template",
        {
            "parameters.topic": "inputs.topic",
            "inputs.limit": "variables.limit",
            "outputs.one": "one",
            "outputs.text": "one",
            "execution.timestamp": "run.started_at",
            "execution.date": "now('%Y-%m-%d')",
            "execution.id": "run.id",
            "timestamp": "run.started_at",
            "current_timestamp": "run.started_at",
            "current_date": "now('%Y-%m-%d')",
            "pipeline_id": "pipeline.id",
            "output_path": "'outputs/' ~ run.id",
            "$item": "item",
            "$index": "index",
            "each.results[0]": "each[0]",
            "one | json": "one | to_json",
            "now().strftime('%Y')": "now('%Y')",
            "file.filepath": "file.path",
            "one.status == 'success'": "one.status == 'succeeded'",
        },
    ),
    *_cases(
        "a condition",
        {
            "'x' in {{ topic }}": "'x' in topic",
            "{{ one }} == 'x'": "one == 'x'",
            "{{ one | length }} > 3": "(one | length) > 3",
            "'{{ one }}' == 'x'": "(one | string) == 'x'",
            "{{ one }} and not {{ topic }}": "one and not topic",
            "'{{ one }}-{{ topic }}' == 'x-y'": "((one) ~ '-' ~ (topic)) == 'x-y'",
        },
    ),
)


def file_of(area: Area, form: str) -> str:
    """Return a file that has a form at its place."""
    steps = "steps: [{id: one, action: log}, {id: each, for_each: [1], action: log}, FILE, {id: two, STEP}]"
    steps = steps.replace("FILE", "{id: file, action: filesystem.read, parameters: {path: a}}")
    declared = "inputs: {topic: tides}, variables: {limit: 3}, outputs: {text: '{{ one }}'}, "
    match area:
        case "the file":
            return "{" + form + ", " + steps.replace("STEP", "action: log") + "}"
        case "a step" | "a loop":
            step = form
        case "a handler":
            step = "action: log, on_error: [{" + form + "}]"
        case "a template":
            step = "for_each: [1], action: log, parameters: {message: '{{ " + form.replace("'", "''") + " }}'}"
        case "a condition":
            step = "action: log, condition: '" + form.replace("'", "''") + "'"
    return "{" + declared + steps.replace("STEP", step) + "}"


def table_markdown() -> str:
    """Return the table of all forms as Markdown."""
    lines = ["| in | written | canonical |", "| --- | --- | --- |"]
    for case in CASES:
        written, canonical = (each.replace("|", "\\|") for each in (case.written, case.canonical))
        lines.append(f"| {case.area} | `{written}` | `{canonical}` |")
    return "\n".join([*lines, ""])
