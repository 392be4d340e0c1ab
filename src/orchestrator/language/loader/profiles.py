"""Reads the section `profiles` of a pipeline: named settings of model calls, and the steps that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.language.loader.validation import is_null
from orchestrator.language.spec.kinds import CALL
from orchestrator.language.spec.model_options import ProfileSpec
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, text_at
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation


def read_profiles(checks: Validation, entry: Entry) -> tuple[dict[str, ProfileSpec] | None, Node]:
    """Read the profiles by name, and keep them for the steps."""
    section = entry.value
    if is_null(section):
        return None, section
    if not isinstance(section, Mapping):
        checks.mistyped(entry, "a mapping by name", "write `profiles: {careful: {model: auto, temperature: 0}}`")
        return None, section
    specs, placed = {}, []
    for each in section.entries:
        name = each.key.text
        checks.name(each.key, name, "a profile's name")
        if not isinstance(each.value, Mapping):
            checks.mistyped(each, "a mapping such as `{model: auto, temperature: 0}`")
            continue
        spec = specs[name] = checks.spec(ProfileSpec, each.value, f"the profile `{shorten(name)}`")
        placed.append(Entry(each.key, spec.node))
    node = section.replaced(placed)
    checks.profiles = node
    return specs, node


def with_profile(checks: Validation, node: Mapping) -> Mapping:
    """Return a step with the settings of its profile among its parameters. Those of the step itself take precedence."""
    entry = node.table.get("profile")
    if entry is None or not isinstance(entry.value, Scalar):
        return node
    name = entry.value.text
    checks.used_profiles.add(name)
    if not any(key in node.table for key in CALL):
        return node  # reported later
    profile = checks.profiles.get(name) if checks.profiles is not None else None
    if not isinstance(profile, Mapping):
        if isinstance(entry.value.value, str):
            _unknown(checks, entry.value, name)
        return node
    below = node.table.get("parameters")
    given = below.value if below is not None else None
    if given is not None and not isinstance(given, Mapping) and not is_null(given):
        return node  # reported later
    own = given.table if isinstance(given, Mapping) else {}
    place = given if isinstance(given, Mapping) else entry.value
    merged = Mapping({**profile.table, **own}, place.start, place.end, place.layout)
    key = below.key if below is not None else text_at(entry.key, "parameters")
    return Mapping({**node.table, "parameters": Entry(key, merged)}, node.start, node.end, node.layout)


def report_unused_profiles(checks: Validation) -> None:
    """Warn about profiles that no step uses, unless a part of the file could not be read."""
    if checks.profiles is None or checks.partial:
        return
    for entry in checks.profiles.entries:
        if entry.key.text not in checks.used_profiles:
            checks.add(
                codes.UNUSED_VARIABLE,
                entry.key,
                f"the profile `{shorten(entry.key.text)}` is never used",
                label="never used",
                help=f"write `profile: {shorten(entry.key.text)}` in a step that calls a model, or remove it",
                severity="warning",
            )


def _unknown(checks: Validation, node: Scalar, name: str) -> None:
    known = [] if checks.profiles is None else list(checks.profiles.table)
    near = suggest(name, known)
    listed = f"the profiles: {quoted_list(known)}" if known else "declare it under `profiles:` of the file"
    checks.add(
        codes.VALUE_NOT_ALLOWED,
        node,
        f"unknown profile `{shorten(name)}`",
        label="unknown profile",
        help=f"did you mean `{near}`?" if near else listed,
        fix=near,
    )
