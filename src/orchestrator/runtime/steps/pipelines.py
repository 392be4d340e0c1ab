"""A pipeline as a whole, the run's own or a called one: its steps, the error handlers if they fail, then `finally`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.expressions import type_mismatches
from orchestrator.expressions.types.integers import with_integers
from orchestrator.expressions.types.schema import to_json_schema
from orchestrator.journal.run_payloads import RunCompensatingPayload
from orchestrator.journal.step_payloads import StepSkippedPayload, StepStartedPayload, StepSucceededPayload
from orchestrator.runtime.run.failures import error_data, error_names
from orchestrator.runtime.run.resume import recorded_entity
from orchestrator.runtime.run.run_graph import Ending, StepFailure
from orchestrator.runtime.run.timeouts import run_timeout
from orchestrator.runtime.steps.compensation import Compensation
from orchestrator.runtime.steps.error_handlers import error_names_in_scope, matching
from orchestrator.runtime.values.inputs import bind
from orchestrator.runtime.values.scope import pipeline_scope
from orchestrator.runtime.values.step_values import skipped

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from orchestrator.expressions import Entity, Reference
    from orchestrator.expressions.values import Value
    from orchestrator.plan.model import Plan
    from orchestrator.plan.steps import SubPipeline
    from orchestrator.runtime.run.run_context import RunContext
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.step_run import FrameControl, StepRun
    from orchestrator.runtime.values.scope import BlockScope


class PipelineRun:
    """One pipeline from its first step to its end, which is passed to `on_end`. Frames are below `path`."""

    def __init__(
        self,
        frames: FrameControl,
        context: RunContext,
        plan: Plan,
        scope: BlockScope,
        path: str,
        on_end: Callable[[Ending], None],
    ) -> None:
        self._frames = frames
        self._context = context
        self._compensation: Compensation | None = None
        self._plan = plan
        self._scope = scope
        self._prefix = f"{path}." if path else ""
        self.path = path
        self._on_end = on_end
        self._ending: Ending | None = None
        self._end_step = ""
        self._failure: StepFailure | None = None
        self._frame: Frame | None = None
        self._phase = "steps"
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin with the steps. The time of a called pipeline counts from now, that of the run is its owner's."""
        if self.path and self._plan.timeout is not None:
            self._timer = self._context.loop.call_later(self._plan.timeout, self._time_out, self._plan.timeout)
        compensating = None if self.path else self._context.recorded.compensating.pop("", None)
        if compensating is not None:
            self._continue_to_undo(compensating)
            return
        recorded, ended = self._context.recorded.early_end(self.path), ""
        if recorded is not None:
            self._ending = self._early_ending(recorded.path, self._context.redactor.restore(recorded.output or {}))
            ended = self._ending.reason
        self._frame = self._frames.open(self._plan.steps, self.path, self._scope, self, pipeline=self, ended=ended)
        if not self.path:
            self._context.undo.scopes[""] = self._frame

    def end_early(self, step: str, outputs: Mapping[str, Any]) -> None:
        """Have the pipeline end as succeeded: a step has decided it. What fails or stops at that moment counts more."""
        if self._ending is None and self._frame is not None and not self._frame.stopped:
            self.end(self._early_ending(step, outputs))

    def _early_ending(self, step: str, outputs: Mapping[str, Any]) -> Ending:
        self._end_step = step
        return Ending("succeeded", outputs=outputs, reason=f"`{step}` ended the pipeline")

    def end(self, ending: Ending) -> None:
        """Have the pipeline end early; the first reason counts, but for an interruption, which leaves all as it is.

        Who succeeded and is stopped before `finally` has ended has not succeeded: it can be resumed, and is cleaned up.
        And who ends graceful may still be stopped for another reason.
        """
        first = self._ending
        if self._phase == "undo":
            if ending.state == "interrupted" and self._compensation is not None:
                self._ending = ending
                self._compensation.stop()
            return
        ends = first is not None and first.graceful and not ending.graceful and self._phase == "steps"
        if first is None or first.state == "succeeded" or ending.state == "interrupted" or ends:
            self._ending = ending
        if self._frame is not None:
            self._frames.stop_frame(self._frame, ending.reason, graceful=ending.graceful)

    def _time_out(self, seconds: float) -> None:
        error = run_timeout(f"the pipeline that `{self.path}` calls", seconds)
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
                self._ending = self._success({})
        elif self._ending.state == "succeeded":
            self._skip_rest(frame)
            self._ending = self._success(self._ending.outputs)
        if not self.path and self._context.undo and self._is_to_be_undone(self._ending):
            self._record_compensating(self._ending)
            self._undo()
            return
        self._handle()

    def _handle(self) -> None:
        """Continue with the error handlers, or with `finally`."""
        ending = self._ending
        if ending is None:
            return
        if ending.state == "failed" and (error := ending.error) is not None:
            failure = self._failure or StepFailure(error, frozenset())
            found = matching(self._plan.error_handlers, failure)
            if found is not None and (body := found[1].body) is not None:
                self._phase = "error_handlers"
                scope = self._scope.child({"error": error_names_in_scope(error)})
                path = f"{self._prefix}error_handlers[{found[0]}]"
                self._frame = self._frames.open(body.steps, path, scope, self, pipeline=self)
                return
        self._finally(ending)

    # --- undoing what was done

    def _is_to_be_undone(self, ending: Ending) -> bool:
        """Whether the run ends without success. If an undo has failed already, it stops as it is."""
        return ending.state != "succeeded" and (ending.error or {}).get("code") != codes.COMPENSATION_FAILED

    def _record_compensating(self, ending: Ending) -> None:
        said = RunCompensatingPayload(
            state="cancelled" if ending.state == "cancelled" else "failed",
            error=dict(ending.error) if ending.error is not None else None,
            names=sorted(self._failure.names) if self._failure is not None else (),
            reason=ending.reason,
            by=ending.by,
        )
        self._context.log.record_payload(self._context.scrubbed(said))

    def _continue_to_undo(self, recorded: RunCompensatingPayload) -> None:
        """Continue where an earlier owner of the run has stopped; `finally` reads what the steps were."""
        context = self._context
        for step in self._plan.steps:
            record = context.recorded.steps.get(step.id)
            if record is not None and record.settled:
                self._scope.enter(step.id, recorded_entity(context, step, record))
        error = context.redactor.restore(recorded.error)
        self._ending = Ending(recorded.state, error=error, reason=recorded.reason, by=recorded.by)
        if error is not None:
            self._failure = StepFailure(error, frozenset(recorded.names))
        self._undo()

    def _undo(self) -> None:
        """Undo the steps of the run, which is undone as a whole."""
        self._phase = "undo"
        ids = {step.id for step in self._plan.steps}
        known = {id: str(entity.attributes["status"]) for id, entity in self._scope.steps.items() if id in ids}
        self._compensation = Compensation(self._frames, self._context, "", self, self._undone, settled=known)
        self._compensation.open()

    def _undone(self, failure: StepFailure | None) -> None:
        self._compensation = None
        if self._ending is not None and self._ending.state == "interrupted":
            self._on_end(self._ending)
            return
        if failure is not None:
            self._failure = failure
            self._ending = Ending("failed", error=failure.data)
        self._handle()

    def _skip_rest(self, frame: Frame) -> None:
        """Skip the steps that had not started when a step ended the pipeline."""
        for node in frame.nodes.values():
            if node.state != "ended":
                node.state = "ended"
                self._context.record(StepSkippedPayload(reason="end", by=self._end_step), node)
        self._enter_missing()

    def _enter_missing(self) -> None:
        for step in self._plan.steps:
            if step.id not in self._scope.steps:
                self._scope.enter(step.id, skipped())

    def _success(self, given: Mapping[str, Any]) -> Ending:
        try:
            return Ending("succeeded", outputs=outputs_of(self._plan, self._scope, given))
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
        self._enter_missing()
        self._frame = self._frames.open(body.steps, f"{self._prefix}finally", scope, self, pipeline=self)

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
        self._pipeline = PipelineRun(run.parts.control, run.context, plan, scope, run.path, self._ended)
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


def outputs_of(plan: Plan, scope: BlockScope, given: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate the declared outputs that are not `given`, and validate their types; an output may always be null.

    Raises:
        StepError: One cannot be evaluated, or is of another type.
    """
    values = {}
    for name, output in plan.outputs.items():
        value = values[name] = given[name] if name in given else _evaluated(name, output.value, scope)
        problems = type_mismatches(value, output.type) if value is not None and output.type.kind != "any" else ()
        if problems:
            raise StepError(
                f"output `{name}`: {problems[0]}", code=codes.WRONG_OUTPUT_TYPE, help="change its `type:` or its value"
            )
        if output.type.kind != "any":
            values[name] = with_integers(value, to_json_schema(output.type))
    return values
