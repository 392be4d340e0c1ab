"""Validates settings by the schema, and turns what Pydantic refuses into problems in our own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_origin

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
    if kind == "extra_forbidden" or (kind == "model_type" and len(keys) > 1 and _place(section, keys[:-1])[0].entry):
        known = tuple(_place(section, keys[:-1])[0].model_fields) if len(keys) > 1 else names
        near = suggest(keys[-1], known)
        help = f"did you mean `{near}`?" if near else f"the settings are {quoted_list(known)}"
        return SettingProblem("unknown setting {}", help=help, keys=keys)
    problem = (entry.get("ctx") or {}).get("error")
    if not isinstance(problem, SettingProblem):
        problem = SettingProblem("{} is not a table" if kind in ("model_type", "dict_type") else "{} is invalid")
    problem.keys = keys[:-1] if keys[-1] == "[key]" else keys
    if not problem.help and problem.remedy is None:
        problem.help = _example(section, problem.keys)
    return problem


def _example(section: type[Section], keys: Keys) -> str:
    _, name, field = _place(section, keys)
    if field is None or not field.examples:
        return f"write `[{setting_name(keys)}]` on a separate line and the settings below it"
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
