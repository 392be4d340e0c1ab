"""How the steps of a run ask models: within their budgets, recorded, and never with a key in what is recorded."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from math import ceil, floor, inf, log10
from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import StoreError
from orchestrator.journal.state.usage import spending_of
from orchestrator.models.budget import Budget, Ledger, Spent
from orchestrator.models.calls.answer_memo import KeptAnswers
from orchestrator.models.messages import JUDGE
from orchestrator.paths import parent_of
from orchestrator.plan.lookup import definition_at
from orchestrator.plan.steps import SubPipeline
from orchestrator.plan.walk import walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from orchestrator.errors import OrchestratorError
    from orchestrator.journal import Event, EventType
    from orchestrator.models.calls.gateway import Feedback, ModelCall, ModelGateway
    from orchestrator.models.calls.service import ModelService, RunModels
    from orchestrator.models.messages import ModelName
    from orchestrator.runtime.run.model_services import ModelServices
    from orchestrator.runtime.run.run_graph import Node
    from orchestrator.runtime.run.scheduler import Scheduler
    from orchestrator.tools.mcp import McpServers

THE_RUN: Final = "the run"
"""What messages call a run whose budget is meant."""

_SHORTEST_KEY: Final = 8
"""Characters of a key that is taken out of records; that of a server of one's own may be a word, such as `none`."""

_NUMBER: Final = re.compile(r"(?<!on_error)(?<!error_handlers)\[\d+\]")


class RunAsking:
    """What the steps of one run ask models through, and the budgets that hold for them."""

    def __init__(
        self,
        services: ModelServices,
        *,
        ledgers: Sequence[Ledger] = (),
        earlier: Mapping[str, Spent] | None = None,
    ) -> None:
        """`ledgers` are those of the run and of its batch, `earlier` what steps with budgets have spent, by path."""
        self._services = services
        self._ledgers = tuple(ledgers)
        self._earlier = earlier or {}
        self._models: RunModels | None = None

    @property
    def servers(self) -> Callable[[], McpServers]:
        """What gives the servers of tools that the run's steps may call."""
        return self._services.servers

    def gateway(self, scheduler: Scheduler, node: Node) -> ModelGateway:
        """Return what the attempt of a step that is under way asks models through."""
        if node.asking is None:
            node.asking = self._asking(scheduler, node, self._run_models(scheduler), node.path)
        return node.asking.gateway

    def beside(self, scheduler: Scheduler, node: Node) -> ModelGateway:
        """Return what the judge of a step asks models through, within the budgets of the step."""
        judging = self._asking(scheduler, node, self._run_models(scheduler), node.path + JUDGE)
        if node.asking is not None:  # what this attempt was answered itself is no answer from before
            judging.kept = node.asking.kept
        return judging.gateway

    def _asking(self, scheduler: Scheduler, node: Node, models: RunModels, label: str) -> Asking:
        asking = Asking(scheduler, node)
        asking.gateway = models.for_step(asking, self._ledgers_of(scheduler, node), label=label)
        return asking

    def _run_models(self, scheduler: Scheduler) -> RunModels:
        if self._models is None:
            service = self._services.here()
            if self._services.uses_keys:
                scheduler.redactor.learn(_keys(service))
            self._models = service.for_run(self._ledgers)
        return self._models

    def is_of_step(self, scheduler: Scheduler, node: Node, scope: str) -> bool:
        """Whether a budget that messages call so is that of a step: this one, or one that it stands in."""
        return any(ledger.scope == scope for ledger in self._ledgers_of(scheduler, node))

    def how_to_allow_more(self, run_id: str, error: OrchestratorError | None) -> str | None:
        """How to go on where a budget that is none of a step is used up."""
        help = None if error is None else error.help
        own = next((each for each in self._ledgers if each.scope == getattr(error, "scope", "")), None)
        if own is None or help is None or "`[models." in help:  # it is not for want of money
            return help
        more = f"--budget {_more(own, getattr(error, 'needs', None) or {})}"
        if own.scope == THE_RUN:
            return f"allow it more, and no answer is bought twice: orchestrator resume {run_id} {more}"
        return f"allow the batch more, and no answer is bought twice: `--batch` with its id, and `{more}`"

    def _ledgers_of(self, scheduler: Scheduler, node: Node) -> list[Ledger]:
        """The ledgers of a step and of what it stands in, from the inside."""
        found = list(self._own_ledgers(scheduler, node))
        path = node.path
        while path := parent_of(path):
            around = scheduler.live.get(path)
            if around is not None:
                found += self._own_ledgers(scheduler, around)
        return found

    def _own_ledgers(self, scheduler: Scheduler, node: Node) -> Sequence[Ledger]:
        if node.ledgers is None:
            budgets = [(node.step.budget, f"step `{node.path}`")]
            if isinstance(node.step.work, SubPipeline):
                called = scheduler.plan.pipelines[node.step.work.source]
                budgets.append((called.budget, f"the pipeline that `{node.path}` calls"))
            spent = self._earlier.get(node.path)
            node.ledgers = [Ledger(budget, scope, spent) for budget, scope in budgets if budget is not None]
        return node.ledgers


class Asking:
    """One attempt of a step, as those who ask models for it know it: their `CallHost`.

    `answered` is the model that gave the last answer, `calls` counts those that were made.
    """

    gateway: ModelGateway

    def __init__(self, scheduler: Scheduler, node: Node) -> None:
        self._scheduler = scheduler
        self._node = node
        self._attempt = node.attempt
        self._waits = 0
        self._had_place = False
        self.kept = KeptAnswers(dict(scheduler.recorded.kept.get(node.path, {})), scheduler.redactor.scrub)
        self.feedback: list[Feedback] = []
        self.passed_over: frozenset[ModelName] = frozenset()
        self.answered: ModelName | None = None
        self.calls = 0

    def record(self, call: ModelCall) -> None:
        """Record a call, also one that failed, or that ended when its attempt had been abandoned."""
        scheduler = self._scheduler
        self.calls += 1
        scheduler.partials.end(self._node.path, self._attempt)
        if call.error is None:
            self.answered = call.model
        if scheduler.over:
            return
        if call.kept is not None:
            digest, reply = call.kept
            if self._is_under_way:
                scheduler.recorded.keep(self._node.path, digest, {"reply": reply, "cost": call.cost})
            else:
                call = replace(call, kept=None)
        with suppress(StoreError):  # the next commit says so
            data = scheduler.redactor.scrub_fields(call.to_dict())
            scheduler.log.record("step.model", self._node.path, self._attempt, data)
            if call.error is None and str(call.model) == "offline" and "`auto`" in call.why:
                scheduler.warn(_OFFLINE.format(call.why.partition("`auto`: ")[2]))

    def reject(self, answer: str, reasons: Sequence[str]) -> None:
        """Have the next answer mend what is wrong with this one."""
        from orchestrator.models.calls.gateway import Feedback

        self.feedback.append(Feedback(answer, tuple(reasons)))

    def pass_over(self, model: ModelName) -> None:
        """Ask a model no more; the next one begins afresh."""
        self.passed_over |= {model}
        self.feedback.clear()

    def partial(self, text: str) -> None:
        """Show a piece of the answer that is just being given."""
        self._scheduler.partials.show(self._node.path, self._attempt, text)

    @asynccontextmanager
    async def waiting(self, reason: str, until: float | None) -> AsyncIterator[None]:
        """Show that the step waits, and give its place to another; it goes on when there is one again."""
        self._waits += 1
        if self._waits == 1:
            self._had_place = self._is_under_way and self._scheduler.leave_place(self._node)
            self._report("step.waiting", {"reason": reason} if until is None else {"reason": reason, "until": until})
        try:
            yield
        except asyncio.CancelledError:
            self._waits -= 1
            if self._waits == 0 and self._had_place:
                self._scheduler.put_back(self._node)
            raise
        except BaseException:
            await self._go_on()
            raise
        await self._go_on()

    async def _go_on(self) -> None:
        self._waits -= 1
        if self._waits == 0:
            if self._had_place:
                await self._scheduler.take_place(self._node)
            self._report("step.running", {})

    @property
    def _is_under_way(self) -> bool:
        """Whether this attempt is the step's, and has not been abandoned."""
        return self._node.attempt == self._attempt and self._node.task is not None

    def _report(self, type: EventType, data: Mapping[str, Any]) -> None:
        if self._is_under_way:
            with suppress(StoreError):  # the next commit says so
                self._scheduler.record(type, self._node, data)


_OFFLINE: Final = "steps are answered by rules (`offline`): {}"


def merged(base: Budget | None, over: Budget | None) -> Budget | None:
    """Return the limits of `over`, and those of `base` that it says nothing of."""
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
        for path in _at_and_around(event.path):
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


def _at_and_around(path: str) -> Iterator[str]:
    while path:
        yield path
        path = parent_of(path)


def _keys(service: ModelService) -> dict[str, str]:
    """The keys at hand, by the variables that hold them."""
    found = (service.keys.find(provider) for provider in service.catalogue.providers.values())
    return {key.variable: key.value for key in found if key is not None and len(key.value) >= _SHORTEST_KEY}
