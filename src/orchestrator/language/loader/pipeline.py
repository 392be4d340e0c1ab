"""Reads a whole pipeline: each part separately, so that one error does not hide another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.language.aliases.declarations import canonical_pipeline
from orchestrator.language.aliases.steps import canonical_defaults
from orchestrator.language.loader.concurrency import read_concurrency_spec
from orchestrator.language.loader.declarations import read_input_specs, read_output_specs
from orchestrator.language.loader.key_diagnostics import meant_key
from orchestrator.language.loader.model_parts import read_budget_spec
from orchestrator.language.loader.notices import read_notify_spec
from orchestrator.language.loader.profiles import read_profiles, report_unused_profiles
from orchestrator.language.loader.steps import read_body, read_handler_specs, read_step_list, steps_from_mapping
from orchestrator.language.loader.triggers import read_trigger_specs
from orchestrator.language.loader.validation import Validation, complete, is_null, place
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.pipeline import PipelineSpec
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from orchestrator.language.spec.pipeline import StepSpec

_FINALLY, _HANDLERS, _TRIGGERS, _NOTIFY = "finally", "error_handlers", "triggers", "notify"
_PROFILES, _CONCURRENCY = "profiles", "concurrency"
_ABOUT_MODELS = ("model", "experts", "selection", "judge_model", "budget")


def read_pipeline(checks: Validation, root: Mapping) -> PipelineSpec:
    """Read the root mapping of a file."""
    node = checks.canonical(canonical_pipeline(root), "the pipeline")
    entries = dict(node.table)
    prose = node.get("prose_actions")
    checks.prose_actions = isinstance(prose, Scalar) and prose.value is True
    profiles = {_PROFILES: read_profiles(checks, entries[_PROFILES])} if _PROFILES in entries else {}
    parts: dict[str, tuple[Any, Node]] = {
        **profiles,
        "inputs": read_input_specs(checks, node.get("inputs"), root),
        "outputs": read_output_specs(checks, node.get("outputs"), root),
        "steps": _steps(checks, entries, root),
    }
    if _FINALLY in entries:
        parts[_FINALLY] = read_body(checks, entries[_FINALLY], "the pipeline")
    if _HANDLERS in entries:
        parts[_HANDLERS] = read_handler_specs(checks, entries[_HANDLERS], "the pipeline")
    if _TRIGGERS in entries:
        parts[_TRIGGERS] = read_trigger_specs(checks, entries[_TRIGGERS])
    if _NOTIFY in entries:
        parts[_NOTIFY] = read_notify_spec(checks, entries[_NOTIFY])
    if _CONCURRENCY in entries:
        parts[_CONCURRENCY] = read_concurrency_spec(checks, entries[_CONCURRENCY])
    report_unused_profiles(checks)
    for name in ("variables", "metadata", "defaults", *_ABOUT_MODELS):
        if name in entries and is_null(entries[name].value):
            del entries[name]
    if "budget" in entries:
        parts["budget"] = read_budget_spec(checks, entries["budget"], "the pipeline")
    checks.names(node.get("variables"), "variable")
    if isinstance(value := node.get("defaults"), Mapping):
        canonical = checks.canonical(canonical_defaults(value), "`defaults`")
        entries["defaults"] = Entry(entries["defaults"].key, canonical)
    top = node.replaced(entry for name, entry in entries.items() if name not in parts)
    spec = checks.spec(PipelineSpec, top, "the pipeline")
    if spec.id and (at := spec.node.get("id")):
        checks.name(at, spec.id, "the pipeline's id")
    kept = [
        Entry(entry.key, parts[name][1]) if name in parts else spec.node.table[name]
        for name, entry in entries.items()
        if name in parts or name in spec.node.table
    ]
    fields = key_fields(PipelineSpec)
    spec = complete(spec, node.replaced(kept), {fields[name]: value for name, (value, _) in parts.items()})
    if spec.defaults and isinstance(inner := spec.node.get("defaults"), Mapping):
        place(spec.defaults, inner)
    return spec


def _steps(checks: Validation, entries: dict[str, Entry], root: Mapping) -> tuple[tuple[StepSpec, ...], Sequence]:
    entry = entries.get("steps")
    section: Node | None = entry.value if entry else None
    if isinstance(section, Mapping):
        section = steps_from_mapping(checks, section)
    if section is None or is_null(section) or (isinstance(section, Sequence) and not section.items):
        unknown = (key.key for name, key in entries.items() if name not in key_fields(PipelineSpec))
        misspelt = any(meant_key(key, PipelineSpec) == "steps" for key in unknown)  # reported as a misspelt key
        if not checks.partial and not misspelt:
            _no_steps(checks, entry, root)
        section = Sequence([], root.start, root.start, root.layout)
    elif not isinstance(section, Sequence):
        checks.wrong_type(section, "`steps` must be a list of steps, each starting with `- id:`")
        section = Sequence([], section.start, section.end, section.layout)
    return read_step_list(checks, section)


def _no_steps(checks: Validation, entry: Entry | None, root: Mapping) -> None:
    at: Node | None = entry.key if entry else (root.entries[0].key if root.entries else None)
    checks.add(
        codes.MISSING_KEY,
        at or root,
        "the pipeline has no steps",
        label="no steps below" if entry else "`steps` is missing",
        help="add `steps:` with a list of steps, each with an `id` and a `tool`",
    )
