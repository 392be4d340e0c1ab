"""The steps of a run level by level, and all that is known of one of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.journal.events import StepState
from orchestrator.server.schemas.base import Json, RequestBody, ResponseBody, SourceName
from orchestrator.server.schemas.runs import UsageView


class StepRowView(ResponseBody):
    """One step, item or block, without its output. Times in seconds since the epoch, `duration` in seconds."""

    path: str
    id: str
    name: str
    kind: str = Field(description="Such as `tool`, `for_each`, `item`, `agent`, `pipeline`, `finally`, `handler`.")
    what: str = Field(description="Its work in a few words.")
    condition: str
    depends_on: list[str] = Field(description="The paths of the steps that it depends on.")
    state: StepState
    attempts: int
    started_at: float | None
    ended_at: float | None
    duration: float = Field(description="Of its last attempt.")
    error: Json | None
    reason: str = Field(description="Why it was skipped or cancelled, or what it waits for.")
    until: float | None
    asks: bool = Field(description="Whether it waits for the answer of a person.")
    warnings: int
    case: str | None = Field(description="The case that a switch has chosen.")
    cached: bool
    run: str | None = Field(description="The id of the run that the step has started.")
    inside: int | None = Field(description="How many steps or items are directly inside; null: not known yet.")
    counts: dict[str, int] = Field(description="The number of those by state.")
    failed_items: list[str] = Field(description="The paths of the first failed items of a loop.")
    usage: UsageView
    cost: float | None
    known_cost: float
    model_calls: int
    unpriced: int


class StepTree(ResponseBody):
    """One level of the steps of a run: in the file's order, or some items of a loop by their numbers."""

    run_id: str
    last_seq: int
    within: str
    is_loop: bool
    rows: list[StepRowView]
    notable: list[StepRowView] = Field(
        description="With the first page of a loop: its first items that failed or have not ended, by any number."
    )
    first: int = Field(description="The number of the first item that was asked for.")
    total: int = Field(description="How many items of the loop have started; otherwise the number of rows.")


class WaitView(ResponseBody):
    """What an attempt waited for."""

    reason: str
    since: float
    until: float | None


class AttemptView(ResponseBody):
    """One attempt of a step."""

    number: int
    started_at: float | None
    ended_at: float | None
    state: str
    error: Json | None
    traceback: str
    until: float | None = Field(description="When the next attempt is due, or the wait ends.")
    waits: list[WaitView]
    cost: float | None
    model_calls: int
    cached: Json | None
    answered_at: float | None
    answered_by: str = Field(description="Who answered its question.")
    forgotten: bool = Field(description="Whether the run was continued without its result.")
    forgotten_by: str = Field(description="Who continued the run without its result.")


class StepDetail(ResponseBody):
    """One step with its attempts, and its output unless that is large."""

    run_id: str
    last_seq: int
    row: StepRowView
    definition: Json = Field(description="As the plan has it, without the steps inside it.")
    needed_by: list[str] = Field(description="The paths of the steps of the same block that depend on it.")
    attempts: list[AttemptView]
    warnings: list[str]
    output: Any = Field(description="Null if it is larger than `output_size` shows to be loaded with the step.")
    output_size: int = Field(description="Bytes of JSON.")
    has_output: bool = Field(description="Whether `output` is complete.")
    question: Json | None
    answer_schema: Json | None = Field(description="The JSON Schema of the answer to its question.")
    cached: Json | None


class StepInputsView(ResponseBody):
    """What a step was given: its expressions, evaluated over what the run has recorded. Secrets are not known."""

    run_id: str
    path: str
    values: Json
    items: Json = Field(description="The items of the loops around it, by the names that the pipeline gives them.")
    omitted: dict[str, int] = Field(description="Values that are too large, with their bytes of JSON.")
    condition: bool | None
    problem: str = Field(description="Why the values are not known; empty if they are.")


class ModelCallView(ResponseBody):
    """One call of a model, also one that failed. `latency` in seconds."""

    seq: int
    at: float
    path: str
    attempt: int
    model: str
    usage: UsageView
    cost: float | None
    latency: float | None
    finish: str | None
    why: str | None
    error: Json | None


class MessageView(ResponseBody):
    """One message to or from a model."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Any
    name: str = Field(description="The tool whose result it is.")
    requests: list[Json] = Field(description="The tools that the model asks for: `{id, name, arguments, path}`.")
    turn: int | None = Field(description="The turn of an agent that it is from.")
    path: str = Field(description="The step that it is from.")


class MessagesView(ResponseBody):
    """The messages of a step that calls models, as far as they are recorded or follow from what is."""

    run_id: str
    path: str
    messages: list[MessageView]
    calls: list[ModelCallView]
    problem: str = Field(description="Why the first messages are not known; empty if they are.")


class ChangesBody(RequestBody):
    """An edited pipeline that a run might be continued with."""

    pipeline: str | None = None
    source: str | None = Field(default=None, max_length=5_000_000, description="YAML text (scope `admin`).")
    name: SourceName = None
    inputs: Json = Field(default_factory=dict)


class StepChangeView(ResponseBody):
    """What would happen to one step, and why."""

    path: str
    action: Literal["keep", "run", "remove"]
    reason: str
    ran: bool = Field(description="Whether it has results, which are lost unless it is kept.")


class ChangesView(ResponseBody):
    """What a run would keep, run again and drop. Nothing has been changed."""

    run_id: str
    steps: list[StepChangeView]
    forget: list[str] = Field(description="The paths whose results are dropped.")
