"""The steps that consist of steps: groups and branches. Loops are in `loops`, called pipelines in `pipelines`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.journal import ItemEnds
from orchestrator.plan.steps import (
    Agent,
    Approve,
    Ask,
    Block,
    ForEach,
    Group,
    Repeat,
    SubPipeline,
    Switch,
    ToolCall,
    Wait,
)
from orchestrator.runtime.run import step_lifecycle
from orchestrator.runtime.run.run_graph import Failure
from orchestrator.runtime.steps.item_sources import ItemValues
from orchestrator.runtime.steps.questions import waiting_of
from orchestrator.runtime.values.step_values import value_of

if TYPE_CHECKING:
    from orchestrator.runtime.run.run_graph import Activity, Frame, Node
    from orchestrator.runtime.run.scheduler import Scheduler


def activity_of(scheduler: Scheduler, node: Node) -> Activity:
    """What a node that calls no tool is occupied with; `open` begins it.

    Raises:
        StepError, EvaluationError: It cannot begin.
    """
    from orchestrator.runtime.steps.loops import ForEachLoop, RepeatLoop
    from orchestrator.runtime.steps.pipelines import SubPipelineRun

    match node.step.work:
        case ForEach() as loop:
            return ForEachLoop(scheduler, node, loop)
        case Repeat() as loop:
            return RepeatLoop(scheduler, node, loop)
        case Switch() as switch:
            return Branch(scheduler, node, switch)
        case Group() as group:
            return Steps(scheduler, node, group)
        case SubPipeline() as call:
            return SubPipelineRun(scheduler, node, call)
        case Agent() as agent:
            from orchestrator.runtime.steps.agents import AgentRun  # loads what there is about models

            return AgentRun(scheduler, node, agent)
        case Ask() | Approve() | Wait():
            return waiting_of(scheduler, node)
        case ToolCall():
            raise TypeError("a call of a tool is an attempt")


def items_recorded(scheduler: Scheduler, path: str, work: ForEach | Repeat) -> ItemValues:
    """The values of the items that a loop has recorded, now or before this process."""
    body = work.body

    def inner(output: Any) -> Any:
        return output if isinstance(body, Block) else value_of(body.work, output)

    ends = scheduler.recorded.items.pop(path, None) or ItemEnds()

    def load(seqs: Any) -> list[Any]:
        restored: list[Any] = scheduler.redactor.restore(scheduler.load(seqs))
        return restored

    return ItemValues(ends, load, inner)


class Steps:
    """A group: one frame. With `wait_for` it ends with the success of so many."""

    def __init__(self, scheduler: Scheduler, node: Node, group: Group) -> None:
        self._scheduler = scheduler
        self._node = node
        self._group = group
        self._frame: Frame | None = None

    def open(self) -> None:
        """Begin with its steps."""
        node, scheduler = self._node, self._scheduler
        kind = "parallel" if self._group.parallel else "group"
        steps = self._group.body.steps
        paths = (f"{node.path}.{step.id}" for step in steps)
        done = sum(1 for path in paths if (found := scheduler.recorded.steps.get(path)) and found.settled)
        scheduler.record("step.started", node, {"kind": kind, "of": len(steps), "done": done, "failed": 0})
        scope = node.frame.scope.child({})
        self._frame = scheduler.open(steps, node.path, scope, self, enough=self._group.wait_for)

    def stop(self) -> None:
        """Stop its steps."""
        if self._frame is not None:
            self._scheduler.stop_within(self._node, self._frame)

    def closed(self, frame: Frame) -> None:
        """End the group with its steps."""
        scheduler, node, group = self._scheduler, self._node, self._group
        if step_lifecycle.ended_frames(scheduler, node):
            return
        if frame.failure is not None or frame.succeeded < (group.wait_for or 0):
            step_lifecycle.failed(scheduler, node, self._failure(frame))
            return
        values = {step.id: frame.scope.value(step.id) for step in group.body.steps if not step.is_auto}
        if group.parallel:
            step_lifecycle.succeeded(scheduler, node, {"output": values})
        else:
            step_lifecycle.succeeded(scheduler, node, {"output": values[group.body.steps[-1].id], "values": values})

    def _failure(self, frame: Frame) -> Failure:
        failure, wanted = frame.failure, self._group.wait_for
        if wanted is None and failure is not None:
            return Failure(failure.data, failure.names)
        last = f"; the last one: {failure.data['message']}" if failure is not None else ""
        error = StepError(
            f"{wanted} of {len(frame.nodes)} branches of `{self._node.path}` had to succeed, too many did not{last}",
            code=codes.TOO_FEW_BRANCHES,
            help="mend the branches, or ask for fewer with `wait_for`",
            retryable=False,
        )
        return Failure.of(error, self._node)


class Branch:
    """A switch: the frame of the case that was chosen."""

    def __init__(self, scheduler: Scheduler, node: Node, switch: Switch) -> None:
        self._scheduler = scheduler
        self._node = node
        self._switch = switch
        self._frame: Frame | None = None
        self._case: Any = None
        self._body: Block | None = None

    def open(self) -> None:
        """Choose a case and begin with its steps."""
        node, scheduler = self._node, self._scheduler
        subject = self._switch.subject.evaluate(node.frame.scope.scope)
        self._case, self._body = _chosen(self._switch, subject)
        started = {"kind": "switch", "done": 0, "failed": 0, "case": self._case}
        if self._body is None:
            scheduler.record("step.started", node, {**started, "of": 0})
            step_lifecycle.succeeded(scheduler, node, {"output": None, "case": None})
            return
        scheduler.record("step.started", node, {**started, "of": len(self._body.steps)})
        self._frame = scheduler.open(self._body.steps, node.path, node.frame.scope.child({}), self)

    def stop(self) -> None:
        """Stop the steps of the case."""
        if self._frame is not None:
            self._scheduler.stop_within(self._node, self._frame)

    def closed(self, frame: Frame) -> None:
        """End with the steps of the case."""
        scheduler, node = self._scheduler, self._node
        if step_lifecycle.ended_frames(scheduler, node):
            return
        if frame.failure is not None:
            step_lifecycle.failed(scheduler, node, Failure(frame.failure.data, frame.failure.names))
            return
        output = frame.scope.value(list(frame.nodes)[-1])
        step_lifecycle.succeeded(scheduler, node, {"output": output, "case": self._case})


def _chosen(switch: Switch, subject: Any) -> tuple[str | None, Block | None]:
    for key, body in switch.cases:
        if key.equals(subject):
            return key.text, body
    return ("default", switch.default) if switch.default is not None else (None, None)
