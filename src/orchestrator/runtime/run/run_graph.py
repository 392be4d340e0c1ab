"""The graph of a run: frames of nodes. A frame is one execution of a block, a node is a step in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct, field

from orchestrator.errors import BudgetExceeded, OrchestratorError
from orchestrator.runtime.run.failures import error_data, error_names

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Sequence

    from orchestrator.journal import StepRecord
    from orchestrator.models.budget import Ledger
    from orchestrator.models.calls.answer_memo import KeptAnswers
    from orchestrator.models.calls.gateway import ModelGateway
    from orchestrator.models.messages import ModelName
    from orchestrator.plan.steps import StepPlan
    from orchestrator.runtime.run.tool_context import StepContext
    from orchestrator.runtime.values.scope import BlockScope


class Ending(Struct, frozen=True):
    """How a pipeline ended. `interrupted`: this process stops, and the run can be resumed elsewhere.

    A `graceful` ending starts nothing new and lets the attempts in flight finish.
    """

    state: Literal["succeeded", "failed", "cancelled", "interrupted"]
    error: Mapping[str, Any] | None = None
    reason: str = ""
    by: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    graceful: bool = False


class StepFailure(Struct, frozen=True):
    """Why a step failed: as the journal records it, and the names by which handlers and policies know it."""

    data: Mapping[str, Any]
    names: frozenset[str]
    error: OrchestratorError | None = None

    @classmethod
    def of(cls, error: OrchestratorError, node: StepNode) -> StepFailure:
        """The failure of an attempt of a step."""
        return cls(error_data(error, attempt=node.attempt, step=node.path), error_names(error), error)

    def without_error(self) -> StepFailure:
        """Return it as the failure of what contains the step: the exception remains with the step itself."""
        return StepFailure(self.data, self.names)

    @property
    def is_of_budget(self) -> bool:
        """Whether a budget was used up: calls in flight are paid for, so their answers are waited for."""
        return self.data.get("code") == BudgetExceeded.default_code


class Activity(Protocol):
    """What occupies a node instead of an attempt: the frames of a composite, an error handler, a question."""

    def open(self) -> None:
        """Begin. It may end at once."""

    def stop(self) -> None:
        """Stop everything in flight, and end the step when that is done."""


class FrameOwner(Protocol):
    """What opened a frame."""

    def closed(self, frame: Frame) -> None:
        """Continue, as nothing in the frame runs any more."""


class FramePipeline(Protocol):
    """The pipeline whose steps a frame carries out, at any depth."""

    path: str

    def end_early(self, step: str, outputs: Mapping[str, Any]) -> None:
        """End the pipeline as succeeded, as the step at this path has decided."""


class AttemptModels(Protocol):
    """How one attempt calls models: `answered` is the model that gave the last answer, `calls` counts the calls."""

    gateway: ModelGateway
    kept: KeptAnswers
    answered: ModelName | None
    calls: int

    def reject(self, answer: str, reasons: Sequence[str]) -> None:
        """Have the next answer fix the problems of this one."""

    def pass_over(self, model: ModelName) -> None:
        """Stop calling a model; the next one starts without its feedback."""


class StepNode:
    """A step in the graph of one run. `jump` is the kind of jump that its end made.

    `needs` is the number of the newest event that it depends on and that was not awaited. If its end is `deferred`, its
    successors do not wait for it to be durable. `limits` are those that were computed when it began.

    If it is stopped gracefully, attempts in it may finish.
    """

    __slots__ = (
        "activity",
        "attempt",
        "cache",
        "context",
        "deferred",
        "end_seq",
        "end_size",
        "entered",
        "frame",
        "graceful",
        "jump",
        "ledgers",
        "limits",
        "models",
        "needs",
        "path",
        "record",
        "started",
        "state",
        "step",
        "stopped",
        "successors",
        "task",
        "timer",
        "waits_for",
    )

    def __init__(self, step: StepPlan, path: str, frame: Frame) -> None:
        self.step = step
        self.path = path
        self.frame = frame
        self.waits_for = len(step.dependencies)
        self.needs = frame.needs
        self.successors: list[StepNode] = []
        self.state: Literal["pending", "ready", "running", "waiting", "busy", "settling", "ended"] = "pending"
        self.attempt = 0
        self.jump: Literal["on_success", "on_false", "on_failure"] | None = None
        self.limits: Mapping[str, float] | None = None
        self.started = 0.0
        self.context: StepContext | None = None
        self.models: AttemptModels | None = None
        self.ledgers: Sequence[Ledger] | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.entered = False
        self.stopped: Literal["", "timeout", "cancelled", "requeued"] = ""
        self.graceful = False
        self.activity: Activity | None = None
        self.record: StepRecord | None = None
        self.cache: Mapping[str, Any] | None = None
        self.end_seq = 0
        self.end_size = 0
        self.deferred = False


class Frame:
    """One execution of a block.

    It closes when all of its nodes have ended, or when it was stopped and nothing in it runs any more. With `enough`,
    failures of steps are tolerated as long as that many can still succeed, and it is stopped as soon as they have. If
    it was stopped gracefully, the attempts in flight may finish. `needs` is the number of the newest event that was not
    awaited when it was opened: everything in it may depend on that.
    """

    __slots__ = (
        "busy",
        "closed",
        "enough",
        "failed",
        "failure",
        "graceful",
        "left",
        "needs",
        "nodes",
        "owner",
        "path",
        "pipeline",
        "reason",
        "scope",
        "stopped",
        "succeeded",
    )

    def __init__(
        self, path: str, scope: BlockScope, owner: FrameOwner, *, pipeline: FramePipeline, needs: int = 0
    ) -> None:
        self.path = path
        self.scope = scope
        self.owner = owner
        self.pipeline = pipeline
        self.needs = needs
        self.nodes: dict[str, StepNode] = {}
        self.busy: set[StepNode] = set()
        self.left = 0
        self.enough: int | None = None
        self.succeeded = 0
        self.failed = 0
        self.failure: StepFailure | None = None
        self.stopped = False
        self.graceful = False
        self.reason = ""
        self.closed = False

    def fill(self, steps: Iterable[StepPlan], *, path: str | None = None) -> None:
        """Make the nodes; `path` is that of the only one, if it is not below the frame's."""
        prefix = f"{self.path}." if self.path else ""
        for step in steps:
            self.nodes[step.id] = StepNode(step, path or prefix + step.id, self)
        nodes = self.nodes
        for node in nodes.values():
            if path is not None:
                node.waits_for = 0  # what the loop depends on has ended
                continue
            for dependency in node.step.dependencies:
                nodes[dependency].successors.append(node)
        self.left = len(nodes)
