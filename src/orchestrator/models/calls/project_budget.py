"""The budget of a project: `[budget]` in `orchestrator.toml`, what its runs together may spend."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.config.project_file import ProjectFile
from orchestrator.config.vocabulary import Period
from orchestrator.models.budget import Budget, Ledger, Spent, budget_of

if TYPE_CHECKING:
    from pathlib import Path

SpentSince = Callable[[float], Spent]
"""Gives what the runs of a store have spent on models since a time (seconds since the epoch). Called by a thread."""

_SCOPES: Final = {"day": "the project today", "month": "the project this month", "all": "the project"}
_FRESH: Final = 30.0
"""Seconds after which the store is asked again what other processes have spent."""


class ProjectBudget(Struct, frozen=True):
    """What all runs of a store may spend together within a period."""

    budget: Budget
    period: Period = "all"

    @classmethod
    def load(cls, directory: str | Path = ".") -> ProjectBudget | None:
        """Read `[budget]` from `orchestrator.toml` in `directory`; None if it limits nothing.

        Raises:
            ConfigurationError: The file is not TOML, or has a setting that is unknown or of the wrong type.
        """
        file = ProjectFile.load(directory)
        if not file.has("budget"):
            return None
        from orchestrator.config.tables.models import BudgetSection

        table = file.read(BudgetSection).budget
        budget = budget_of(table)
        return cls(budget, table.period) if budget is not None else None

    def begun(self, now: float) -> float:
        """Return when the period began that a time is in, in seconds since the epoch."""
        if self.period == "all":
            return 0.0
        day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return (day.replace(day=1) if self.period == "month" else day).timestamp()


class ProjectLedger:
    """The ledger of a project. What this process spends is known at once, what others do within half a minute."""

    def __init__(
        self, project: ProjectBudget, spent_since: SpentSince, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._project = project
        self._spent_since = spent_since
        self._clock = clock
        self._begun: float | None = None
        self._read_at = 0.0
        self.ledger = Ledger(project.budget, _SCOPES[project.period], setting="`[budget]` of orchestrator.toml")

    def is_due(self) -> bool:
        """Whether the store is to be asked what has been spent, before a call is made."""
        now = self._clock()
        return self._begun != self._project.begun(now) or not 0 <= now - self._read_at < _FRESH

    def refresh(self) -> None:
        """Ask the store what has been spent. It may not have what was spent here just now, so that is kept."""
        now = self._clock()
        begun = self._project.begun(now)
        spent = self._spent_since(begun)
        if begun == self._begun:
            self.ledger.know(spent)
        else:
            self.ledger.restart(spent)
        self._begun, self._read_at = begun, now
