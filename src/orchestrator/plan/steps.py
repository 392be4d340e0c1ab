"""A step and every kind of work that it can do, as immutable data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.expressions import Constant, Template, Value
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.models.budget import Budget
from orchestrator.plan.agent_tools import AgentPipeline, AgentRole, AgentServer, AgentTool
from orchestrator.plan.auto_values import is_auto
from orchestrator.plan.children import Children
from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.loop_items import CombinedItems, FileItems, RangeItems
from orchestrator.plan.policies import FAIL, NO_RETRY, Audience, CachePolicy, Check, OnFailure, RetryPolicy
from orchestrator.plan.undo import Read
from orchestrator.plan.value_text import as_text, expression_text, source_of, time_text
from orchestrator.plan.values import Computation, End, Failure
from orchestrator.tools.contract import Action, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.language.spec.inputs import InputSpec  # noqa: TC004 - readers of plans do not load Pydantic


StepKind = Literal[
    "tool",
    "for_each",
    "while",
    "until",
    "switch",
    "group",
    "parallel",
    "pipeline",
    "detached",
    "agent",
    "ask",
    "approve",
    "wait",
    "value",
    "fail",
    "end",
]
"""The kind of a step's work: the `kind` of a step's data and of its `step.started` event."""

EACH: Final = "[*]"
"""The part of a path that means every item or round of a loop, or every turn of an agent."""


class ToolCall(Struct, frozen=True):
    """The work of a step that calls one action of one tool. `parameters` evaluates to the keyword arguments."""

    kind: ClassVar[StepKind] = "tool"
    tool: Tool
    action: Action
    parameters: Value

    def describe(self) -> str:
        """Describe the work in a few words."""
        return self.tool.name if self.tool.name == self.action.name else f"{self.tool.name} {self.action.name}"

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the steps inside: none."""
        return ()


class Block(Struct, frozen=True):
    """Steps with their own scope: the body of a loop, a group, a case, a handler. They can read the enclosing scopes.

    The value of a block is that of its last step in the order of the file.
    """

    steps: tuple[StepPlan, ...]


class ForEach(Struct, frozen=True):
    """Runs its body once for each item of a list, a mapping (as `{key, value}`), a range, a file, or several lists.

    `body` is a `Block`, or the single step of a loop that has its own action: that step has the path of the item, and
    its `on_failure` handles a failed item. For a block, `on_item_failure` does; its kinds are `fail`, `continue` and
    `value`. `name` is the name of the item in expressions. At most `max_parallel` items run at once (None: as many as
    the run allows steps). The loop fails if the share of successful items is below `min_success`, from 0 to 1.
    `collect` replaces the value of the body's last step as the value of an item. With `initial` or `update`, the items
    run one after another, and carry accumulators: `initial` are their first values, `update` those after each item.
    With `wait_for`, the loop ends when that many items have succeeded, and the others are cancelled; it fails when too
    many have failed for that.
    """

    kind: ClassVar[StepKind] = "for_each"
    items: Value | FileItems | RangeItems | CombinedItems
    body: Block | StepPlan
    name: str = "item"
    max_parallel: int | None = None
    on_item_failure: OnFailure = FAIL
    min_success: float | None = None
    collect: Value | None = None
    initial: Mapping[str, Value] = field(default_factory=dict)
    update: Mapping[str, Value] = field(default_factory=dict)
    wait_for: int | None = None

    @property
    def is_fold(self) -> bool:
        """Whether it carries values from item to item."""
        return bool(self.initial or self.update)

    def describe(self) -> str:
        """Describe the work in a few words."""
        if isinstance(self.items, FileItems | RangeItems | CombinedItems):
            items = self.items.describe()
        else:
            source = source_of(self.items)
            items = f"of {len(source)}" if isinstance(source, list | dict) else f"of {expression_text(source)}"
        each = f"for each {self.name} {items}" + (f", ends with {self.wait_for}" if self.wait_for is not None else "")
        return f"{each}: {self.body.work.describe()}" if isinstance(self.body, StepPlan) else each

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the body, or the single step that runs for each item."""
        if isinstance(self.body, StepPlan):
            return (Children("item", (self.body,), segment=EACH),)
        return (Children("body", self.body.steps, segment=EACH),)

    def with_children(self, blocks: Sequence[tuple[StepPlan, ...]]) -> ForEach:
        """Return the loop with other steps inside, in the order of `children`."""
        (steps,) = blocks
        return replace(self, body=steps[0] if isinstance(self.body, StepPlan) else Block(steps))


class RepeatLoop(Struct, frozen=True):
    """Repeats its body `while` a condition is true before a round, or `until` it is true after one.

    The condition can read `iteration` (of the next round for `while`, of the last for `until`, from 0), `previous`, the
    steps of the last round by their ids (null before the first), and the accumulators: `initial` are their first
    values, `update` those after each round. `on_limit` decides whether reaching `max_iterations` is a failure.
    """

    kind: Literal["while", "until"]
    condition: Template
    body: Block
    max_iterations: int = 100
    on_limit: Literal["fail", "continue"] = "fail"
    initial: Mapping[str, Value] = field(default_factory=dict)
    update: Mapping[str, Value] = field(default_factory=dict)
    collect: Value | None = None

    def describe(self) -> str:
        """Describe the work in a few words."""
        return f"{self.kind} {self.condition.text}"

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the body."""
        return (Children("body", self.body.steps, segment=EACH),)

    def with_children(self, blocks: Sequence[tuple[StepPlan, ...]]) -> RepeatLoop:
        """Return the loop with other steps inside."""
        return replace(self, body=Block(blocks[0]))


class Switch(Struct, frozen=True):
    """Runs the case whose key equals `subject`, otherwise `default`; without either, the value is null."""

    kind: ClassVar[StepKind] = "switch"
    subject: Value
    cases: tuple[tuple[CaseKey, Block], ...]
    default: Block | None = None

    def describe(self) -> str:
        """Describe the work in a few words."""
        return f"switch {expression_text(source_of(self.subject))}"

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the cases, then the default."""
        cases = tuple(Children("case", block.steps, key.text) for key, block in self.cases)
        if self.default is None:
            return cases
        return (*cases, Children("default", self.default.steps, "default"))

    def with_children(self, blocks: Sequence[tuple[StepPlan, ...]]) -> Switch:
        """Return the switch with other steps inside, in the order of `children`."""
        cases = tuple((key, Block(steps)) for (key, _), steps in zip(self.cases, blocks, strict=False))
        return replace(self, cases=cases, default=Block(blocks[-1]) if self.default is not None else None)


class CaseKey(Struct, frozen=True):
    """The key of a case: `text` as it is written, `value` as YAML reads it.

    A key without quotes matches its value and, except for null, its text: `2` matches 2, 2.0 and "2", `True` matches
    true, "True" and "true", `null` matches only null, `"null"` matches that text.
    """

    text: str
    value: Any

    def equals(self, subject: Any) -> bool:
        """Return whether the case matches this value."""
        if subject is None or self.value is None:
            return subject is None and self.value is None
        if isinstance(subject, bool) or isinstance(self.value, bool):
            if isinstance(subject, bool) and isinstance(self.value, bool):
                return subject == self.value
        elif isinstance(subject, int | float) and isinstance(self.value, int | float):
            return subject == self.value
        text = to_text(subject)
        return text in (self.text, to_text(self.value))


class StepGroup(Struct, frozen=True):
    """Steps that share a condition and a timeout. With `parallel`, its value is an object with the values of all steps.

    With `wait_for`, the group ends when that many steps have succeeded, and the others are cancelled. None: all.
    With `compensate`, its steps are undone when it fails or is cancelled.
    """

    body: Block
    parallel: bool = False
    wait_for: int | None = None
    compensate: bool = False

    @property
    def kind(self) -> StepKind:
        """`parallel` or `group`."""
        return "parallel" if self.parallel else "group"

    def describe(self) -> str:
        """Describe the work in a few words."""
        if not self.parallel or self.wait_for is None:
            return self.kind
        return f"parallel, ends with {self.wait_for} of {len(self.body.steps)}"

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the body."""
        return (Children("body", self.body.steps),)

    def with_children(self, blocks: Sequence[tuple[StepPlan, ...]]) -> StepGroup:
        """Return the group with other steps inside."""
        return replace(self, body=Block(blocks[0]))


class SubPipeline(Struct, frozen=True):
    """Runs another pipeline in the same run. `source` is its key in `Plan.pipelines`; `inputs` evaluates to its inputs.

    `max_depth` limits how deep it may call itself; None if it does not call itself.
    """

    kind: ClassVar[StepKind] = "pipeline"
    source: str
    inputs: Value
    max_depth: int | None = None

    def describe(self) -> str:
        """Describe the work in a few words."""
        return f"pipeline {self.source}"

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the steps inside: none, the called pipeline has its own plan."""
        return ()


class Ask(Struct, frozen=True):
    """Asks a person a question. The answer must match `answer` and, if there are `choices`, be one of them.

    With `questions`, it asks each of them, and the answer is an object with the answers by name.
    """

    kind: ClassVar[StepKind] = "ask"
    prompt: Value
    answer: InputSpec
    choices: Value | None = None
    default: Value | None = None
    questions: Mapping[str, Ask] = field(default_factory=dict)
    audience: Audience = Audience()

    def describe(self) -> str:
        """Describe the work in a few words."""
        asked = as_text(source_of(self.prompt)) or ", ".join(self.questions)
        return f"asks: {asked}"

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the steps inside: none."""
        return ()


class Approve(Struct, frozen=True):
    """Asks a person to approve or reject; with `editable`, the person can edit the content.

    The result is `{approved, content, comment}`, its primary value `approved`.
    """

    kind: ClassVar[StepKind] = "approve"
    title: Value
    content: Value
    editable: bool = False
    default: Value | None = None
    audience: Audience = Audience()

    def describe(self) -> str:
        """Describe the work in a few words."""
        return f"approval: {as_text(source_of(self.title))}"

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the steps inside: none."""
        return ()


class Wait(Struct, frozen=True):
    """Waits until a time (ISO 8601, or seconds since the epoch) or for a duration. Exactly one is set."""

    kind: ClassVar[StepKind] = "wait"
    until: Value | None = None
    duration: Value | None = None

    def describe(self) -> str:
        """Describe the work in a few words."""
        words = [("waits until", self.until), ("sleeps", self.duration)]
        return " ".join(f"{word} {time_text(source_of(value))}" for word, value in words if value is not None)

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the steps inside: none."""
        return ()


class Agent(Struct, frozen=True):
    """Asks a model in turns. In each turn it can call tools, and receives their results in the next.

    It ends with an answer without tool calls, and fails after `max_turns` turns without one. `parameters` are the
    prompt and the model. Calls of one turn run in parallel, or without `parallel` one after another; each may take
    `timeout` seconds.
    """

    kind: ClassVar[StepKind] = "agent"
    parameters: Value
    max_turns: Value
    tools: tuple[AgentTool, ...] = ()
    servers: tuple[AgentServer, ...] = ()
    pipelines: tuple[AgentPipeline, ...] = ()
    roles: tuple[AgentRole, ...] = ()
    parallel: bool = True
    timeout: float | None = None

    @property
    def everyone(self) -> tuple[Agent | AgentRole, ...]:
        """The agent, and those that it can hand over to."""
        return (self, *self.roles)

    def describe(self) -> str:
        """Describe the work in a few words: the tools, or the first few of many."""
        names = [*(one.name for one in self.tools), *(called.name for called in self.pipelines)]
        names += [f"mcp:{one.server}" + (f".{one.tool}" if one.tool else "") for one in self.servers]
        more = f" and {len(names) - 3} more" if len(names) > 4 else ""
        shown = names[:3] if more else names
        return f"agent with {', '.join(shown)}{more}" if names else "agent without tools"

    def children(self) -> tuple[Children[StepPlan], ...]:
        """Return the calls that its model can make in each turn, each as a step."""
        calls: dict[str, StepPlan] = {}
        for each in self.everyone:
            for one in each.tools:
                calls[one.name] = StepPlan(one.name, ToolCall(one.tool, one.action, Constant({})))
            for called in each.pipelines:
                calls[called.name] = StepPlan(called.name, SubPipeline(called.source, Constant({})))
        return (Children("turn", tuple(calls.values()), segment=EACH),) if calls else ()


Work = (
    ToolCall
    | ForEach
    | RepeatLoop
    | Switch
    | StepGroup
    | SubPipeline
    | DetachedRun
    | Agent
    | Ask
    | Approve
    | Wait
    | Computation
    | Failure
    | End
)
"""What a step does."""


class Handler(Struct, frozen=True):
    """Handles errors that match any of `error_types` and any of `error_patterns`; an empty tuple matches all.

    Types are names or codes; patterns are regular expressions searched for in the message. `retry` makes further
    attempts first. Then the steps of `body` run, with `error` in their scope. If they succeed, the failure is handled,
    and the value is `fallback` or that of the body's last step. For a handler of the pipeline, the run still fails.
    """

    error_types: tuple[str, ...] = ()
    error_patterns: tuple[str, ...] = ()
    retry: RetryPolicy | None = None
    body: Block | None = None
    fallback: Value | None = None

    @property
    def label(self) -> str:
        """The errors that it handles."""
        kinds = [*self.error_types, *(f"/{pattern}/" for pattern in self.error_patterns)]
        return f"on error: {', '.join(kinds)}" if kinds else "on any error"


class StepPlan(Struct, frozen=True):
    """One step.

    `dependencies` are the ids of all steps of the same block that must end before this one starts: declared ones,
    those that its expressions and those of the steps inside it read, and those whose jump could skip it.
    `skips` maps each of this step's jumps (`on_success`, `on_false`, `on_failure`) to the ids of the steps it skips.
    `on_error` handlers are tried in order when the last attempt has failed, before `on_failure`. `on_resume`
    decides what happens to an attempt that was running when its process died; None: as its action needs it.
    `check` validates the output; `budget` limits what the step and the steps inside it spend on models. When it has
    succeeded, the files at the paths `produces` must exist. `undo` undoes its success, and `undo_reads` is what that
    reads from outside. `line` is its line in the file.
    `limits` are those that are computed when the step begins, by the names of `plan.limits`; until then, their fields
    have the defaults. `result_names` are further names of the fields of its result, each with the field that it reads,
    "" for the value of the step.
    """

    id: str
    work: Work
    name: str = ""
    description: str = ""
    dependencies: tuple[str, ...] = ()
    condition: Template | None = None
    retry: RetryPolicy = NO_RETRY
    timeout: float | None = None
    on_failure: OnFailure = FAIL
    on_success: str | None = None
    on_false: str | None = None
    skips: Mapping[Literal["on_success", "on_false", "on_failure"], Sequence[str]] = field(default_factory=dict)
    on_error: tuple[Handler, ...] = ()
    on_resume: Literal["rerun", "fail", "ask"] | None = None
    cache: CachePolicy | None = None
    check: Check | None = None
    produces: tuple[Value, ...] = ()
    budget: Budget | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Value] = field(default_factory=dict)
    line: int = 0
    undo: Block | None = None
    undo_reads: tuple[Read, ...] = ()
    result_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_auto(self) -> bool:
        """Whether the compiler added the step to ask for the `<AUTO>` values of another step."""
        return is_auto(self.id)

    @property
    def happens_once(self) -> bool:
        """Whether the step calls a tool for what must not happen twice."""
        return isinstance(self.work, ToolCall) and self.work.action.effects == "once"

    @property
    def resumption(self) -> Literal["rerun", "fail", "ask"]:
        """What happens to an attempt that was running when its process died."""
        return self.on_resume or ("fail" if self.happens_once else "rerun")

    @property
    def has_effects(self) -> bool:
        """Whether the step does more than compute, so that it starts only when all that it depends on is durable.

        Without effects are calls of tools that declare it, and what computes or collects values. A judge costs
        money, a cached result is seen by other runs, files that are produced are looked at, and with `on_resume` the
        user wants to know of each attempt.
        """
        work, check = self.work, self.check
        if isinstance(work, ToolCall):
            computes = work.action.effects == "none" and self.cache is None and self.resumption == "rerun"
            return not computes or bool(self.produces or self.undo) or (check is not None and check.judge is not None)
        return check is not None or bool(self.produces or self.undo) or not isinstance(work, _COMPUTES)

    def children(self) -> Iterator[Children[StepPlan]]:
        """Yield the blocks of steps inside: those of its work, those that handle its errors, those that undo it."""
        yield from self.work.children()
        yield from handler_children(self.on_error, ".on_error")
        if self.undo is not None:
            yield Children("undo", self.undo.steps, "undo", ".undo")


_COMPUTES: Final = StepGroup | Switch | ForEach | RepeatLoop | SubPipeline | Computation


def handler_children(handlers: Sequence[Handler], segment: str) -> Iterator[Children[StepPlan]]:
    """Yield the blocks of handlers."""
    for number, handler in enumerate(handlers):
        if handler.body is not None:
            yield Children("handler", handler.body.steps, handler.label, f"{segment}[{number}]")
