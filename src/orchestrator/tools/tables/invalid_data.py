"""The error for data or parameters that a tool for tables cannot use."""

from __future__ import annotations

from orchestrator import codes
from orchestrator.errors import StepError


def bad_data(message: str, help: str | None = None) -> StepError:
    """Return the error for invalid data or parameters."""
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
