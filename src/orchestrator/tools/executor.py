"""`ToolExecutor`: where attempts run. The default runs them in this process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from orchestrator.tools.contract import Action, Tool, ToolContext


class ToolExecutor(Protocol):
    """Runs one attempt of an action.

    The runtime keeps everything around it: retries, the timeout, the idempotency key, the cache and the journal. It
    stops an attempt by cancelling `call`. A remote executor finds the tool and the action by their names, and forwards
    progress and log messages to the context.
    """

    async def call(self, tool: Tool, action: Action, parameters: Mapping[str, Any], context: ToolContext) -> Any:
        """Return the result of the action as JSON data.

        Raises:
            OrchestratorError: As `call_action` does. If the executor is lost, a retryable `StepError`.
        """


class LocalExecutor:
    """Calls the action's function in this process: on the event loop, or in a worker thread."""

    async def call(self, tool: Tool, action: Action, parameters: Mapping[str, Any], context: ToolContext) -> Any:
        """Return the result of the action as JSON data."""
        return await _call_action()(action, parameters, context)


@cache
def _call_action() -> Callable[[Action, Mapping[str, Any], ToolContext], Awaitable[Any]]:
    """Load what calls actions when the first one is called: an import statement takes time even for a loaded module."""
    from orchestrator.tools.call import call_action

    return call_action
