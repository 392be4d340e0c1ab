"""The reference page of the language, generated from the specs and the tables of spellings."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from orchestrator.language.aliases import tables
from orchestrator.language.limits import MAX_CHARACTERS
from orchestrator.language.reference.kinds_page import work_markdown
from orchestrator.language.spec.base import Duration, Spec, key_fields
from orchestrator.language.spec.concurrency import ConcurrencySpec
from orchestrator.language.spec.inputs import InputSpec, OutputSpec
from orchestrator.language.spec.notices import BudgetNoticeSpec, NoticeSpec, NotifySpec
from orchestrator.language.spec.pipeline import DefaultsSpec, OnFailureSpec, PipelineSpec, RetrySpec, StepSpec
from orchestrator.language.spec.questions import AskSpec, EscalateSpec, Names
from orchestrator.language.spec.triggers import TriggerSpec, WebhookSpec
from orchestrator.language.yaml.tree import MAX_DEPTH, MAX_NODES
from orchestrator.text.durations import format_duration
from orchestrator.text.json_text import MAX_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.fields import FieldInfo

_INTRODUCTION = """\
# Pipeline files

A pipeline file is one YAML document: a mapping with `steps:` and, optionally, the other keys below. `orchestrator
check FILE` validates it, `orchestrator schema` prints the JSON Schema for editors.

```yaml
# yaml-language-server: $schema=pipeline.schema.json
inputs:
  topic: solar cells
steps:
  - id: draft
    tool: text
    action: template
    parameters:
      template: "About {{ topic }}"
    retry: 3
    timeout: 30s
outputs:
  draft: "{{ draft }}"
```
"""

_YAML = f"""\
## YAML

The file is read as YAML 1.2: `no`, `on` and `012` are text, and only `true`, `false`, `null` and numbers are converted.
Quote a value that starts with a template: `"{{{{ topic }}}}"`.
Anchors, aliases and merge keys (`<<`) work; duplicate keys and tags (`!!str`) are errors. A file has at
most {MAX_CHARACTERS // (1024 * 1024)} Mi characters, {MAX_DEPTH} levels and {MAX_NODES:,} values, aliases
counted as often as they repeat something.

JSON from any source is read by RFC 8259: inputs, files, rows, `from_json`, responses of servers and answers of models.
Input that JSON readers interpret differently is an error: a duplicate key in an object, `NaN`,
`1e400`, integers of more than {MAX_DIGITS} digits. A response of `http` that is not JSON has `json: null` and its text
in `body`, and a warning of the step has the reason.
"""

_DURATIONS = """\
## Durations

A number is seconds. A text has units: `250ms`, `30s`, `5m`, `1h30m`, `2d`.
"""

_Page = tuple[str, type[Spec], str]

_BEFORE: tuple[_Page, ...] = (
    ("The file", PipelineSpec, ""),
    (
        "An input",
        InputSpec,
        "Below `inputs:`, by name. Short form: `topic: solar cells` sets a default and its type; "
        "`topic:` without a value declares a required input. A field below `properties` without "
        "a default is required too, unless it has `required: false`.",
    ),
)

_AFTER: tuple[_Page, ...] = (
    ("`retry`", RetrySpec, "Short form: `retry: 3` is three attempts in total."),
    (
        "`on_failure`",
        OnFailureSpec,
        "`fail` (the default) ends the run; `continue` continues with null; the id of a later step jumps there; "
        "`{value: ...}` continues with this value. `on_item_failure` is the same for items, without the jump.",
    ),
    (
        "A trigger",
        TriggerSpec,
        "Below `triggers:`, by name; see [Triggers](../guide/triggers.md). It has a `schedule` or a `webhook`, and "
        "fires while a [server](../guide/server.md) offers the pipeline.",
    ),
    ("`webhook`", WebhookSpec, "Short form: `webhook: HOOK_SECRET` names the variable that contains the secret."),
    (
        "`concurrency`",
        ConcurrencySpec,
        "Short forms: `concurrency: 1` is the number of runs, `concurrency: deploy` the key; see "
        "[Limit how many runs are executed at once](../guide/running.md#limit-how-many-runs-are-executed-at-once).",
    ),
    (
        "`notify`",
        NotifySpec,
        "Short form: `notify: oncall` is for all of them; see [Notices](../guide/notices.md). Each has the targets, or "
        "a mapping:",
    ),
    ("A notice", BudgetNoticeSpec, "`at` is only for `budget`."),
    (
        "`escalate`",
        EscalateSpec,
        "Below `ask:` and `approve:`; both keys are required. See [Who answers, and when they are "
        "reminded](../guide/people.md#who-answers-and-when-they-are-reminded).",
    ),
    ("An output", OutputSpec, "Below `outputs:`, by name. Short form: the template alone."),
    ("`defaults`", DefaultsSpec, "Defaults for every step."),
)


def language_markdown() -> str:
    """Return the reference page of the pipeline language as Markdown."""
    parts = [_INTRODUCTION]
    parts += [_section(title, model, text) for title, model, text in _BEFORE]
    parts += work_markdown(_table)
    parts += [_section(title, model, text) for title, model, text in _AFTER]
    parts += [_DURATIONS, _spellings(), _YAML]
    return "\n".join(parts)


def _section(title: str, model: type[Spec], text: str) -> str:
    names = ["value"] if model is OnFailureSpec else key_fields(model)
    return "\n".join([f"## {title}", "", *([text, ""] if text else []), _table(model, names)])


def _table(model: type[Spec], names: Iterable[str]) -> str:
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name in names:
        field = model.model_fields[key_fields(model)[name]]
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(name, field)} | {_default(name, field)} | {meaning} |")
    return "\n".join([*lines, ""])


def _type(name: str, field: FieldInfo) -> str:
    if name in _FORMS and field.annotation != Names and BudgetNoticeSpec not in get_args(field.annotation):
        return _FORMS[name]
    types = f"{field.annotation!r}{field.metadata!r}"
    words = "duration" if "parse_duration" in types else _type_words(field.annotation)
    return f"{words} or template" if "_number_or_template" in types else words


_FORMS = {
    "webhook": "text or mapping",
    "to": "target, or list of targets",
    "at": "percentage, or number from 0 to 1",
    "for_each": "template, list, mapping, `{range: ...}`, `{file: ...}`, `{matrix: ...}` or `{zip: ...}`",
    "sleep": "duration or template",
    "ask": "text or mapping",
    "approve": "text or mapping",
    "fail": "text or mapping",
    "end": "true or mapping",
    "cache": "true/false or mapping",
    "on_error": "handler or list of handlers",
    "undo": "step or steps",
    "check": "expression, list of them, or mapping",
    "budget": "number or mapping",
    "judge": "text or mapping",
    "concurrency": "number, text, or mapping",
    "error_handlers": "handler or list of handlers",
    "on_item_failure": "`fail`, `continue` or `{value: ...}`",
}


def _type_words(annotation: Any) -> str:
    if annotation == Duration:
        return "duration"
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{word}`" for word in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_words(argument) for argument in arguments if argument is not type(None))
    if origin is dict:
        inner = _type_words(arguments[1])
        return "mapping" if inner == "any value" else f"mapping of names to {inner}"
    if origin in (list, tuple):
        inner = _type_words(arguments[0])
        return {"any value": "list", "step": "steps"}.get(inner, f"list of {inner}")
    if hasattr(annotation, "__metadata__"):
        return _type_words(arguments[0])
    words = {str: "text", int: "integer", float: "number", bool: "true/false"}
    specs = {InputSpec: "input", OutputSpec: "output", StepSpec: "step", RetrySpec: "`retry`"}
    specs |= {TriggerSpec: "trigger", WebhookSpec: "`webhook`"}
    specs |= dict.fromkeys((NotifySpec, NoticeSpec, BudgetNoticeSpec), "target, list of targets, or mapping")
    specs |= {AskSpec: "question", EscalateSpec: "mapping"}
    specs |= {OnFailureSpec: "`on_failure`", DefaultsSpec: "`defaults`"}
    return words.get(annotation) or specs.get(annotation) or "any value"


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if name == "required":
        return ""
    default = field.default
    if default is None or default == () or name == "after" or field.default_factory is not None:
        return "required" if name == "steps" else ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str):
        return f"`{default}`"
    return (
        f"`{format_duration(default)}`"
        if name in ("delay", "max_delay", "catch_up", "jitter", "tolerance")
        else f"`{default:g}`"
    )


def _spellings() -> str:
    by_place: tuple[tuple[str, dict[str, str]], ...] = (
        ("the file", tables.PIPELINE_KEYS),
        ("a step", tables.STEP_KEYS),
        ("`retry`", tables.RETRY_KEYS),
        ("an input", tables.INPUT_KEYS),
        ("an output", tables.OUTPUT_KEYS),
        ("`check`", tables.CHECK_KEYS),
        ("`ask`", tables.ASK_KEYS),
        ("`approve`", tables.APPROVE_KEYS),
        ("a handler", tables.HANDLER_KEYS),
        ("`concurrency`", tables.CONCURRENCY_KEYS),
    )
    counts = ", ".join(f"`{name}: 2`" for name in tables.RETRY_COUNTS)
    lines = [
        "## Other spellings",
        "",
        "These mean the same as the canonical key. Two spellings of the same key in one place are an error.",
        "",
        "| in | written | means |",
        "| --- | --- | --- |",
    ]
    for place, table in by_place:
        lines += [f"| {place} | `{other}` | `{canonical}` |" for other, canonical in table.items()]
    lines += [
        f"| a step, `defaults` | {counts} | `retry: 3`: two attempts after the first |",
        f"| a step, `defaults` | `{tables.ATTEMPTS}: 2` | `retry: 2`: two attempts in total |",
        "| a step | `continue_on_error: true` | `on_failure: continue` |",
        "| a step | `on_error: continue`, `on_error: {value: 0}` | `on_failure: continue`, `on_failure: {value: 0}` |",
        "| a step | a parameter of a model call, such as `system: ...` | the same below `parameters` |",
        "| the file | `selection: {strategy: cost}` | `selection: cost` |",
        "| a step with `pipeline` | `parameters`, `with` | `inputs` |",
        "| `ask`, `approve` | `timeout` | `timeout` of the step |",
        '| a handler | `error_types: "*"` | no `error_types`: any error |',
        "| an expression | `$item`, `$index`, `$iteration`, `$is_first`, `$is_last` | the same without `$` |",
        "| a step | `dependencies: a, b` | `dependencies: [a, b]` |",
        "| `retry` | `backoff: exponential`, `backoff: constant` | `backoff: 2`, `backoff: 1` |",
        "| steps | a mapping from id to step, or to a list of steps | a list of steps; a group |",
        "| the file | `inputs` as a list: `- topic`, `- topic: solar cells`, `- name: topic` | `inputs` as a mapping |",
        '| the file | `outputs` as a list: `- draft`, `- draft: "{{ draft }}"`, `- name: draft` | as a mapping |',
    ]
    words = ", ".join(f"`{word}` = `{canonical}`" for word, canonical in tables.TYPE_WORDS.items())
    actions = ", ".join(f"`{word}` = `{canonical}`" for word, canonical in tables.ON_FAILURE_WORDS.items())
    lines += [f"| `type` | {words} | |", f"| `on_failure` | {actions} (unless a step has that id) | |"]
    return "\n".join([*lines, ""])
