"""The part of the reference page on kinds of work: what each does, an example, its keys, its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestrator.language.spec.base import Spec, key_fields
from orchestrator.language.spec.kinds import OWNERS, Kind
from orchestrator.language.spec.model_options import BudgetSpec, CallSpec, CheckSpec, JudgeSpec
from orchestrator.language.spec.pipeline import CacheSpec, HandlerSpec, StepSpec
from orchestrator.language.spec.questions import ApproveSpec, AskSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work, or a few that share their keys, as the page shows it."""

    title: str
    kinds: tuple[Kind, ...]
    example: str
    text: str
    part: type[Spec] | None = None


WORK: Final = (
    Work(
        "Call a tool",
        ("tool",),
        """\
inputs:
  topic: solar cells
steps:
  - id: draft
    tool: text
    action: template
    parameters:
      template: "About {{ topic }}"
    retry: 3
    cache: {ttl: 1d}
""",
        "The step's value is the tool's result. `orchestrator tools` lists the tools, their actions and parameters. "
        "With `cache` a result is used again, in this run and in others, as long as the tool's version, the parameters "
        "and the contents of the files among them are the same. `on_resume` says what becomes of a call that was under "
        "way when its process died.",
        CacheSpec,
    ),
    Work(
        "`for_each`: once for each item",
        ("for_each",),
        """\
inputs:
  rows: [one, two]
steps:
  - id: translate
    for_each: "{{ rows }}"
    as: row
    max_parallel: 8
    on_item_failure: continue
    min_success: 0.9
    steps:
      - id: draft
        tool: text
        action: template
        parameters:
          template: "{{ index }}: {{ row }}"
  - id: numbers
    for_each: {range: [1, 10]}
    tool: log
    parameters:
      message: "{{ item }}"
""",
        "The items are those of a list; of a mapping, each as `{key, value}`; of a range, `{range: 10}`, "
        "`{range: [1, 10]}` or `{range: [1, 10, 2]}`, the last number not included; or the rows of a file, "
        "`{file: rows.csv, format: csv, delimiter: ';', encoding: windows-1252}`, read one after another. Instead of "
        "`steps` a loop may have a `tool` or "
        "`action` of its own, with all that belongs to a call. In the body the item is read as `item`, or as `as` "
        "names it, with `index` (from 0), `is_first` and `is_last`. The value is the list of the items' values, in the "
        "items' order: that of the body's last step, or `collect`; null for an item that failed. `count`, `succeeded` "
        "and `failed` are fields of the loop.",
    ),
    Work(
        "`while` and `until`: again and again",
        ("while", "until"),
        """\
steps:
  - id: refine
    until: "total >= 3"
    max_iterations: 20
    on_limit: continue
    initial: {total: 0}
    update: {total: "{{ total + 1 }}"}
    steps:
      - id: draft
        tool: text
        action: template
        parameters:
          template: "round {{ iteration }} after {{ previous.draft }}"
""",
        "`while` is asked before each round, `until` after it. The body reads `iteration` (from 0), `previous` (the "
        "steps of the last round by id, null before the first), and the names that `initial` and `update` carry from "
        "round to round. The conditions, `update` and `collect` read the steps of the last round by their ids. The "
        "value is that of the last round; `iterations` is the list of all, `count` their number.",
    ),
    Work(
        "`switch`: one of several",
        ("switch",),
        """\
inputs:
  kind: short
steps:
  - id: route
    switch: "{{ kind }}"
    cases:
      short:
        - id: praise
          tool: log
          parameters: {message: "How short!"}
      long: {tool: log, parameters: {message: "How long!"}}
    default:
      - id: wonder
        tool: log
        parameters: {message: "What is {{ kind }}?"}
""",
        "The first case whose key is the value, or the text of the value, is taken. A case is a list of steps, or one "
        "step, whose id is the case's name unless it has one. The value is that of the chosen case's last step; "
        "`case` is its key. Without a fitting case and without `default` nothing runs, and the value is null.",
    ),
    Work(
        "`parallel`: side by side",
        ("parallel",),
        """\
steps:
  - id: review
    parallel:
      left: {tool: log, parameters: {message: first}}
      right:
        - {id: read, tool: log, parameters: {message: second}}
        - {id: judge, tool: log, parameters: {message: "after {{ read }}"}}
    wait_for: any
""",
        "The steps are a list, or a mapping by id; a list in such a mapping is a group. With `wait_for` the step ends "
        "as soon as so many have succeeded, and the others are cancelled. The value is the object of all values by id.",
    ),
    Work(
        "`steps`: a group",
        ("steps",),
        """\
inputs:
  ready: true
steps:
  - id: publish
    condition: ready
    timeout: 10m
    on_failure: continue
    steps:
      - {id: render, tool: log, parameters: {message: rendered}}
      - {id: send, tool: log, parameters: {message: sent}, dependencies: [render]}
""",
        "Steps with a condition, a timeout or a consequence of failure in common. The value is that of the last step; "
        "each step is a field by its id.",
    ),
    Work(
        "`pipeline`: another file",
        ("pipeline",),
        """\
inputs:
  text: good morning
steps:
  - id: translated
    pipeline: ./translate.yaml
    inputs:
      text: "{{ text }}"
""",
        "The other pipeline runs as a part of this run, and sees nothing but its inputs. It is checked together with "
        "this file. The value is the object of its outputs, each a field.",
    ),
    Work(
        "`ask`: a question to a person",
        ("ask",),
        """\
steps:
  - id: pages
    ask:
      prompt: How many pages?
      type: integer
      minimum: 1
      default: 3
    timeout: 2h
  - id: who
    ask: Who reads it?
""",
        "The run waits, for days if need be and without a process, until `orchestrator answer RUN STEP VALUE` or "
        "`run.answer(...)`. The value is the answer. When `timeout` has passed it is `default`; without one the step "
        "fails.",
        AskSpec,
    ),
    Work(
        "`approve`: a decision by a person",
        ("approve",),
        """\
inputs:
  text: good morning
steps:
  - id: release
    approve:
      title: Publish this?
      content: "{{ text }}"
      allow_editing: true
    timeout: 1d
""",
        "As `ask`, but the answer is yes or no. The value is `approved`, true or false; `content`, as it was edited, "
        "and `comment` are fields.",
        ApproveSpec,
    ),
    Work(
        "`wait_until` and `sleep`: later",
        ("wait_until", "sleep"),
        """\
steps:
  - {id: monday, wait_until: "2030-12-02T09:00"}
  - {id: pause, sleep: 5m, dependencies: [monday]}
""",
        "A wait survives the end of the process. The value is null.",
    ),
)

_MODELS: Final = """\
## Ask a model

A step with a `prompt` and no `tool` or `action` asks a model: it is `generate_text`; with `schema` or `vars`
`generate`, whose answer has fields; with `tools` `agent`. The other actions of the tool `model` are named:
`action: summarize`. What such a call is given may stand in the step itself, as in the table, or below `parameters`; it
is the same.

```yaml
model: auto
steps:
  - id: draft
    prompt: Write three sentences on tides.
    temperature: 0.2
    budget: 0.05
    check:
      that: [output | length > 40]
      judge: It explains where the tides come from.
```

Which model is asked: that of the step's `model`; else, unless `requires_model` says what it must be, that of `experts`
for the action, the `tool.action` or the tool; else that of the file's `model`; else `auto`. A pipeline that is called
goes by its own keys, and never by those of its caller; the caller's budget holds for all of it.
"""

_CHECK: Final = """\
### `check`

What the output of a step must be, whatever its work. In the expressions `output` is the step's value, and the names
that the step sees are known. An answer of a model that is not good enough is asked for again with the reasons, then
from the step's next model; when all have failed, so has the attempt. For a loop with an action of its own it holds for
each item.
"""

_BUDGET: Final = """\
### `budget`

Short form: `budget: 0.5` is in USD. A call that could exceed it is not made; the run fails, and can be resumed with
more. The budget of a step is for all attempts, items and steps within; the one of the file is for a run.
"""

_HANDLERS: Final = """\
## `on_error` and `error_handlers`

Below a step's `on_error:`, one handler or a list of them. The first that matches is carried out when the last attempt
has failed; if its steps succeed, the failure is dealt with. A word, a step's id or `{value: ...}` there means the same
as below `on_failure`. Below the file's `error_handlers:` the run has failed all the same, so they have neither `retry`
nor `fallback_value`. The steps read `error`: `{type, code, message, step, attempts}`.

```yaml
steps:
  - id: fetch
    action: http.get
    parameters: {url: "https://example.com"}
    on_error:
      - {error_types: [StepTimeout], retry: 2}
      - error_patterns: ["40[34]"]
        tool: log
        parameters: {message: "{{ error.message }}"}
        fallback_value: null
finally:
  - {id: tidy, tool: log, parameters: {message: "{{ run.state }}"}}
error_handlers:
  - tool: log
    parameters: {message: "{{ error.step }}: {{ error.message }}"}
```
"""


def work_markdown(table: Callable[[type[Spec], Iterable[str]], str]) -> Iterator[str]:
    """The sections on steps. `table` makes the table of some keys of a model."""
    every = [key for key in key_fields(StepSpec) if key not in OWNERS or key == "timeout"]
    yield "## A step\n"
    yield (
        "Below `steps:`, a list. A step has exactly one kind of work, of those below; a key of another kind is "
        "refused. These keys are for all of them (`timeout` not for a step that waits):\n"
    )
    yield table(StepSpec, every)
    for work in WORK:
        yield f"## {work.title}\n"
        yield f"```yaml\n{work.example}```\n"
        yield f"{work.text}\n"
        yield table(StepSpec, _keys(work))
        if work.part is not None:
            name = next(key for key, field in key_fields(StepSpec).items() if _is(field, work.part))
            yield f"`{name}` as a mapping:\n"
            yield table(work.part, key_fields(work.part))
        if work.kinds == ("tool",):
            yield _MODELS
            yield table(CallSpec, key_fields(CallSpec))
    yield _CHECK
    yield table(CheckSpec, key_fields(CheckSpec))
    yield "`judge` as a mapping:\n"
    yield table(JudgeSpec, key_fields(JudgeSpec))
    yield _BUDGET
    yield table(BudgetSpec, key_fields(BudgetSpec))
    yield _HANDLERS
    yield table(HandlerSpec, key_fields(HandlerSpec))


def _keys(work: Work) -> list[str]:
    owned = [key for key, kinds in OWNERS.items() if key != "timeout" and not set(kinds).isdisjoint(work.kinds)]
    return [key for key in key_fields(StepSpec) if key in owned]


def _is(field: str, part: type[Spec]) -> bool:
    return part.__name__ in repr(StepSpec.model_fields[field].annotation)
