"""The plan: what a checked pipeline will do. Immutable, complete, and all that the runtime needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from orchestrator.expressions import Template, Value
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.expressions.types.value_types import Type
from orchestrator.language.spec.pipeline import InputSpec
from orchestrator.models.budget import Budget
from orchestrator.models.calls.lock_entries import KeptAnswer
from orchestrator.tools.contract import Action, Tool


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a failed attempt is made again. Times in seconds.

    The delay before attempt n+1 is `min(max_delay, delay * backoff ** (n - 1))`, plus or minus `jitter` of itself
    (0.1: up to 10 per cent). `on` limits it to errors with one of these codes or type names; empty: all retryable.
    What an error asks to wait for is waited for if it is at most `longest_wait`, or without one at most the error's own
    limit; else no further attempt is made.
    """

    max_attempts: int = 1
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.1
    longest_wait: float | None = None
    on: tuple[str, ...] = ()


MODEL_RETRY = Retry(max_attempts=4, jitter=0.25, on=("ModelRateLimited", "ModelUnavailable"))
"""The policy of a step that asks models and has none: what passes by itself is waited for, 1, 2 and 4 seconds."""


@dataclass(frozen=True, slots=True)
class OnFailure:
    """What follows when the last attempt of a step has failed.

    `fail` ends the run, `continue` goes on with null, `value` goes on with `value`, `jump` goes on at step `target`.
    """

    kind: Literal["fail", "continue", "value", "jump"] = "fail"
    value: Value | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The work of a step that calls one action of one tool. `parameters` evaluates to the keyword arguments."""

    tool: Tool
    action: Action
    parameters: Value


@dataclass(frozen=True, slots=True)
class Block:
    """Steps with a scope of their own: the body of a loop, a group, a case, a handler. What is outside can be read.

    Its value is that of its last step in the file's order.
    """

    steps: tuple[StepPlan, ...]


@dataclass(frozen=True, slots=True)
class FileItems:
    """The rows of a file, read one after another while the loop runs: objects of JSON, rows of CSV, lines of text.

    What is None is found out from the file.
    """

    path: Value
    format: FileFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None


FileFormat = Literal["jsonl", "csv", "text"]

FILE_FORMATS: Mapping[str, FileFormat] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
"""The format of a file of items by the ending of its name; that of all others is text."""


@dataclass(frozen=True, slots=True)
class RangeItems:
    """The integers from `start` to `stop`, without `stop`, `step` apart: never held as a list."""

    start: Value
    stop: Value
    step: Value


@dataclass(frozen=True, slots=True)
class ForEach:
    """Its body once for each item: of a list, of a mapping (as `{key, value}`), of a range, of a file.

    `body` is a `Block`, or the one step that the loop itself is written as: then that step's path is the item's,
    and its `on_failure` says what becomes of a failed item. For a block `on_item_failure` says so; its kinds are
    `fail`, `continue` and `value`. `name` is the item's in expressions. At most `max_parallel` items are under way at
    once (None: as many as the run allows steps). `min_success` from 0 to 1: with a smaller share of good items the loop
    fails. `collect` is an item's value instead of that of the body's last step.
    """

    items: Value | FileItems | RangeItems
    body: Block | StepPlan
    name: str = "item"
    max_parallel: int | None = None
    on_item_failure: OnFailure = OnFailure()
    min_success: float | None = None
    collect: Value | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """Its body again and again: `while` the condition holds before a round, or `until` it holds after one.

    The condition sees `iteration` (of the round to come, or of the one just ended, from 0), `previous`, the steps of
    the last round by their ids (null before the first), and the accumulators: `initial` gives their first values,
    `update` those after each round. After `max_iterations` rounds, `on_limit` says whether that is a failure.
    """

    kind: Literal["while", "until"]
    condition: Template
    body: Block
    max_iterations: int = 100
    on_limit: Literal["fail", "continue"] = "fail"
    initial: Mapping[str, Value] = field(default_factory=dict)
    update: Mapping[str, Value] = field(default_factory=dict)
    collect: Value | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """The case whose key equals `subject`; else `default`; else nothing, and the value is null."""

    subject: Value
    cases: tuple[tuple[CaseKey, Block], ...]
    default: Block | None = None


@dataclass(frozen=True, slots=True)
class CaseKey:
    """What a case is for: `text` is the key as it is written, `value` what that means in YAML.

    A key without quotes is for the value that it means, and any key but that of null for its text: `2` is for 2, 2.0
    and "2", `True` for true, "True" and "true", `null` for null alone, `"null"` for that text.
    """

    text: str
    value: Any

    def equals(self, subject: Any) -> bool:
        """Whether the case is for this value."""
        if subject is None or self.value is None:
            return subject is None and self.value is None
        if isinstance(subject, bool) or isinstance(self.value, bool):
            if isinstance(subject, bool) and isinstance(self.value, bool):
                return subject == self.value
        elif isinstance(subject, int | float) and isinstance(self.value, int | float):
            return subject == self.value
        text = to_text(subject)
        return text in (self.text, to_text(self.value))


@dataclass(frozen=True, slots=True)
class Group:
    """Steps that share a condition, a timeout, an end. With `parallel` its value is the object of all their values.

    `wait_for`: it ends as soon as so many of its steps have succeeded, and the others are cancelled. None: all.
    """

    body: Block
    parallel: bool = False
    wait_for: int | None = None


@dataclass(frozen=True, slots=True)
class SubPipeline:
    """Another pipeline within the same run. `source` is its key in `Plan.pipelines`; `inputs` evaluates to its inputs.

    `max_depth`: how deep it may stand within itself; None where it does not call itself.
    """

    source: str
    inputs: Value
    max_depth: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a person. The answer must satisfy `answer`, and be one of `choices` if there are any."""

    prompt: Value
    answer: InputSpec
    choices: Value | None = None
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class Approve:
    """Something that a person approves or rejects; with `editable` its content may be changed on the way.

    The result is `{approved, content, comment}`, its primary value `approved`.
    """

    title: Value
    content: Value
    editable: bool = False
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing, until a time (ISO 8601, or seconds since the epoch) or for a duration. Exactly one is there."""

    until: Value | None = None
    duration: Value | None = None


@dataclass(frozen=True, slots=True)
class AgentTool:
    """An action that the model of an agent may ask for, by this name."""

    name: str
    tool: Tool
    action: Action


@dataclass(frozen=True, slots=True)
class AgentServer:
    """A server of tools that the model of an agent may use: one of its tools, or all."""

    server: str
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """A model that is asked in turns, and may ask for tools in each: they are called, and it is told the results.

    It ends with an answer without such a request; after `max_turns` turns without one it has failed. `parameters` say
    what it is asked, and which model. Calls of one turn are made side by side, or without `parallel` one after another;
    each may take `timeout` seconds.
    """

    parameters: Value
    max_turns: Value
    tools: tuple[AgentTool, ...] = ()
    servers: tuple[AgentServer, ...] = ()
    parallel: bool = True
    timeout: float | None = None


Work = ToolCall | ForEach | Repeat | Switch | Group | SubPipeline | Agent | Ask | Approve | Wait
"""What a step does."""

Composite = ForEach | Repeat | Switch | Group | SubPipeline | Agent
"""The work that consists of further steps."""


@dataclass(frozen=True, slots=True)
class Handler:
    """What to do about an error that matches any of `error_types` and any of `error_patterns`; empty ones match all.

    Types are names or codes, patterns are regular expressions that are found in the message. `retry` first makes
    further attempts. Then the steps of `body` run, with `error` in their scope. If they succeed, the failure is dealt
    with, and the value is `fallback`, or that of the body's last step. At the level of the pipeline the run has failed
    all the same.
    """

    error_types: tuple[str, ...] = ()
    error_patterns: tuple[str, ...] = ()
    retry: Retry | None = None
    body: Block | None = None
    fallback: Value | None = None


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Results are shared across runs: for `ttl` seconds (None: for ever), by `key` besides the call's own content.

    `scope`: whether other pipelines share them too.
    """

    ttl: float | None = None
    key: Value | None = None
    scope: Literal["pipeline", "store"] = "store"


@dataclass(frozen=True, slots=True)
class Judge:
    """A model that says whether an output is good: `rubric` is what it goes by, from 0 to 1 `min_score` the least.

    `model` evaluates to a model's name or a list of names.
    """

    rubric: Value
    model: Value
    min_score: float = 0.7


@dataclass(frozen=True, slots=True)
class Check:
    """What the output of a step must be: each of `conditions` true (it is `output` in them), `schema` satisfied.

    An answer of a model that fails is asked for again with the reasons, until one model has made `max_attempts`; then
    the next model of the step is asked. When all have failed, so has the attempt. Of an agent, it is `max_attempts`
    answers in all, each in a turn of its own.
    """

    conditions: tuple[Template, ...] = ()
    schema: Mapping[str, Any] | None = None
    judge: Judge | None = None
    max_attempts: int = 2


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step.

    `dependencies` holds the ids of all steps of the same block that must have ended before this one starts: the
    declared ones, those that its expressions and those of the steps within it read, and those whose jump could skip it.
    `skips` maps each of this step's jumps (`on_success`, `on_false`, `on_failure`) to the ids of the steps it skips.
    `condition` and `timeout` are absent where the file has none. `on_error` is tried in order when the last attempt has
    failed, before `on_failure`. `on_resume` says what becomes of an attempt that was under way when its process died.
    `check` is what its output must be, `budget` what it and the steps within may spend on models. `line` is the step's
    line in the file.
    """

    id: str
    work: Work
    name: str = ""
    description: str = ""
    dependencies: tuple[str, ...] = ()
    condition: Template | None = None
    retry: Retry = Retry()
    timeout: float | None = None
    on_failure: OnFailure = OnFailure()
    on_success: str | None = None
    on_false: str | None = None
    skips: Mapping[Literal["on_success", "on_false", "on_failure"], Sequence[str]] = field(default_factory=dict)
    on_error: tuple[Handler, ...] = ()
    on_resume: Literal["rerun", "fail", "ask"] = "rerun"
    cache: CachePolicy | None = None
    check: Check | None = None
    budget: Budget | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    line: int = 0

    @property
    def is_auto(self) -> bool:
        """Whether the file does not hold the step: it asks for the `<AUTO>` values of another one."""
        return is_auto(self.id)


_AUTO: Final = ":auto"


def auto_id(step: str) -> str:
    """Return the id of the step that asks for the `<AUTO>` values of another. No id in a file has such a sign."""
    return step + _AUTO


def is_auto(step: str) -> bool:
    """Whether this is the id of such a step."""
    return step.endswith(_AUTO)


@dataclass(frozen=True, slots=True)
class AutoValue:
    """An `<AUTO>` of the file: where it stands, what is asked there, and the JSON Schema of the answer.

    With `varies` the question has templates, so what is asked is known only in a run. `asks` are the parameters of a
    call that asks for this one alone, None where they have templates too. `locked` is the lock's answer, which then
    stands in the plan; that of a question which varies is looked up by the step that asks. `secret`: the question reads
    a secret input, so no answer to it is kept.
    """

    at: str
    text: str
    schema: Mapping[str, Any]
    varies: bool
    asks: Mapping[str, Any] | None = None
    locked: KeptAnswer | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """One declared output: its value's template and its type."""

    name: str
    value: Value
    type: Type
    description: str = ""
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked pipeline. `directory` is where relative paths start, `digest` identifies what the plan does.

    `pipelines` holds every other pipeline that is called, at any depth, by the path of its file; their own are empty.
    `autos` are the values of its own file that models give, `lock` is the key and the text of the lock that they were
    looked up in.
    `orchestrator` are the models that judge results and describe the pipeline; steps have theirs in their parameters.
    """

    id: str
    source_name: str
    source_text: str
    directory: Path
    digest: str
    steps: tuple[StepPlan, ...]
    name: str = ""
    description: str = ""
    version: str = ""
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    variables: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, OutputPlan] = field(default_factory=dict)
    finally_: Block | None = None
    error_handlers: tuple[Handler, ...] = ()
    pipelines: Mapping[str, Plan] = field(default_factory=dict)
    max_parallel: int | None = None
    budget: Budget | None = None
    timeout: float | None = None
    orchestrator: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    autos: tuple[AutoValue, ...] = ()
    lock: tuple[str, str] | None = None

    @property
    def sources(self) -> dict[str, str]:
        """The texts of all files that the plan was made of besides its own: pipelines by their keys, and locks."""
        locks = dict(plan.lock for plan in (self, *self.pipelines.values()) if plan.lock is not None)
        return {key: plan.source_text for key, plan in self.pipelines.items()} | locks

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON data, for the journal and for people: no functions, templates as their text."""
        from orchestrator.plan.serialization import plan_data

        return plan_data(self)

    def with_digest(self) -> Plan:
        """Return the plan with its digest: the SHA-256 of what it does, whatever its names and descriptions."""
        from orchestrator.plan.serialization import digest_of

        return replace(self, digest=digest_of(self))
