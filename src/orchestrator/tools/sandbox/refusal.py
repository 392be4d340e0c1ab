"""`Refusal`: why a tool call is not permitted, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not permitted: the parameter, the reason, and the option that would allow it.

    `flag` is empty if no option allows it; `advice` then tells what to do instead.
    """

    parameter: str | None
    message: str
    flag: str
    advice: str = "use another path; no option allows this one"

    @property
    def help(self) -> str:
        """How to allow the call, or what to do instead."""
        if not self.flag:
            return self.advice
        in_python = "in Python with `Orchestrator(permissions=...)`"
        return f"allow it with `{self.flag}`, under `[allow]` in orchestrator.toml, or {in_python}"
