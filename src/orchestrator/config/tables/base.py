"""What all tables have in common."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.config import setting_types as kinds


def setting(example: str, meaning: str, default: Any = None, *, shown: bool = True) -> Any:
    """Return a field with an example of its value, as the file would write it, and its meaning.

    A field that may hold a secret is not `shown` when the table is printed.
    """
    return Field(default, description=meaning, examples=[example], repr=shown)


class SettingsTable(BaseModel):
    """A table of the file. `entry`: what it contains under the names that a user chooses.

    `elsewhere`: what other programs call its settings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    entry: ClassVar[type[SettingsTable] | None] = None
    elsewhere: ClassVar[dict[str, str]] = {}

    @property
    def entries(self) -> dict[str, Any]:
        """The tables in this one that have names of the user."""
        return self.model_extra or {}


class Section(SettingsTable):
    """The settings and tables of the file that one reader reads, and that are loaded only for it."""


class SpendingTable(SettingsTable):
    """The limits that each budget has."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("dollars", "cost", "max_cost", "amount", "limit"), "usd"),
        **dict.fromkeys(("calls", "max_calls", "max_requests"), "requests"),
        "max_tokens": "tokens",
    }

    usd: kinds.Number | None = setting("20", "US dollars")
    tokens: kinds.Whole | None = setting("1_000_000", "tokens, input and output together")
    requests: kinds.Whole | None = setting("1000", "calls of models")


def table_in(annotation: Any) -> type[SettingsTable] | None:
    """Return the table in the type of a field, such as that of a dictionary of tables."""
    if isinstance(annotation, type) and issubclass(annotation, SettingsTable):
        return annotation
    return next(filter(None, map(table_in, get_args(annotation))), None)
