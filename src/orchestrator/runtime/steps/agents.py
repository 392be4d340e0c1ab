"""The agent: a model is asked in turns, and what it asks for in one of them are steps of the run like any other.

A turn is an item of the step, as a round of a loop is. Its step `answer` is the call of the model; each tool that the
answer asks for is a further step, named after the tool. What has ended is in the journal, and is not done again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator import codes
from orchestrator.errors import AgentUnfinished, CheckFailed, StepError
from orchestrator.expressions import Constant
from orchestrator.journal import ItemEnds
from orchestrator.journal.step_payloads import StepStartedPayload, StepSucceededPayload, StepWarningPayload
from orchestrator.models.actions.agent import TURN, agent_output, numbered, tokens_of_entries
from orchestrator.models.actions.generate import form_of
from orchestrator.models.calls.step_gateway import rejection_message
from orchestrator.plan.agent_tools import APPROVAL
from orchestrator.plan.policies import OnFailure
from orchestrator.plan.steps import Approve, StepPlan, ToolCall
from orchestrator.remedies import Resume
from orchestrator.runtime.steps.agent_offers import (
    Offer,
    Target,
    hand_over_data,
    hand_over_name,
    listings,
    own_offers,
    server_offers,
)
from orchestrator.runtime.steps.output_checks import as_text, check_failed, reasons_with_retry
from orchestrator.runtime.steps.step_task import StepTask
from orchestrator.runtime.values.item_values import ItemValues
from orchestrator.runtime.values.step_values import value_of
from orchestrator.text.words import describe_value, plural
from orchestrator.tools.contract import Tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.plan.policies import Check
    from orchestrator.plan.steps import Agent
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.step_run import StepRun
    from orchestrator.runtime.values.scope import BlockScope

ANSWER: Final = "answer"
"""The step of a turn in which the model is asked."""

_TURNS: Final = Tool("model", {TURN.name: TURN})
"""The tool that makes the turns. It is not in a registry, as only agents use it."""

_HANDED_OVER: Final = "You are now the agent"
_HANDED_ALREADY: Final = "error: the conversation is handed over to another agent already"

_STILL_ASKS: Final = "its model still requests tools"

_Data = dict[str, Any]


class _RequestedCall(Struct, frozen=True):
    """The outcome of a request: the step `id` that makes the call, or what the model is `told` without one.

    `approval` is the step in which a person decides about it, if any does; `note` tells the model what they changed.
    """

    id: str
    told: str = ""
    offer: Offer | None = None
    arguments: Mapping[str, Any] = {}
    approval: str = ""
    note: str = ""


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
        self._role = ""
        self._roles: dict[str, _Data] = {}
        self._hand_overs: dict[str, str] = {}
        self._all_offers: dict[str, dict[str, Offer]] = {}
        self._history: list[_Data] = []
        self._history_tokens = 0
        self._answered: list[_Data] = []
        self._refused: dict[str, int] = {}
        self._counts: dict[str, int] = {}
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
        for role in agent.roles:
            settings: Any = role.parameters.evaluate(scope)
            self._roles[role.name] = dict(settings)
            self._hand_overs[hand_over_name(role.name)] = role.name
        turns = self._turns.values()
        run.record(StepStartedPayload(kind="agent", done=len(turns), failed=0))
        for turn in turns:
            self._remember(turn)
        if turns and self._is_last(turns[-1]):
            self._end(turns[-1])
            return
        self._all_offers = {"": own_offers(agent), **{role.name: own_offers(role) for role in agent.roles}}
        if servers := listings(agent):
            self._open(run.path, servers, self._listed)
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

    def _listed(self, scope: BlockScope) -> None:
        """Take what the servers offer."""
        for name, each in zip(self._all_offers, self._agent.everyone, strict=True):
            self._all_offers[name] |= server_offers(each.servers, scope, self._all_offers[name])
        self._ask()

    @property
    def _offers(self) -> dict[str, Offer]:
        """The tools of the agent that has the conversation."""
        return self._all_offers[self._role]

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
        offers = [offer.data() for offer in self._offers.values()]
        offers += [hand_over_data(role) for role in self._agent.roles if role.name != self._role]
        parameters = {**self._parameters, **self._roles.get(self._role, {}), "tools": offers, "history": self._history}
        parameters["history_tokens"] = self._history_tokens
        work = ToolCall(_TURNS, TURN, Constant(parameters))
        step = self._step(ANSWER, work)
        self._open(f"{run.path}[{done}]", [step], self._take)

    def _take(self, scope: BlockScope) -> None:
        """Make the calls that the model asks for, or end with its answer."""
        answer: _Data = scope.steps[ANSWER].attributes["outputs"]
        self._calls = self._requested(answer["requests"])
        approvals = [self._approval(call) for call in self._calls if call.approval]
        if approvals:
            path = f"{self._run.path}[{len(self._answered)}]"
            self._open(path, approvals, lambda decided: self._call(answer, self._decided(decided), decided))
        else:
            self._call(answer, self._calls, scope)

    def _requested(self, requests: Sequence[_Data]) -> list[_RequestedCall]:
        """Return what each request of a turn becomes."""
        calls: list[_RequestedCall] = []
        counts = dict(self._counts)
        for request in requests:
            name = request["name"]
            counts[name] = counts.get(name, 0) + 1
            offer = self._offers.get(name)
            role = self._hand_overs.get(name)
            if offer is None and role is not None and role != self._role:
                first = not any(call.told.startswith(_HANDED_OVER) for call in calls)
                told = f"{_HANDED_OVER} `{role}`. Continue the conversation." if first else _HANDED_ALREADY
                calls.append(_RequestedCall("", told))
            elif offer is None:
                others = (each for each, to in self._hand_overs.items() if to != self._role)
                known = ", ".join([*self._offers, *others]) or "none"
                calls.append(_RequestedCall("", f"error: unknown tool; the available tools are: {known}"))
            elif offer.policy.max_calls is not None and counts[name] > offer.policy.max_calls:
                most = plural(offer.policy.max_calls, "call")
                calls.append(_RequestedCall("", f"error: the limit of {most} of this tool is reached. Do without it."))
            elif problem := request.get("problem"):
                said = f"error: {problem}. Call the tool again with its arguments as one JSON object."
                calls.append(_RequestedCall("", said))
            else:
                id = numbered(offer.name, {ANSWER, *(call.id for call in calls if call.id)})
                calls.append(_RequestedCall(id, "", offer, request["arguments"]))
        ids = {call.id for call in calls}
        for number, call in enumerate(calls):
            if call.offer is not None and self._asks_about(call.offer, call.arguments):
                approval = numbered(f"{call.id}{APPROVAL}", ids)
                ids.add(approval)
                calls[number] = replace(call, approval=approval)
        return calls

    def _asks_about(self, offer: Offer, arguments: Mapping[str, Any]) -> bool:
        """Whether a person decides about a call; about one whose condition cannot be evaluated, in any case."""
        condition = offer.policy.approve
        if isinstance(condition, bool):
            return condition
        try:
            return bool(condition.evaluate(self._run.scope.child({"arguments": dict(arguments)}).scope))
        except StepError as error:
            message = f"whether to ask about `{offer.name}` could not be evaluated, so it is asked: {error.message}"
            self._run.record(StepWarningPayload(message=message, code=error.code))
            return True

    def _approval(self, call: _RequestedCall) -> StepPlan:
        """The step in which a person sees the arguments of a call, and may edit or refuse them."""
        title = Constant(f"Let `{self._run.path}` call `{call.offer.name if call.offer else call.id}`?")
        work = Approve(title, Constant(dict(call.arguments)), editable=True)
        return StepPlan(call.approval, work, name=call.approval, line=self._run.node.step.line)

    def _decided(self, scope: BlockScope) -> list[_RequestedCall]:
        """Return the calls as people have decided: with the arguments that they approved, or refused."""
        calls = []
        for call in self._calls:
            if call.approval:
                decision = scope.steps[call.approval].attributes["outputs"]
                comment = f": {decision['comment']}" if decision["comment"] else ""
                if decision["approved"]:
                    given = decision["content"]
                    told = f"note: a person changed the arguments to {json.dumps(given, ensure_ascii=False)}{comment}\n"
                    call = replace(call, arguments=given, note=told if given != call.arguments else "")
                else:
                    call = _RequestedCall("", f"error: a person did not approve this call{comment}")
            calls.append(call)
        return calls

    def _call(self, answer: _Data, calls: list[_RequestedCall], scope: BlockScope) -> None:
        """Make the calls of a turn."""
        self._calls = calls
        steps: list[StepPlan] = []
        for call in calls:
            if call.offer is not None and call.id:
                after = (steps[-1].id,) if steps and not self._agent.parallel else ()
                steps.append(self._step(call.id, call.offer.call(call.arguments), after, call.offer.policy.timeout))
        if steps:
            path = f"{self._run.path}[{len(self._answered)}]"
            self._open(path, steps, lambda ended: self._end_turn(answer, ended))
        else:
            self._end_turn(answer, scope)

    def _end_turn(self, answer: _Data, scope: BlockScope) -> None:
        """End a turn: an answer must first pass the check of the step."""
        most = self._run.context.sizes.told
        results = [f"{call.note}{_told(scope, call.id, most)}" if call.id else call.told for call in self._calls]
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
            self._counts[request["name"]] = self._counts.get(request["name"], 0) + 1
            said = {"role": "tool", "content": result, "request_id": request["id"], "name": request["name"]}
            self._history.append(said)
        named = [self._hand_overs.get(each["name"], self._role) for each in turn["requests"]]
        self._role = next((role for role in named if role != self._role), self._role)
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

    def _step(self, id: str, work: Target, after: tuple[str, ...] = (), timeout: float | None = None) -> StepPlan:
        """A call within a turn, by the policies of the agent. The failure of a tool is only reported to the model."""
        step = self._run.node.step
        return StepPlan(
            id,
            work,
            name=id,
            dependencies=after,
            retry=step.retry,
            timeout=self._agent.timeout if timeout is None else timeout,
            on_failure=OnFailure("fail" if id == ANSWER else "continue"),
            on_resume=None if id == ANSWER else step.on_resume,
            cache=step.cache,
            line=step.line,
        )

    def _open(self, path: str, steps: Sequence[StepPlan], then: Any) -> None:
        self._next_step = then
        self._frame = self._run.open(steps, path, self._run.scope.child({}), self)


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
