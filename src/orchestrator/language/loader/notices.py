"""Reads the section `notify` of a pipeline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.language.aliases.canonical import change_value, mapping_at
from orchestrator.language.aliases.steps import canonical_names
from orchestrator.language.loader.validation import complete, is_null
from orchestrator.language.spec.notices import BudgetNoticeSpec, NoticeSpec, NotifySpec
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation
    from orchestrator.language.spec.base import Spec

_OCCASIONS: dict[str, type[NoticeSpec] | type[BudgetNoticeSpec]] = {
    "failed": NoticeSpec,
    "waiting": NoticeSpec,
    "budget": BudgetNoticeSpec,
}
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*\Z")
_EXPECTED = "a target, a list of them, or a mapping such as `{failed: oncall}`"


def read_notify_spec(checks: Validation, entry: Entry) -> tuple[NotifySpec | None, Node]:
    """Read which occasions of a run send notices, and to whom."""
    section = entry.value
    if is_null(section):
        return None, section
    if _is_short(section):  # read once, so that a mistake is reported once
        spec = checks.spec(NoticeSpec, _to(section), "`notify`")
        budget = BudgetNoticeSpec(to=spec.to)
        budget.at(spec.node)
        whole = mapping_at(section, **dict.fromkeys(_OCCASIONS, spec.node))
        return complete(NotifySpec(), whole, {"failed": spec, "waiting": spec, "budget": budget}), whole
    if not isinstance(section, Mapping):
        checks.mistyped(entry, _EXPECTED)
        return None, section
    top = checks.spec(NotifySpec, section.without(_OCCASIONS), "`notify`", section)
    parts: dict[str, Spec] = {}
    placed = list(top.node.entries)
    for name, model in _OCCASIONS.items():
        if name in section.table and (found := _read_notice(checks, section.table[name], model)) is not None:
            parts[name] = found
            placed.append(Entry(section.table[name].key, found.node))
    whole = section.replaced(placed)
    return complete(top, whole, parts), whole


def _read_notice(checks: Validation, entry: Entry, model: type[Spec]) -> Spec | None:
    node = _to(entry.value) if _is_short(entry.value) else entry.value
    if not isinstance(node, Mapping):
        checks.mistyped(entry, "a target, a list of them, or a mapping such as `{to: oncall, message: ...}`")
        return None
    entries = dict(node.table)
    change_value(entries, "to", _names)
    change_value(entries, "at", _share)
    return checks.spec(model, node.replaced(entries.values()), f"`{entry.key.text}` of `notify`")


def _is_short(node: Node) -> bool:
    return isinstance(node, Sequence) or (isinstance(node, Scalar) and isinstance(node.value, str))


def _to(place: Node) -> Mapping:
    return mapping_at(place, to=_names(place))


def _names(value: Node) -> Node:
    """Return a list of targets from one, or several with commas between them."""
    return canonical_names(value) if isinstance(value, Scalar) and isinstance(value.value, str) else value


def _share(value: Node) -> Node:
    """Return a percentage as a number from 0 to 1."""
    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        return value
    found = _PERCENT.match(value.value)
    if found is None:
        return value
    return Scalar(float(found[1]) / 100, value.text, value.style, value.start, value.end, value.layout)
