"""Model calls outside of any run, which are not recorded: for judgements and summaries."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.models.calls.gateway import ModelChoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from orchestrator.models.calls.answer_memo import KeptAnswers
    from orchestrator.models.calls.gateway import Feedback, ModelAnswer, ModelCall
    from orchestrator.models.messages import ModelName, ModelReply, ModelRequest
    from orchestrator.runtime import ModelServices

T = TypeVar("T")


class AdhocModels:
    """A `CallHost` without a step. `spending` is the usage and cost of its calls."""

    feedback: Sequence[Feedback] = ()
    passed_over: frozenset[ModelName] = frozenset()
    kept: KeptAnswers | None = None

    def __init__(self, services: ModelServices, models: Sequence[str]) -> None:
        self._services = services
        self._choice = ModelChoice(tuple(models))
        self.spending: Spending = NOTHING

    async def ask(self, request: ModelRequest, accept: Callable[[ModelReply], Any] | None = None) -> ModelAnswer:
        """Send a request; the budget of the project applies.

        Raises:
            ModelError: No model returned a usable answer.
        """
        gateway = self._services.here().for_run().for_step(self)
        return await gateway.ask(self._choice, request, accept=accept)

    def record(self, call: ModelCall) -> None:
        """Count a call."""
        self.spending += Spending.of_call(call.usage, call.cost)

    def partial(self, text: str) -> None:
        """Show nothing."""

    @asynccontextmanager
    async def waiting(self, reason: str, until: float | None) -> AsyncIterator[None]:
        """Wait."""
        yield


def run_blocking(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine, which runs on an event loop in another thread."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(asyncio.run(work))
        except BaseException as error:  # the caller handles it
            done.set_exception(error)

    threading.Thread(target=run, name="orchestrator-adhoc-models", daemon=True).start()
    return done.result()
