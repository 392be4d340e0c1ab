"""A pipeline as a whole, the run's own or a called one: its steps, the error handlers if they fail, then `finally`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.expressions import type_mismatches
from orchestrator.expressions.types.integers import with_integers
from orchestrator.expressions.types.schema import to_json_schema
from orchestrator.journal.payloads import StepStartedPayload, StepSucceededPayload
from orchestrator.runtime.run.failures import error_data, error_names
from orchestrator.runtime.run.run_graph import Ending, StepFailure
from orchestrator.runtime.run.timeouts import run_timeout
from orchestrator.runtime.steps.error_handlers import error_names_in_scope, matching
from orchestrator.runtime.values.inputs import bind
from orchestrator.runtime.values.scope import pipeline_scope
from orchestrator.runtime.values.step_values import skipped

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from orchestrator.expressions import Entity, Reference
    from orchestrator.expressions.values import Value
    from orchestrator.plan.model import Plan
    from orchestrator.plan.steps import SubPipeline
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.run_loop import RunLoop
    from orchestrator.runtime.run.step_run import FrameControl, StepRun
    from orchestrator.runtime.values.scope import BlockScope


class PipelineRun:
    """One pipeline from its first step to its end, which is passed to `on_end`. Frames are below `path`."""

    def __init__(
        self,
        frames: FrameControl,
        loop: RunLoop,
        plan: Plan,
        scope: BlockScope,
        path: str,
        on_end: Callable[[Ending], None],
    ) -> None:
        self._frames = frames
        self._loop = loop
        self._plan = plan
        self._scope = scope
        self._prefix = f"{path}." if path else ""
        self._path = path
        self._on_end = on_end
        self._ending: Ending | None = None
        self._failure: StepFailure | None = None
        self._frame: Frame | None = None
        self._phase = "steps"
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin with the steps. The time of a called pipeline counts from now, that of the run is its owner's."""
        if self._path and self._plan.timeout is not None:
            self._timer = self._loop.call_later(self._plan.timeout, self._time_out, self._plan.timeout)
        self._frame = self._frames.open(self._plan.steps, self._path, self._scope, self)

    def end(self, ending: Ending) -> None:
        """Have the pipeline end early; the first reason counts, but for an interruption, which leaves all as it is.

        Who succeeded and is stopped before `finally` has ended has not succeeded: it can be resumed, and is cleaned up.
        And who ends graceful may still be stopped for another reason.
        """
        first = self._ending
        ends = first is not None and first.graceful and not ending.graceful and self._phase == "steps"
        if first is None or first.state == "succeeded" or ending.state == "interrupted" or ends:
            self._ending = ending
        if self._frame is not None:
            self._frames.stop_frame(self._frame, ending.reason, graceful=ending.graceful)

    def _time_out(self, seconds: float) -> None:
        error = run_timeout(f"the pipeline that `{self._path}` calls", seconds)
        self._failure = StepFailure(error_data(error), error_names(error), error)
        self.end(Ending("failed", error=self._failure.data, reason=error.message))

    def closed(self, frame: Frame) -> None:
        """Continue with what comes after a phase."""
        self._frame = None
        if self._timer is not None:
            self._timer.cancel()  # the steps have ended; what comes then is not limited
            self._timer = None
        ending = self._ending
        if ending is not None and ending.state == "interrupted":
            self._on_end(ending)
        elif ending is None or self._phase == "steps":
            self._steps_ended(frame)
        elif self._phase == "error_handlers":
            self._finally(ending)
        else:
            self._finally_ended(frame, ending)

    def _steps_ended(self, frame: Frame) -> None:
        if self._ending is None:
            if frame.failure is not None:
                self._failure = frame.failure
                self._ending = Ending("failed", error=frame.failure.data)
            else:
                self._ending = self._success()
        if self._ending.state == "failed" and (error := self._ending.error) is not None:
            failure = self._failure or StepFailure(error, frozenset())
            found = matching(self._plan.error_handlers, failure)
            if found is not None and (body := found[1].body) is not None:
                self._phase = "error_handlers"
                scope = self._scope.child({"error": error_names_in_scope(error)})
                path = f"{self._prefix}error_handlers[{found[0]}]"
                self._frame = self._frames.open(body.steps, path, scope, self)
                return
        self._finally(self._ending)

    def _success(self) -> Ending:
        try:
            return Ending("succeeded", outputs=outputs_of(self._plan, self._scope))
        except StepError as error:
            self._failure = StepFailure(error_data(error), error_names(error), error)
            return Ending("failed", error=self._failure.data)

    def _finally(self, ending: Ending) -> None:
        body = self._plan.finally_
        if body is None:
            self._on_end(ending)
            return
        self._phase = "finally"
        error = error_names_in_scope(ending.error) if ending.error is not None else None
        run = {**self._scope.names["run"], "state": ending.state}
        scope = self._scope.child({"error": error, "run": run})
        for step in self._plan.steps:
            if step.id not in self._scope.steps:
                self._scope.enter(step.id, skipped())
        self._frame = self._frames.open(body.steps, f"{self._prefix}finally", scope, self)

    def _finally_ended(self, frame: Frame, ending: Ending) -> None:
        if frame.failure is not None and ending.state == "succeeded":
            ending = Ending("failed", error=frame.failure.data)
            self._failure = frame.failure
        self._on_end(ending)

    @property
    def failure(self) -> StepFailure | None:
        """What made it fail."""
        return self._failure


class SubPipelineRun:
    """A called pipeline, as a step of its caller."""

    def __init__(self, run: StepRun, call: SubPipeline) -> None:
        self._run = run
        self._call = call
        self._pipeline: PipelineRun | None = None

    def open(self) -> None:
        """Bind the inputs, and begin with its steps."""
        run, call = self._run, self._call
        plan = run.context.plan.pipelines[call.source]
        depths = run.scope.depths
        depth = depths.get(call.source, 0) + 1
        if call.max_depth is not None and depth > call.max_depth:
            raise StepError(
                f"`{call.source}` calls itself {depth} levels deep, and `max_depth` allows {call.max_depth}",
                code=codes.PIPELINES_TOO_DEEP,
                help="end the recursion with a `condition`, or raise `max_depth`",
                retryable=False,
            )
        given: Any = call.inputs.evaluate(run.scope.scope)
        bound = bind(plan.inputs, given, permissions=run.context.permissions)
        run.context.redactor.learn(bound.secrets, run.path)
        depths = {**depths, call.source: depth}
        scope = pipeline_scope(plan, run.context.run_id, run.context.now, bound.values, depths)
        run.record(StepStartedPayload(kind="pipeline", of=len(plan.steps), done=0, failed=0))
        self._pipeline = PipelineRun(run.parts.control, run.context.loop, plan, scope, run.path, self._ended)
        self._pipeline.open()

    def stop(self) -> None:
        """Stop its steps; its `finally` still runs."""
        node = self._run.node
        if self._pipeline is not None:
            interrupted = self._run.context.interrupted
            state: Literal["cancelled", "interrupted"] = "interrupted" if interrupted else "cancelled"
            self._pipeline.end(Ending(state, reason=node.frame.reason, graceful=node.graceful))

    def _ended(self, ending: Ending) -> None:
        run = self._run
        if run.end_if_stopped():
            return
        if ending.state == "succeeded":
            run.succeed(StepSucceededPayload(output=dict(ending.outputs)))
        else:
            failure = self._pipeline.failure if self._pipeline is not None else None
            failure = failure or StepFailure(ending.error or {}, frozenset())
            run.fail(failure.without_error())


def check_outputs_of(plan: Plan, step: str, entity: Entity, scope: BlockScope) -> None:
    """Evaluate the outputs of a pipeline that are only the result of one step, when that step ends.

    Raises:
        StepError: One could not be evaluated at the end of the pipeline either: the result is too large.
    """
    inner = scope.child({})
    inner.enter(step, entity)
    for name, output in plan.outputs.items():
        templates = list(output.value.templates())
        if all(each.is_lookup and all(_is_of(step, found) for found in each.references) for each in templates):
            _evaluated(name, output.value, inner)


def _is_of(step: str, read: Reference) -> bool:
    return read.name == step or (read.name == "steps" and read.path[:1] == (step,))


def _evaluated(name: str, value: Value, scope: BlockScope) -> Any:
    try:
        return value.evaluate(scope.scope)
    except StepError as error:
        error.message = f"output `{name}`: {error.message}"
        raise


def outputs_of(plan: Plan, scope: BlockScope) -> dict[str, Any]:
    """Evaluate the declared outputs and validate their types; an output may always be null.

    Raises:
        StepError: One cannot be evaluated, or is of another type.
    """
    values = {}
    for name, output in plan.outputs.items():
        value = values[name] = _evaluated(name, output.value, scope)
        problems = type_mismatches(value, output.type) if value is not None and output.type.kind != "any" else ()
        if problems:
            raise StepError(
                f"output `{name}`: {problems[0]}", code=codes.WRONG_OUTPUT_TYPE, help="change its `type:` or its value"
            )
        if output.type.kind != "any":
            values[name] = with_integers(value, to_json_schema(output.type))
    return values
