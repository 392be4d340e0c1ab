"""Wait for some time."""

import asyncio
import time
from typing import Annotated

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool

_REPORT_EVERY = 1.0
_LONGEST = 31 * 86_400.0


def _check_seconds(seconds: float) -> None:
    if not 0 <= seconds <= _LONGEST:
        help = f"use 0 to {_LONGEST:,.0f} seconds, which is 31 days"
        raise StepError(f"`seconds` cannot be {seconds:g}", code=codes.INVALID_PARAMETER, help=help, retryable=False)


Seconds = Annotated[float, "The time to wait, in seconds.", Checked(_check_seconds)]


@tool(name="wait")
async def wait_seconds(seconds: Seconds, context: ToolContext) -> float:
    """Wait without blocking a thread. The result is the number of seconds.

    Example:
        - id: cool_down
          tool: sleep
          parameters:
            seconds: 2.5
    """
    _check_seconds(seconds)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if seconds > _REPORT_EVERY:
            context.progress(1 - left / seconds, f"{left:.0f} s left")
        await asyncio.sleep(min(left, _REPORT_EVERY))
    return seconds
