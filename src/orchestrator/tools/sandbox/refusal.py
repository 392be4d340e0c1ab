"""Why a call of a tool is not permitted, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not permitted: the parameter at fault, what is wrong, and the option that would allow it.

    `flag` is empty where no option allows it; `advice` then says what to do instead.
    """

    parameter: str | None
    message: str
    flag: str
    advice: str = "use another place; no option allows this one"

    @property
    def help(self) -> str:
        """How to go on."""
        if not self.flag:
            return self.advice
        in_python = "in Python with `Orchestrator(permissions=...)`"
        return f"allow it with `{self.flag}`, under `[allow]` in orchestrator.toml, or {in_python}"
