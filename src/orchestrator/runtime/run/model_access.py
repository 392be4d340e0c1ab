"""How the steps of a run call models: within their budgets, and recorded without API keys."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from math import ceil, floor, inf, log10
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from orchestrator.errors import StoreError
from orchestrator.journal.state.usage import spending_of
from orchestrator.journal.step_payloads import StepModelPayload, StepRunningPayload, StepWaitingPayload
from orchestrator.models.budget import Budget, Ledger, Spent
from orchestrator.models.messages import JUDGE
from orchestrator.paths import ancestors, is_in_undo
from orchestrator.plan.lookup import definition_at
from orchestrator.plan.steps import SubPipeline
from orchestrator.plan.walk import walk
from orchestrator.remedies import Resume

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from orchestrator.errors import OrchestratorError
    from orchestrator.journal import Event
    from orchestrator.journal.payload import Payload
    from orchestrator.models.calls.gateway import Feedback, ModelCall, ModelGateway
    from orchestrator.models.calls.service import ModelService, RunGateway
    from orchestrator.models.messages import ModelName
    from orchestrator.remedies import Remedy
    from orchestrator.runtime.queue.slots import Slots
    from orchestrator.runtime.run.model_services import ModelServices
    from orchestrator.runtime.run.run_context import RunContext
    from orchestrator.runtime.run.run_graph import StepNode
    from orchestrator.tools.mcp import McpServers
    from orchestrator.tools.memory.service import Memory
    from orchestrator.tools.run_secrets import RunSecrets
    from orchestrator.tools.web.search import WebSearch

THE_RUN: Final = "the run"
"""The scope of a run's own budget, as messages name it."""

_SHORTEST_KEY: Final = 8
"""Characters of a key that is redacted; the key of a self-hosted server may be a word such as `none`."""

_NUMBER: Final = re.compile(r"(?<!on_error)(?<!error_handlers)\[\d+\]")


class ModelAccess:
    """How the steps of one run call models and MCP servers, within the budgets that apply to them."""

    def __init__(
        self,
        context: RunContext,
        slots: Slots,
        services: ModelServices,
        *,
        ledgers: Sequence[Ledger] = (),
        earlier: Mapping[str, Spent] | None = None,
    ) -> None:
        """`ledgers` are those of the run and of its batch, `earlier` what steps with budgets have spent, by path."""
        self._context = context
        self._slots = slots
        self._services = services
        self._ledgers = tuple(ledgers)
        self._earlier = earlier or {}
        self._models: dict[bool, RunGateway] = {}

    @property
    def web(self) -> Callable[[], WebSearch]:
        """What gives the searches of the web that the run's steps may make."""
        return self._services.web

    def memory(self) -> Memory:
        """Return the memory as the run's steps use it."""
        return self._services.memory(self.secrets())

    def secrets(self) -> RunSecrets:
        """Return what finds the secrets of the run."""
        from orchestrator.tools.run_secrets import RunSecrets

        redactor = self._context.redactor
        return RunSecrets(lambda value: redactor.lost(redactor.scrub(value)))

    @property
    def servers(self) -> Callable[[], McpServers]:
        """What gives the MCP servers that the run's steps may call."""
        return self._services.servers

    def gateway(self, node: StepNode) -> ModelGateway:
        """Return the gateway of the step's attempt in flight."""
        if node.models is None:
            node.models = self._for_attempt(node, node.path)
        return node.models.gateway

    def judge_gateway(self, node: StepNode) -> ModelGateway:
        """Return the gateway of the step's judge, within the budgets of the step."""
        judge = self._for_attempt(node, node.path + JUDGE)
        if node.models is not None:  # answers of this attempt itself are not answers from before
            judge.kept = node.models.kept
        return judge.gateway

    def is_of_step(self, node: StepNode, scope: str) -> bool:
        """Whether `scope` names the budget of this step, or of one that contains it."""
        return any(ledger.scope == scope for ledger in self._ledgers_of(node))

    def how_to_allow_more(self, error: OrchestratorError | None) -> tuple[str | None, Sequence[Remedy]]:
        """Return the help and the remedies for a used-up budget that is not a step's."""
        help = None if error is None else error.help
        own = next((each for each in self._ledgers if each.scope == getattr(error, "scope", "")), None)
        if own is None or help is None or "`[models." in help:  # the budget is not what is missing
            return help, ()
        more = _more(own, getattr(error, "needs", None) or {})
        if own.scope == THE_RUN:
            return "raise the budget: no answer is paid for twice", [Resume(self._context.run_id, budget=more)]
        return f"raise the budget of the batch to {more}, and resume it by its id: no answer is paid for twice", ()

    def _for_attempt(self, node: StepNode, label: str) -> AttemptModelAccess:
        access = AttemptModelAccess(self._context, self._slots, node)
        access.gateway = self._run_models(node.path).for_step(access, self._ledgers_of(node), label=label)
        return access

    def _run_models(self, path: str) -> RunGateway:
        """Return how the run calls models. An undo is not stopped by a budget that the run has used up."""
        undoes = is_in_undo(path)
        if undoes not in self._models:
            service = self._services.here()
            if self._services.uses_keys:
                self._context.redactor.learn(_keys(service))
            self._models[undoes] = service.for_run(() if undoes else self._ledgers)
        return self._models[undoes]

    def _ledgers_of(self, node: StepNode) -> list[Ledger]:
        """The ledgers of a step and of those that contain it, innermost first."""
        found: list[Ledger] = []
        for path in ancestors(node.path):
            if path.endswith(".undo"):
                break  # what contains the step that is undone may have used up its budget
            around = node if path == node.path else self._context.live.get(path)
            if around is not None:
                found += self._own_ledgers(around)
        return found

    def _own_ledgers(self, node: StepNode) -> Sequence[Ledger]:
        if node.ledgers is None:
            budgets = [(node.step.budget, f"step `{node.path}`")]
            if isinstance(node.step.work, SubPipeline):
                called = self._context.plan.pipelines[node.step.work.source]
                budgets.append((called.budget, f"the pipeline that `{node.path}` calls"))
            spent = self._earlier.get(node.path)
            node.ledgers = [Ledger(budget, scope, spent) for budget, scope in budgets if budget is not None]
        return node.ledgers


class AttemptModelAccess:
    """How one attempt of a step calls models: the `CallHost` of its calls, and `AttemptModels` to its checks."""

    gateway: ModelGateway

    def __init__(self, context: RunContext, slots: Slots, node: StepNode) -> None:
        self._context = context
        self._slots = slots
        self._node = node
        self._attempt = node.attempt
        self._waits = 0
        self._had_slot = False
        from orchestrator.models.calls.answer_memo import KeptAnswers

        self.kept = KeptAnswers(dict(context.recorded.kept.get(node.path, {})), context.redactor.scrub)
        self.feedback: list[Feedback] = []
        self.passed_over: frozenset[ModelName] = frozenset()
        self.answered: ModelName | None = None
        self.calls = 0

    def record(self, call: ModelCall) -> None:
        """Record a call, also one that failed, or that ended after its attempt was abandoned."""
        context = self._context
        self.calls += 1
        context.answers.end(self._node.path, self._attempt)
        if call.error is None:
            self.answered = call.model
        if context.over:
            return
        if call.kept is not None:
            digest, reply = call.kept
            if self._is_in_flight:
                context.recorded.keep(self._node.path, digest, {"reply": reply, "cost": call.cost})
            else:
                call = replace(call, kept=None)
        with suppress(StoreError):  # the next commit raises it
            context.log.record_payload(context.scrubbed(_payload(call)), self._node.path, self._attempt)
            context.notices.spent()

    def reject(self, answer: str, reasons: Sequence[str]) -> None:
        """Have the next answer fix the problems of this one."""
        from orchestrator.models.calls.gateway import Feedback

        self.feedback.append(Feedback(answer, tuple(reasons)))

    def pass_over(self, model: ModelName) -> None:
        """Stop calling a model; the next one starts without its feedback."""
        self.passed_over |= {model}
        self.feedback.clear()

    def partial(self, text: str) -> None:
        """Stream a piece of the answer that the model is giving."""
        self._context.answers.publish(self._node.path, self._attempt, text)

    @asynccontextmanager
    async def waiting(self, reason: str, until: float | None) -> AsyncIterator[None]:
        """Show that the step waits, and lend its slot; afterwards, continue when a slot is free."""
        self._waits += 1
        if self._waits == 1:
            self._had_slot = self._is_in_flight and self._slots.lend(self._node)
            self._report(StepWaitingPayload(reason=reason, until=until).without_nulls())
        try:
            yield
        except asyncio.CancelledError:
            self._waits -= 1
            if self._waits == 0 and self._had_slot:
                self._slots.put_back(self._node)
            raise
        except BaseException:
            await self._end_wait()
            raise
        await self._end_wait()

    async def _end_wait(self) -> None:
        self._waits -= 1
        if self._waits == 0:
            if self._had_slot:
                await self._slots.reclaim(self._node)
            self._report(StepRunningPayload())

    @property
    def _is_in_flight(self) -> bool:
        """Whether this attempt is the step's current one, and has not been abandoned."""
        return self._node.attempt == self._attempt and self._node.task is not None

    def _report(self, payload: Payload) -> None:
        if self._is_in_flight:
            with suppress(StoreError):  # the next commit raises it
                self._context.record(payload, self._node)


def _payload(call: ModelCall) -> StepModelPayload:
    payload = StepModelPayload(
        model=str(call.model),
        usage=call.usage.to_dict(),
        cost=call.cost,
        latency=call.latency,
        finish=call.finish,
        why=call.why,
        error=None if call.error is None else dict(call.error),
    )
    return payload if call.kept is None else payload.replace(kept=call.kept[0], reply=dict(call.kept[1]))


def merged(base: Budget | None, over: Budget | None) -> Budget | None:
    """Return the limits of `over`, and those of `base` that `over` does not set."""
    if base is None or over is None:
        return over or base
    return Budget(**{**base.to_dict(), **over.to_dict()})  # type: ignore[arg-type] # whole numbers stay whole


def _more(ledger: Ledger, needs: Mapping[str, float]) -> str:
    """Twice the limit that is too low, or what the next call needs if that is more, as `--budget` takes it."""
    limits, spent = ledger.budget.to_dict(), ledger.spent
    wanted = {name: needs.get(name, getattr(spent, name)) for name in limits}
    name = max(limits, key=lambda each: wanted[each] / limits[each] if limits[each] else inf)
    digits = 1 - floor(log10(wanted[name])) if name == "usd" and wanted[name] else 0
    least = ceil(wanted[name] * 10**digits) / 10**digits  # of an amount of money, the first two digits
    return f"{max(limits[name] * 2, least) or 1:.12g}{name}"


def spent_by_step(events: Iterable[Event], plan: Mapping[str, Any]) -> dict[str, Spent]:
    """Return what each step that has a budget, and what stands in it, has spent so far; `plan` is the plan as data."""
    budgeted: dict[str, bool] = {}
    spent: dict[str, Spent] = {}
    for event in events:
        if event.type != "step.model":
            continue
        for path in ancestors(event.path):
            shape = _NUMBER.sub("[0]", path)
            if shape not in budgeted:
                found = definition_at(plan, shape)
                budgeted[shape] = found is not None and ("budget" in found or found.get("kind") == "pipeline")
            if budgeted[shape]:
                spent[path] = spent.get(path, Spent()) + spending_of(event.data).spent
    return spent


def has_budgets(plan: Mapping[str, Any]) -> bool:
    """Whether anything in a plan as data has a budget: the pipeline, a called one, or a step."""
    if any("budget" in each for each in (plan, *plan.get("pipelines", {}).values())):
        return True
    return any("budget" in visit.step for visit in walk(plan, calls="once"))


def _keys(service: ModelService) -> dict[str, str]:
    """The available keys, by the variables that hold them."""
    found = (service.keys.find(provider) for provider in service.catalogue.providers.values())
    return {key.variable: key.value for key in found if key is not None and len(key.value) >= _SHORTEST_KEY}
