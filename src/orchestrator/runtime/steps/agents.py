"""The agent: a model is asked in turns, and what it asks for in one of them are steps of the run like any other.

A turn is an item of the step, as a round of a loop is. Its step `answer` is the call of the model; each tool that the
answer asks for is a further step, named after the tool. What has ended is in the journal, and is not done again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import AgentUnfinished, CheckFailed, StepError
from orchestrator.expressions import Constant
from orchestrator.journal import ItemEnds
from orchestrator.journal.payloads import StepStartedPayload, StepSucceededPayload, StepWarningPayload
from orchestrator.models.actions.agent import (
    RESERVED_NAMES,
    TURN,
    agent_output,
    numbered,
    offered_name,
    parameters_schema,
    tokens_of_entries,
)
from orchestrator.models.actions.generate import form_of
from orchestrator.models.calls.step_gateway import rejection_message
from orchestrator.plan.policies import OnFailure
from orchestrator.plan.steps import StepPlan, ToolCall
from orchestrator.remedies import Resume
from orchestrator.runtime.steps.output_checks import as_text, check_failed, reasons_with_retry
from orchestrator.runtime.steps.step_task import StepTask
from orchestrator.runtime.values.item_values import ItemValues
from orchestrator.runtime.values.step_values import value_of
from orchestrator.text.words import describe_value, quoted_list
from orchestrator.tools.contract import Action, Tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.plan.policies import Check
    from orchestrator.plan.steps import Agent, AgentServer
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.step_run import StepRun
    from orchestrator.runtime.values.scope import BlockScope

ANSWER: Final = "answer"
"""The step of a turn in which the model is asked."""

_TURNS: Final = Tool("model", {TURN.name: TURN})
"""The tool that makes the turns. It is not in a registry, as only agents use it."""

_STILL_ASKS: Final = "its model still requests tools"

_Data = dict[str, Any]


class Offer(Struct, frozen=True):
    """A tool that the model may ask for. What it gives is the value of the parameter `within`, if that is named."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    tool: Tool
    action: Action
    fixed: Mapping[str, Any]
    within: str = ""

    def call(self, arguments: Mapping[str, Any]) -> ToolCall:
        """Return the call that the model asks for with these arguments."""
        given = {self.within: dict(arguments)} if self.within else arguments
        return ToolCall(self.tool, self.action, Constant({**self.fixed, **given}))


class _RequestedCall(Struct, frozen=True):
    """The outcome of a request: the step `id` that makes the call, or an error that the model receives instead."""

    id: str
    error: str = ""


class AgentRun:
    """One agent: its turns, one after another."""

    def __init__(self, run: StepRun, agent: Agent) -> None:
        self._run = run
        self._agent = agent
        ends = run.context.recorded.items.pop(run.path, None) or ItemEnds()
        self._turns = ItemValues(ends, run.context.load, lambda turn: turn)
        self._parameters: _Data = {}
        self._most = 0
        self._has_form = False
        self._offers: dict[str, Offer] = {}
        self._history: list[_Data] = []
        self._history_tokens = 0
        self._answered: list[_Data] = []
        self._refused: dict[str, int] = {}
        self._calls: list[_RequestedCall] = []
        self._check_in_flight: StepTask[list[str]] | None = None
        self._frame: Frame | None = None
        self._next_step: Any = self._ask
        self._started = 0.0

    def open(self) -> None:
        """Begin with the first turn, or continue after the last recorded one."""
        run, agent = self._run, self._agent
        scope = run.scope.scope
        parameters: Any = agent.parameters.evaluate(scope)
        self._parameters = dict(parameters)
        forms = {name: self._parameters.get(name) for name in ("schema", "vars", "response_format")}
        self._has_form = form_of(**forms) is not None
        self._most = _count(agent.max_turns.evaluate(scope), run.path)
        turns = self._turns.values()
        run.record(StepStartedPayload(kind="agent", done=len(turns), failed=0))
        for turn in turns:
            self._remember(turn)
        if turns and self._is_last(turns[-1]):
            self._end(turns[-1])
            return
        for one in agent.tools:
            schema = parameters_schema(one.action)
            offer = Offer(one.name, one.action.description, schema, one.tool, one.action, {})
            self._offers[one.name] = offer
        if agent.servers:
            self._open(run.path, [_listing(server) for server in _names(agent.servers)], self._listed)
        else:
            self._ask()

    def stop(self) -> None:
        """Stop the turn in flight."""
        if self._check_in_flight is not None:
            self._check_in_flight.stop()
        elif self._frame is not None:
            self._run.stop_frame(self._frame)

    def closed(self, frame: Frame) -> None:
        """Continue with what comes next."""
        run = self._run
        self._frame = None
        if run.ends_with(frame):
            return
        try:
            self._next_step(frame.scope)
        except StepError as error:
            run.fail(error)

    # --- what the servers offer

    def _listed(self, scope: BlockScope) -> None:
        """Take what the servers offer."""
        call = _mcp().actions["call"]
        for wanted in self._agent.servers:
            found = scope.steps[_listing_id(wanted.server)].attributes["outputs"]["tools"]
            names = [tool["name"] for tool in found]
            if wanted.tool is not None and wanted.tool not in names:
                raise StepError(
                    f"the server `{wanted.server}` offers no tool `{wanted.tool}`",
                    code=codes.MCP_SERVER_FAILED,
                    help=f"it offers {quoted_list(names) or 'none'}",
                    retryable=False,
                )
            for tool in found:
                if wanted.tool in (None, tool["name"]):
                    name = offered_name(f"{wanted.server}_{tool['name']}", self._offers.keys() | RESERVED_NAMES)
                    fixed = {"server": wanted.server, "tool": tool["name"]}
                    offer = Offer(name, tool["description"], tool["parameters"], _mcp(), call, fixed, "arguments")
                    self._offers[name] = offer
        self._ask()

    # --- a turn

    def _ask(self, _: BlockScope | None = None) -> None:
        """Ask the model."""
        done, run = len(self._answered), self._run
        if done >= self._most:
            reasons = self._answered[-1]["refused"]
            still = f"its last answer did not pass its check: {'; '.join(reasons)}" if reasons else _STILL_ASKS
            raise AgentUnfinished(
                f"`{run.path}` made {done} turn{'s' * (done != 1)}, and {still}",
                turns=done,
                help="raise `max_turns`",
                remedies=[Resume(run.context.run_id, edited=True)],
            )
        self._started = self._run.context.loop.time()
        offers = [
            {"name": one.name, "description": one.description, "parameters": one.parameters}
            for one in self._offers.values()
        ]
        parameters = {**self._parameters, "tools": offers, "history": self._history}
        parameters["history_tokens"] = self._history_tokens
        work = ToolCall(_TURNS, TURN, Constant(parameters))
        step = self._step(ANSWER, work)
        self._open(f"{run.path}[{done}]", [step], self._take)

    def _take(self, scope: BlockScope) -> None:
        """Make the calls that the model asks for, or end with its answer."""
        answer: _Data = scope.steps[ANSWER].attributes["outputs"]
        steps: list[StepPlan] = []
        self._calls = []
        for request in answer["requests"]:
            offer = self._offers.get(request["name"])
            if offer is None:
                known = ", ".join(self._offers) or "none"
                self._calls.append(_RequestedCall("", f"error: unknown tool; the available tools are: {known}"))
                continue
            if problem := request.get("problem"):
                said = f"error: {problem}. Call the tool again with its arguments as one JSON object."
                self._calls.append(_RequestedCall("", said))
                continue
            id = numbered(offer.name, {ANSWER, *(call.id for call in self._calls if call.id)})
            self._calls.append(_RequestedCall(id))
            after = (steps[-1].id,) if steps and not self._agent.parallel else ()
            steps.append(self._step(id, offer.call(request["arguments"]), after))
        path = f"{self._run.path}[{len(self._answered)}]"
        if steps:
            self._open(path, steps, lambda calls: self._end_turn(answer, calls))
        else:
            self._end_turn(answer, scope)

    def _end_turn(self, answer: _Data, scope: BlockScope) -> None:
        """End a turn: an answer must first pass the check of the step."""
        most = self._run.context.sizes.told
        results = [_told(scope, call.id, most) if call.id else call.error for call in self._calls]
        turn = {**answer, "results": results, "refused": []}
        check = self._run.node.step.check
        if turn["requests"] or check is None:
            self._record(turn)
            self._go_on(turn)
            return
        self._check_in_flight = StepTask(
            self._run,
            lambda: self._check(check, turn),
            lambda reasons: self._go_on({**turn, "refused": reasons}),
        )
        self._check_in_flight.open()

    async def _check(self, check: Check, turn: _Data) -> list[str]:
        """Say why an answer does not pass. That is recorded with its turn, and no judge is asked about it again."""
        run = self._run
        prompt = self._parameters.get("prompt")
        asked = prompt if isinstance(prompt, str) else ""
        value = value_of(self._agent, agent_output(turn, [turn], has_form=self._has_form))
        reasons = await reasons_with_retry(run, check, value, asked=asked)
        if reasons:
            count = f"answer {sum(self._refused.values()) + 1} of {check.max_attempts} did not pass"
            message = f"{count}: {'; '.join(reasons)}"
            run.record(StepWarningPayload(message=message, code=CheckFailed.default_code))
        self._record({**turn, "refused": reasons})
        if reasons:
            await run.context.log.commit()
        return reasons

    def _record(self, turn: _Data) -> None:
        """Record a turn that has ended."""
        end = StepSucceededPayload(output=turn, duration=self._run.context.loop.time() - self._started)
        index = len(self._answered)
        seq, size = self._run.context.record_item(f"{self._run.path}[{index}]", end)
        self._turns.add(index, "succeeded", seq, turn, size)
        self._remember(turn)

    def _go_on(self, turn: _Data) -> None:
        """Continue with the next turn, or end."""
        self._check_in_flight = None
        if self._is_last(turn):
            self._end(turn)
        elif not self._run.end_if_stopped():
            self._ask()

    def _remember(self, turn: _Data) -> None:
        """Add a turn to the messages of the next one."""
        self._answered.append({key: turn[key] for key in ("usage", "cost", "refused")})
        before = len(self._history)
        if not turn["refused"]:
            self._history.append({"role": "assistant", "content": turn["text"], "requests": turn["requests"]})
        for request, result in zip(turn["requests"], turn["results"], strict=True):
            said = {"role": "tool", "content": result, "request_id": request["id"], "name": request["name"]}
            self._history.append(said)
        if turn["refused"]:
            model = turn["model"]
            self._refused[model] = self._refused.get(model, 0) + 1
            text = turn["text"] if turn["text"].strip() else as_text(turn["data"])
            self._history.append({"role": "assistant", "content": text})
            self._history.append({"role": "user", "content": rejection_message("; ".join(turn["refused"]))})
        self._history_tokens += tokens_of_entries(self._history[before:])

    def _is_last(self, turn: _Data) -> bool:
        """Whether the agent ends with this turn: with its answer, or as it was the last that might have passed."""
        check = self._run.node.step.check
        used_up = check is not None and sum(self._refused.values()) >= check.max_attempts
        return used_up if turn["refused"] else not turn["requests"]

    def _end(self, last: _Data) -> None:
        if last["refused"]:
            remedies = [Resume(self._run.context.run_id, edited=True)]
            help = "raise `max_attempts` under `check`"
            raise check_failed(self._run.path, last["refused"], self._refused, help=help, remedies=remedies)
        output = agent_output(last, self._answered, has_form=self._has_form)
        self._run.succeed(StepSucceededPayload(output=output, items=self._turns.counts))

    # --- steps

    def _step(self, id: str, work: ToolCall, after: tuple[str, ...] = ()) -> StepPlan:
        """A call within a turn, by the policies of the agent. The failure of a tool is only reported to the model."""
        step = self._run.node.step
        return StepPlan(
            id,
            work,
            name=id,
            dependencies=after,
            retry=step.retry,
            timeout=self._agent.timeout,
            on_failure=OnFailure("fail" if id == ANSWER else "continue"),
            on_resume="rerun" if id == ANSWER else step.on_resume,
            cache=step.cache,
            line=step.line,
        )

    def _open(self, path: str, steps: Sequence[StepPlan], then: Any) -> None:
        self._next_step = then
        self._frame = self._run.open(steps, path, self._run.scope.child({}), self)


def _mcp() -> Tool:
    """The tool that calls servers, whatever the registry has of that name."""
    from orchestrator.tools import builtin_registry

    tool = builtin_registry().get("mcp")
    if tool is None:
        raise TypeError("the built-in tool `mcp` is missing")
    return tool


def _names(servers: Sequence[AgentServer]) -> list[str]:
    return list(dict.fromkeys(one.server for one in servers))


def _listing_id(server: str) -> str:
    return f"mcp_{server}"


def _listing(server: str) -> StepPlan:
    """The step that asks a server what it offers; the answer holds for the whole agent."""
    tool = _mcp()
    return StepPlan(_listing_id(server), ToolCall(tool, tool.actions["list"], Constant({"server": server})))


def _told(scope: BlockScope, id: str, most: int) -> str:
    """Return what the model receives of a call: the value or the error; only the beginning of a long one."""
    entity = scope.steps[id]
    error = entity.attributes["error"]
    if error is not None:
        return f"error: {_cut(str(error.get('message')), most)}"
    value = entity.value
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), most)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    note = f"[truncated: the first {most:,} of {len(text):,} characters; the step's record has the full text]"
    return f"{text[:most]}\n{note}"


def _count(value: Any, path: str) -> int:
    if type(value) is not int or value < 1:
        raise StepError(
            f"`max_turns` of `{path}` must be an integer of at least 1, not {describe_value(value)}",
            code=codes.INVALID_PARAMETER,
            retryable=False,
        )
    return value
