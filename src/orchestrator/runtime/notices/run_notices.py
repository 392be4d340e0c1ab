"""The notices of one run: recorded when there is an occasion, and sent after that is durable, whatever the run does.

A run never fails for a notice, and its end waits for one for `END_PATIENCE` seconds at most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import OrchestratorError, StoreError
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.journal.audience import times_announced
from orchestrator.journal.run_payloads import RunNoticePayload, RunNotifiedPayload, RunWarningPayload
from orchestrator.notices.notice import OCCASIONS, DeliveryError, Notice
from orchestrator.plan.notices import NoticePlan
from orchestrator.runtime.notices.notice_texts import (
    MOST_QUESTIONS,
    RunName,
    budget_text,
    failure_text,
    occasion_names,
    questions_text,
    used_share,
    with_message,
)
from orchestrator.runtime.values.step_values import skipped
from orchestrator.tools.functions.task_guard import cancel_task, create_guarded_task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.journal.state.notice_history import NoticeHistory
    from orchestrator.models.budget import Budget, Spent
    from orchestrator.notices.delivery import NoticeSender
    from orchestrator.notices.notice import Occasion
    from orchestrator.notices.settings import NoticeSettings
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.notices.notice_texts import NoticeText
    from orchestrator.runtime.run.run_context import EventLog
    from orchestrator.runtime.values.redaction import Redactor
    from orchestrator.runtime.values.scope import BlockScope

END_PATIENCE: Final = 15.0
"""Seconds that the end of a run waits for its notices, as does the report that it is idle."""

INTERRUPTION_PATIENCE: Final = 5.0
"""Seconds that a process which leaves a run waits for them; those that are left are sent after the resume."""


_LONGEST_PATHS: Final = 8_000
"""Characters of the paths of all steps that one notice is about: they are read back without what is stored apart."""

_log = logging.getLogger(__name__)


class Route(Struct, frozen=True):
    """The targets of an occasion. `plan` has the text that the pipeline gives, if it does."""

    to: tuple[str, ...]
    at: float
    plan: NoticePlan | None = None


def routes_of(plan: Plan, settings: NoticeSettings) -> dict[Occasion, Route]:
    """Return the occasions with notices: those of the pipeline, and of the project where it says nothing."""
    found: dict[Occasion, Route] = {}
    for occasion in OCCASIONS:
        given: NoticePlan | None = getattr(plan.notify, occasion)
        if given is None:
            route = Route(getattr(settings, occasion), settings.budget_at)
        else:
            route = Route(tuple(dict.fromkeys(given.to)), given.at, given)
        if route.to:
            found[occasion] = route
    return found


class RunNotices:
    """Called on the run's event loop."""

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        log: EventLog,
        redactor: Redactor,
        sender: NoticeSender | None,
        history: NoticeHistory,
        *,
        budget: Budget | None,
        spent: Callable[[], Spent],
    ) -> None:
        """`history` is what earlier owners recorded; `spent` returns what the run has spent so far.

        Without a `sender`, nothing is recorded or sent.
        """
        self.scope: BlockScope | None = None
        """What the templates of messages read; None until it is known."""
        self._plan = plan
        self._log = log
        self._redactor = redactor
        self._sender = sender
        self._history = history
        self._budget = budget
        self._spent = spent
        self._routes = {} if sender is None else routes_of(plan, sender.settings)
        page = "" if sender is None else sender.settings.page
        self._run = RunName(run_id, plan.id, plan.name, f"{page}/runs/{run_id}" if page else "")
        self._questions: dict[str, Mapping[str, Any]] = {}
        self._asking: asyncio.Handle | None = None
        self._deliveries: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[str] = set()
        self._over = False
        self._patience = 0.0
        self._on_quiet: Callable[[], None] | None = None

    def begin(self) -> None:
        """Report targets that cannot be used, and send what an earlier owner recorded and did not send."""
        if self._sender is None:
            return
        for name in dict.fromkeys(name for route in self._routes.values() for name in route.to):
            if problem := self._sender.problem(name):
                self._log.record_payload(RunWarningPayload(message=f"notices to `{name}` cannot be sent: {problem}"))
        for notice, at in list(self._history.pending.values()):
            if notice.occasion == "waiting" and self._history.asked.keys().isdisjoint(notice.about):
                self._ended(notice, 0, "it was answered before")
            else:
                self._deliver(notice, at)
        self.spent()

    # --- occasions

    def asked(self, path: str, question: Mapping[str, Any]) -> None:
        """Take note that a step asks a person, for the first time or again, as a reminder or an escalation.

        What is asked in the same moment is one notice.
        """
        if "waiting" not in self._routes or self._history.asked.get(path, -1) >= times_announced(question):
            return
        self._questions[path] = self._redactor.scrub_fields(question)
        self._ask_soon()

    def answered(self, path: str) -> None:
        """Take note that a step does not ask any more."""
        self._questions.pop(path, None)
        self._history.asked.pop(path, None)

    def spent(self) -> None:
        """Take note that the run has called a model."""
        route, budget = self._routes.get("budget"), self._budget
        if route is None or budget is None:
            return
        limits, spent = str(budget.to_dict()), self._spent()
        if limits in self._history.budgets:
            return
        if used_share(budget, spent) >= route.at and any((spent.usd, spent.tokens, spent.requests)):
            self._record("budget", budget_text(self._run, budget, spent), [limits])

    def failed(self, error: Mapping[str, Any]) -> None:
        """Take note that the run is about to end with an error, from which secrets have been removed."""
        if "failed" in self._routes and not self._history.failed:
            self._record("failed", failure_text(self._run, error), [])

    def _ask_soon(self) -> None:
        if self._asking is None and self._questions and not self._waiting and not self._over:
            self._asking = asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        """Record a notice of all questions that are new. Those that come while it is being sent are in the next one."""
        self._asking = None
        taken: dict[str, Mapping[str, Any]] = {}
        left = _LONGEST_PATHS
        for path in list(islice(self._questions, MOST_QUESTIONS)):
            left -= len(path)
            if taken and left < 0:
                break
            taken[path] = self._questions.pop(path)
        if taken:
            times = [times_announced(question) for question in taken.values()]
            self._record("waiting", questions_text(self._run, taken), list(taken), times if any(times) else ())

    # --- recording and sending

    def _record(self, occasion: Occasion, text: NoticeText, about: list[str], reminders: Sequence[int] = ()) -> None:
        route = self._routes[occasion]
        if route.plan is not None and route.plan.message is not None:
            text = self._with_message(occasion, text, route.plan)
        for name in route.to:
            payload = RunNoticePayload(
                notice=f"{self._run.id}-{self._history.count + 1}",
                occasion=occasion,
                about=about,
                to=name,
                title=self._redactor.text(text.title),
                text=self._redactor.text(text.text),
                details=self._redactor.scrub(text.details),
                **({"reminders": reminders} if reminders else {}),
            )
            event = self._log.record_payload(payload)
            self._history.record(payload, event.at)
            self._deliver(payload, event.at)

    def _with_message(self, occasion: Occasion, text: NoticeText, plan: NoticePlan) -> NoticeText:
        """Return the notice with the text that the pipeline gives; with the usual one where that has an error."""
        if self.scope is None or plan.message is None:
            return text
        scope = self.scope.child({"notice": occasion_names(occasion, text)})
        for step in self._plan.steps:
            if step.id not in self.scope.steps:
                scope.enter(step.id, skipped())
        try:
            return with_message(text, to_text(plan.message.evaluate(scope.scope)))
        except OrchestratorError as error:
            message = f"the message of the notice `{occasion}` cannot be evaluated: {error.message}"
            self._log.record_payload(RunWarningPayload(message=self._redactor.text(message)))
            return text

    def _deliver(self, payload: RunNoticePayload, at: float) -> None:
        if payload.occasion == "waiting":
            self._waiting.add(payload.notice)
        if self._sender is not None:
            self._patience = time.monotonic() + END_PATIENCE
            work = self._send(self._sender, payload, at)
            self._deliveries[payload.notice] = create_guarded_task(asyncio.get_running_loop(), work)

    async def _send(self, sender: NoticeSender, payload: RunNoticePayload, at: float) -> None:
        notice = Notice(payload.notice, _occasion(payload), at, payload.title, payload.text, payload.details)
        try:
            await self._log.commit()  # what is sent has been recorded, so that it is not sent under another id
            attempts = await sender.deliver(payload.to, notice)
        except StoreError:
            return  # the next commit of the run raises it; the notice is sent after a resume
        except DeliveryError as error:
            self._ended(payload, 0, error.reason)
        except Exception as error:  # a run never fails for a notice
            _log.exception("the notice %s cannot be sent", payload.notice)
            self._ended(payload, 0, f"internal error: {type(error).__name__}")
        else:
            self._ended(payload, attempts, None)
        finally:
            self._deliveries.pop(payload.notice, None)
            if self._on_quiet is not None and not self._deliveries:
                self._on_quiet()

    def _ended(self, payload: RunNoticePayload, attempts: int, reason: str | None) -> None:
        error = None if reason is None else {"code": codes.NOTICE_NOT_SENT, "message": self._redactor.text(reason)}
        ended = RunNotifiedPayload(notice=payload.notice, to=payload.to, attempts=attempts, error=error)
        self._log.record_payload(ended.without_nulls())
        self._history.pending.pop(payload.notice, None)
        self._deliveries.pop(payload.notice, None)
        if reason is None:  # one target has accepted it: others that do not answer delay no further questions
            self._waiting.clear()
        self._waiting.discard(payload.notice)
        self._ask_soon()

    # --- the end

    def is_quiet(self, changed: Callable[[], None]) -> bool:
        """Whether nothing is being sent that is worth waiting for; if something is, `changed` is called later.

        A process that leaves a run as soon as that waits for a person has sent the question then.
        """
        left = self._patience - time.monotonic()
        if left <= 0 or not (self._deliveries or self._asking is not None):
            return True
        if self._on_quiet is None:
            asyncio.get_running_loop().call_later(left, changed)
        self._on_quiet = changed
        return False

    async def settle(self, *, interrupted: bool) -> None:
        """Return when nothing remains to be sent, or after a while.

        What is left then is sent after the resume of a run that was `interrupted`, and else not any more.
        """
        if self._asking is not None:
            self._asking.cancel()
            self._ask()
        if not self._deliveries:
            return
        end = time.monotonic() + (INTERRUPTION_PATIENCE if interrupted else END_PATIENCE)
        while self._deliveries and (left := end - time.monotonic()) > 0:
            await asyncio.wait(list(self._deliveries.values()), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        await self.close()
        if not interrupted:
            for payload, _ in list(self._history.pending.values()):
                self._ended(payload, 0, "the run has ended, and it was not accepted until then")

    def hurry(self) -> None:
        """Have the end of the run wait no longer than a process that is stopped."""
        asyncio.get_running_loop().call_later(INTERRUPTION_PATIENCE, self._cancel)

    def _cancel(self) -> None:
        for task in self._deliveries.values():
            cancel_task(task)

    async def close(self) -> None:
        """Stop sending."""
        self._over = True
        tasks = list(self._deliveries.values())
        self._cancel()
        self._deliveries.clear()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)


def _occasion(payload: RunNoticePayload) -> Occasion:
    return next(occasion for occasion in OCCASIONS if occasion == payload.occasion)
