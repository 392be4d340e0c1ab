"""The tool `model`, put together."""

from __future__ import annotations

from typing import Final

from orchestrator.models.actions.agent import AGENT
from orchestrator.models.actions.analyze import ANALYZE_TEXT, CLASSIFY, EXTRACT
from orchestrator.models.actions.auto_values import AUTO_VALUES
from orchestrator.models.actions.embed import EMBED
from orchestrator.models.actions.generate import CHAT, GENERATE, GENERATE_TEXT
from orchestrator.models.actions.summarize import SUMMARIZE
from orchestrator.tools.contract import Tool

_ACTIONS = (GENERATE_TEXT, GENERATE, CHAT, ANALYZE_TEXT, CLASSIFY, EXTRACT, SUMMARIZE, EMBED, AGENT, AUTO_VALUES)

MODEL: Final = Tool(
    "model",
    {action.name: action for action in _ACTIONS},
    "Call models. A step needs no `tool:`: the name of the action is enough.",
    aliases={"generate_structured": "generate"},
)
