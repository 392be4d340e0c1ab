"""Leave a line in the run's journal."""

from typing import Annotated, Literal

from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool


@tool
async def write(
    message: Annotated[str, "The text to record."],
    context: ToolContext,
    level: Annotated[Literal["debug", "info", "warning", "error"], "How much it matters."] = "info",
) -> str:
    """Record a message; it shows while the run goes on, and in `orchestrator events`. The result is the message.

    Example:
        - id: tell
          tool: log
          parameters:
            message: "{{ pages | length }} pages to translate"
    """
    context.log(message, level)
    return message
