"""What is wrong with settings of `orchestrator.toml`: one problem, and the error that reports all of a file."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from orchestrator.config.key_lines import key_lines
from orchestrator.errors import ConfigurationError
from orchestrator.remedies import advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from orchestrator.config.key_lines import Keys
    from orchestrator.remedies import Remedy

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class SettingProblem(ValueError):
    """Why one setting cannot be used; validators raise it.

    `problem` has `{}` for the name of the setting. Without a `help` or a `remedy`, the example of the schema is shown.
    `remedy` is made with the name of the setting's server. No text may contain a value that can be a secret.
    """

    def __init__(
        self, problem: str, *, help: str = "", keys: Keys = (), remedy: Callable[[str], Remedy] | None = None
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.help = help
        self.keys = keys
        self.remedy = remedy

    @property
    def message(self) -> str:
        """The problem with the name of the setting."""
        return self.problem.replace("{}", f"`{setting_name(self.keys)}`", 1)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What can be done, as data."""
        return (self.remedy(self.keys[1]),) if self.remedy is not None else ()


class InvalidSettings(ConfigurationError):
    """Settings of a file cannot be used. `errors` has all of them, in the order of the file."""

    def __init__(self, file: Path, text: str, problems: Iterable[SettingProblem]) -> None:
        lines = key_lines(text)
        placed = {(_line(lines, problem.keys), problem.message): problem for problem in problems}
        found = sorted(placed.items())
        self.errors = tuple(problem for _, problem in found)
        (line, message), first = found[0]
        if len(found) == 1:
            super().__init__(f"{file}:{line}: {message}", help=first.help or None, remedies=first.remedies)
        else:
            listed = "".join(f"\n  line {line}: {text}; {advice(p.help, p.remedies)}" for (line, text), p in found)
            super().__init__(f"{file}: {len(found)} settings are invalid:{listed}", help="fix all of them")


def setting_name(keys: Keys) -> str:
    """Return the name of a setting as the file would write it: `models."openai:gpt-5".quality`."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False) for key in keys)


def _line(lines: dict[Keys, int], keys: Keys) -> int:
    """Return the line of a setting, or that of the table which lacks it."""
    return next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), 1)
