"""The reference page of `orchestrator.toml`, generated from its schema."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, get_origin

from orchestrator.config.tables.base import table_in
from orchestrator.config.tables.databases import DatabaseSection
from orchestrator.config.tables.mail import MailSection
from orchestrator.config.tables.mcp import McpSection
from orchestrator.config.tables.memory import MemorySection
from orchestrator.config.tables.models import BudgetSection, LimitSection, ModelSection
from orchestrator.config.tables.notify import NotifySection
from orchestrator.config.tables.run import PermissionSection, RunSection
from orchestrator.config.tables.serve import ServeSection
from orchestrator.config.tables.storage import StorageSection
from orchestrator.config.tables.web import WebSection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.config.tables.base import Section, SettingsTable

SECTIONS: tuple[type[Section], ...] = (
    RunSection,
    PermissionSection,
    ModelSection,
    LimitSection,
    BudgetSection,
    McpSection,
    DatabaseSection,
    StorageSection,
    MailSection,
    WebSection,
    MemorySection,
    ServeSection,
    NotifySection,
)

_INTRODUCTION = """\
# Project settings

`orchestrator.toml` in the directory of a [project](../guide/running.md#projects). Options of the command and arguments
in Python override it. An unknown or invalid setting is an error with its line; all of them are reported at once, before
anything runs.
"""


def settings_markdown() -> str:
    """Return a Markdown page with every setting: its meaning and an example."""
    return "\n".join([_INTRODUCTION, *(line for section in SECTIONS for line in _table(section, ""))])


def _table(table: type[SettingsTable], name: str) -> Iterator[str]:
    fields = table.model_fields
    settings = {key: field for key, field in fields.items() if field.examples}
    if settings:
        if name:
            yield from (f"## `[{name}]`", "", inspect.getdoc(table) or "", "")
        yield from ("| setting | meaning | example |", "| --- | --- | --- |")
        for key, field in settings.items():
            yield f"| `{key}` | {field.description} | `{key} = {(field.examples or [''])[0]}` |"
        yield ""
    prefix = f"{name}." if name else ""
    for key, field in fields.items():
        inner = table_in(field.annotation)
        if inner is not None:
            yield from _table(inner, f"{prefix}{key}" + (".NAME" if get_origin(field.annotation) is dict else ""))
    if table.entry is not None:
        yield from _table(table.entry, f"{prefix}NAME")
