"""Validates settings by the schema, and turns what Pydantic refuses into problems in our own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_origin

from pydantic import ValidationError

from orchestrator.config.setting_errors import SettingProblem, setting_name
from orchestrator.config.tables.base import table_in
from orchestrator.diagnostics import suggest
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from orchestrator.config.key_lines import Keys
    from orchestrator.config.tables.base import Section, SettingsTable

T = TypeVar("T", bound="Section")


def validate(
    section: type[T], values: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[T | None, list[SettingProblem]]:
    """Return the settings of a section, or None and what is wrong with them. `names` are those of the whole file."""
    try:
        return section.model_validate(values), []
    except ValidationError as error:
        entries = error.errors(include_url=False, include_input=False)
        return None, [_problem(section, entry, names) for entry in entries]


def _problem(section: type[Section], entry: ErrorDetails, names: tuple[str, ...]) -> SettingProblem:
    kind = entry["type"]
    keys = tuple(part for part in entry["loc"] if isinstance(part, str))
    table = _place(section, keys[:-1])[0] if len(keys) > 1 else None
    if kind == "extra_forbidden" or (kind == "model_type" and table and table.entry and _meant(keys[-1], table, names)):
        return SettingProblem("unknown setting {}", help=_help(keys[-1], table, names), keys=keys)
    problem = (entry.get("ctx") or {}).get("error")
    if not isinstance(problem, SettingProblem):
        problem = SettingProblem("{} is not a table" if kind in ("model_type", "dict_type") else "{} is invalid")
    problem.keys = keys[:-1] if keys[-1] == "[key]" else keys
    if not problem.help and problem.remedy is None:
        problem.help = _example(section, problem.keys)
    return problem


def _help(name: str, table: type[SettingsTable] | None, names: tuple[str, ...]) -> str:
    meant = _meant(name, table, names)
    if meant is None:
        return f"the settings are {quoted_list(names if table is None else table.model_fields)}"
    if table is None or name not in table.elsewhere:
        return f"did you mean `{meant}`?"
    return f"did you mean `{meant}`, {re.split('[;:.] ?', table.model_fields[meant].description or '')[0]}?"


def _meant(name: str, table: type[SettingsTable] | None, names: tuple[str, ...]) -> str | None:
    """Return the setting that an unknown one probably means; None as the `table` is the file itself."""
    if table is None:
        return _TABLES_ELSEWHERE.get(name) or suggest(name, names)
    return table.elsewhere.get(name) or suggest(name, tuple(table.model_fields))


_TABLES_ELSEWHERE: Final = {
    **dict.fromkeys(("providers", "provider", "endpoints"), "servers"),
    **dict.fromkeys(("permissions", "permission", "security"), "allow"),
    **dict.fromkeys(("rate_limits", "rates", "rate_limit"), "limits"),
    **dict.fromkeys(("notifications", "notices", "alerts", "alert"), "notify"),
    **dict.fromkeys(("mcp_servers", "mcpServers"), "mcp"),
    **dict.fromkeys(("search", "web_search", "searxng"), "web"),
    **dict.fromkeys(("email", "smtp", "emails", "mail_servers"), "mail"),
    "db": "store",
    **dict.fromkeys(("database", "sql", "connections"), "databases"),
    **dict.fromkeys(("stores", "buckets", "bucket", "s3", "object_stores", "gcs", "azure"), "storage"),
    **dict.fromkeys(("memories", "remember", "mcp_memory"), "memory"),
    **dict.fromkeys(("llm", "llms"), "models"),
    **dict.fromkeys(("runs", "runtime", "defaults"), "run"),
}
"""What other programs call the settings and tables of the file."""


def _example(section: type[Section], keys: Keys) -> str:
    table, name, field = _place(section, keys)
    if field is None or not field.examples:
        first = next(((key, each.examples[0]) for key, each in table.model_fields.items() if each.examples), None)
        below = f"such as `{first[0]} = {first[1]}`" if first is not None else ""
        return f"write `[{setting_name(keys)}]` on a separate line and its settings below it, {below}".rstrip(", ")
    return f"write for example `{name} = {field.examples[0]}`"


def _place(section: type[Section], keys: Keys) -> tuple[type[SettingsTable], str, FieldInfo | None]:
    """Return the table that the keys lead to, or the setting with its name in the table that has it.

    A key of a table of tables, or of texts by name, is a name that the user has chosen.
    """
    table: type[SettingsTable] = section
    name, field, chosen = "", None, False
    for key in keys:
        if chosen:
            chosen = False
            continue
        name, field = key, table.model_fields.get(key)
        inner = table_in(field.annotation) if field is not None else table.entry
        chosen = field is not None and get_origin(field.annotation) is dict
        table = inner or table
    return table, name, field
