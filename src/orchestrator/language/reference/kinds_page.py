"""The section of the reference page about kinds of steps: an example, keys and value of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.language.spec.base import Spec, key_fields
from orchestrator.language.spec.failures import FailSpec
from orchestrator.language.spec.kinds import OWNERS, Kind
from orchestrator.language.spec.model_options import BudgetSpec, CallSpec, CheckSpec, JudgeSpec
from orchestrator.language.spec.pipeline import CacheSpec, HandlerSpec, StepSpec
from orchestrator.language.spec.questions import ApproveSpec, AskSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Work(Struct, frozen=True):
    """One kind of work, or several that share their keys, on the page."""

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
        "The value of the step is the result of the tool. `orchestrator tools` lists the tools. "
        "With `cache` a result is reused, in this run and in others, as long as the tool's version, the parameters "
        "and the contents of files among them are unchanged. `on_resume` defines what happens to a call that was "
        "running when its process died.",
        CacheSpec,
    ),
    Work(
        "`for_each`: loop over items",
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
        "The items come from a list; a mapping, each as `{key, value}`; a range, `{range: 10}`, "
        "`{range: [1, 10]}` or `{range: [1, 10, 2]}`, the last number not included; or the rows of a file, "
        "`{file: rows.csv, format: csv, delimiter: ';', encoding: windows-1252, types: {zip: string}}`, read one after "
        "another; or several lists by name, `{matrix: {size: [1, 2], color: [red, blue]}, exclude: [{size: 2, color: "
        "red}], include: [{size: 3, color: red}]}` for their combinations, `{zip: {name: [a, b], age: [3, 4]}}` for "
        "their first items together, then their second ones. Instead of `steps` a loop may have a `tool` or "
        "`action` itself, with all keys of a call. The body reads the item as `item`, or by the name in `as`, "
        "and `index` (from 0), `is_first` and `is_last`. The value is the list of the values of the items, in "
        "order: the value of the last step of the body, or `collect`; null for a failed item. `count`, `succeeded` "
        "and `failed` are fields of the loop. With `initial` and `update`, the items run one after another and carry "
        "values: the body and `update` read them by their names, and the last ones are fields of the loop.",
    ),
    Work(
        "`while` and `until`: repeat steps",
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
        "`while` is evaluated before each round, `until` after it. The body reads `iteration` (from 0), `previous` "
        "(the steps of the last round by id, null before the first), and the names that `initial` and `update` carry "
        "from round to round. The conditions, `update` and `collect` read the steps of the last round by id. The "
        "value is that of the last round; `iterations` is the list of all, `count` their number.",
    ),
    Work(
        "`switch`: select a branch",
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
        "The first case whose key equals the value, or its text, is run. A case is a list of steps, or one "
        "step, whose id defaults to the name of the case. The value is the value of the last step of the case; "
        "`case` is its key. Without a matching case and without `default` nothing runs, and the value is null.",
    ),
    Work(
        "`parallel`: run steps in parallel",
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
        "as soon as that number has succeeded, and the others are cancelled. The value is an object of values by id.",
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
        "Steps with a common condition, timeout or failure policy. The value is the value of the last step; "
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
        "The other pipeline runs as part of this run, and reads only its inputs. It is checked together with "
        "this file. The value is an object of its outputs. With `detach: true` it becomes a run of its own, which is "
        "started once and outlives this one; the value is then the id of that run.",
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
        "The run waits, for any time and without a process, until `orchestrator answer RUN STEP VALUE` or "
        "`run.answer(...)`. The value is the answer. After `timeout` it is `default`; without a default the step "
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
        "Like `ask`, but the answer is yes or no. The value is `approved`, true or false; `content`, including edits, "
        "and `comment` are fields.",
        ApproveSpec,
    ),
    Work(
        "`wait_until` and `sleep`: wait",
        ("wait_until", "sleep"),
        """\
steps:
  - {id: monday, wait_until: "2030-12-02T09:00"}
  - {id: pause, sleep: 5m, dependencies: [monday]}
""",
        "A wait survives the end of the process. The value is null.",
    ),
    Work(
        "`value`: a computed value",
        ("value",),
        """\
inputs:
  paid: 30
  total: 40
steps:
  - {id: ratio, value: "{{ paid / total }}"}
  - id: report
    value:
      ratio: "{{ ratio }}"
      complete: "{{ ratio >= 1 }}"
""",
        "Computes a value without a tool: from steps, inputs and variables. `variables` of the file can read only "
        "inputs. It makes no attempt, takes no slot and does not wait for the disk.",
    ),
    Work(
        "`fail`: a failure on purpose",
        ("fail",),
        """\
inputs:
  state: open
steps:
  - id: abort
    condition: state not in ['open', 'draft']
    fail: "The state {{ state }} is unsafe"
  - {id: publish, tool: log, parameters: {message: published}, dependencies: [abort]}
""",
        "Ends the run, the group or the item of a loop as failed, with a message. It is not retried, and the run is "
        "not offered to be resumed. `on_failure` and `on_error` apply as to any other failure; with a `code`, "
        "`error_types` of handlers can list it.",
        FailSpec,
    ),
    Work(
        "`end`: an early end",
        ("end",),
        """\
inputs:
  found: []
outputs:
  count: "{{ found | length }}"
  report: "{{ write }}"
steps:
  - id: nothing_new
    condition: found == []
    end: {report: Nothing new}
  - {id: write, tool: log, parameters: {message: "{{ found | join }}"}, dependencies: [nothing_new]}
""",
        "Ends the pipeline that contains it as succeeded: the run, or the call of the pipeline. It gives values "
        "to some or all of the pipeline's `outputs`; the others are computed as usual, and a step that has not run is "
        "null there. `end: true` names none. Steps that have not started are skipped, those in flight are cancelled, "
        "and `finally` runs. A step that must not start before the decision lists the step with `end` in its "
        "`dependencies`. It cannot be used in `finally` or in the `error_handlers` of the pipeline.",
    ),
)

_MODELS: Final = """\
## Call a model

A step with a `prompt` and no `tool` or `action` calls a model with the action `generate_text`; with `schema` or `vars`,
the action is `generate`, whose answer has fields; with `tools` it is `agent`. Name the other actions of the tool
`model`: `action: summarize`. Write the parameters of the call in the step itself, as in the table, or below
`parameters`.

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

The model is `model` of the step; else, without `requires_model`, the entry of `experts` for the action, the
`tool.action` or the tool; else `model` of the file; else `auto`. A called pipeline uses its own keys, not those of its
caller; the budget of the caller includes it.
"""

_CHECK: Final = """\
### `check`

Checks the output of a step of any kind. The expressions read the value of the step as `output`, and all names that the
step can read. If the answer of a model fails the check, the model is called again with the reasons, then the next model
of the step; when all have failed, the attempt fails. For a loop with its own action it applies to each item.
"""

_BUDGET: Final = """\
### `budget`

Short form: `budget: 0.5` is in USD. A call that could exceed the budget is not made; the run fails, and can be resumed
with a larger budget. The budget of a step includes all attempts, items and inner steps; the budget of the file is for
one run.
"""

_HANDLERS: Final = """\
## `on_error` and `error_handlers`

`on_error:` of a step has one handler or a list of them. The first that matches runs when the last attempt has failed;
if its steps succeed, the error is handled. A word, a step id or `{value: ...}` means the same as in `on_failure`. The
handlers in `error_handlers:` of the file cannot change that the run has failed, so they have neither `retry` nor
`fallback_value`. The steps of a handler read `error`: `{type, code, message, step, attempts}`.

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

_UNDO: Final = """\
## `undo` and `compensate`

`undo:` of a step has one step, or a list of steps, that undo what it did. They run when the run fails or is cancelled,
or when a group with `compensate: true` around the step does: for every step that had succeeded, one after another, in
the reverse order of their ends. They read what the step could read, the step itself by its id, and its result as
`output`; in a loop with its own action, `output` is the result of the item. What was undone counts as not done: when
the run is resumed, the step runs again.

```yaml
steps:
  - id: trip
    compensate: true
    on_failure: continue
    steps:
      - id: car
        tool: log
        parameters: {message: "book a car"}
        undo: {tool: log, parameters: {message: "cancel: {{ car }}"}}
      - {id: flight, fail: "no flight is free", dependencies: [car]}
```
"""


def work_markdown(table: Callable[[type[Spec], Iterable[str]], str]) -> Iterator[str]:
    """Yield the sections about steps. `table` returns the table of some keys of a model."""
    every = [key for key in key_fields(StepSpec) if key not in OWNERS or key == "timeout"]
    yield "## A step\n"
    yield (
        "`steps:` is a list. A step has exactly one of the kinds of work below; a key of another kind is "
        "an error. These keys apply to all kinds (`timeout` not to a waiting step):\n"
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
    yield _UNDO


def _keys(work: Work) -> list[str]:
    owned = [key for key, kinds in OWNERS.items() if key != "timeout" and not set(kinds).isdisjoint(work.kinds)]
    return [key for key in key_fields(StepSpec) if key in owned]


def _is(field: str, part: type[Spec]) -> bool:
    return part.__name__ in repr(StepSpec.model_fields[field].annotation)
