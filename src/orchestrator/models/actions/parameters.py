"""Checks of the parameters that several actions of the tool `model` have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Callable


def invalid_parameter(message: str, help: str | None = None) -> StepError:
    """Return an error for an invalid parameter."""
    return StepError(message, code=codes.INVALID_PARAMETER, help=help, retryable=False)


def is_personality_file(personality: str) -> bool:
    """Whether a personality is the path of a file."""
    return personality.endswith((".md", ".txt")) and len(personality.split("\n")) == 1


def at_least(least: float) -> Callable[[Any], Any]:
    """Return a conversion that rejects smaller numbers."""

    def checked(value: Any) -> Any:
        if value is not None and value < least:
            raise ValueError(f"must be at least {least:g}, not {value:g}")
        return value

    return checked
