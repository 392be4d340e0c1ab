"""Wait for some time."""

import asyncio
import time
from typing import Annotated

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool

_REPORT_EVERY = 1.0
_LONGEST = 31 * 86_400.0


@tool(name="wait")
async def wait_seconds(seconds: Annotated[float, "The time to wait, in seconds."], context: ToolContext) -> float:
    """Wait without blocking a thread. The result is the number of seconds.

    Example:
        - id: cool_down
          tool: sleep
          parameters:
            seconds: 2.5
    """
    if not 0 <= seconds <= _LONGEST:
        message = f"`seconds` is {seconds:g}; it must be between 0 and {_LONGEST:,.0f}, which is 31 days"
        raise StepError(message, code=codes.INVALID_PARAMETER, retryable=False)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if seconds > _REPORT_EVERY:
            context.progress(1 - left / seconds, f"{left:.0f} s left")
        await asyncio.sleep(min(left, _REPORT_EVERY))
    return seconds
