"""`Refusal`: why a tool call is not permitted, as data."""

from __future__ import annotations

from msgspec import Struct

from orchestrator.errors import PermissionDenied
from orchestrator.remedies import Allow


class Refusal(Struct, frozen=True):
    """Why a call is not permitted: the parameter, the reason, and the remedy that would allow it.

    `remedy` is None if nothing allows it; `advice` then tells what to do instead.
    """

    parameter: str | None
    message: str
    remedy: Allow | None = None
    advice: str = "use another path; no option allows this one"

    @property
    def help(self) -> str:
        """How to allow the call, or what to do instead."""
        if self.remedy is None:
            return self.advice
        in_python = "in Python with `Orchestrator(permissions=...)`"
        return f"allow it with `{self.remedy.option}`, under `[allow]` in orchestrator.toml, or {in_python}"

    def error(self) -> PermissionDenied:
        """Return the error that a step raises for it."""
        if self.remedy is None:
            return PermissionDenied(self.message, help=self.advice)
        return PermissionDenied(self.message, remedies=[self.remedy])
