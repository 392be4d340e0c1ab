"""`Refusal`: why a tool call is not permitted, as data."""

from __future__ import annotations

from msgspec import Struct

from orchestrator.errors import PermissionDenied
from orchestrator.remedies import Remedy


class Refusal(Struct, frozen=True):
    """Why a call is not permitted: the parameter, the reason, and the remedy that would allow it.

    `remedy` is None if nothing allows it; `advice` then tells what to do instead.
    """

    parameter: str | None
    message: str
    remedy: Remedy | None = None
    advice: str = "use another path; no option allows this one"

    @property
    def help(self) -> str:
        """What to do, in addition to the remedies."""
        return self.advice if self.remedy is None else "allow it under `[allow]` in orchestrator.toml"

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """The remedy, if there is one."""
        return () if self.remedy is None else (self.remedy,)

    def error(self) -> PermissionDenied:
        """Return the error that a step raises for it."""
        return PermissionDenied(self.message, help=self.help, remedies=self.remedies)
