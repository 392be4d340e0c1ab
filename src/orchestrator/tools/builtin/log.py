"""Write messages to the journal of the run."""

from typing import Annotated, Literal

from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool


@tool(name="write", effects="none")
async def write_message(
    message: Annotated[str, "The text to record."],
    context: ToolContext,
    level: Annotated[Literal["debug", "info", "warning", "error"], "The log level."] = "info",
) -> str:
    """Record a message, shown during the run and by `orchestrator events`. The result is the message.

    Example:
        - id: tell
          tool: log
          parameters:
            message: "{{ pages | length }} pages to translate"
    """
    context.log(message, level)
    return message
