"""Groups of parallel steps whose steps the file reads by their own ids, as the dialect allows: they become steps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.canonical import mapping_at
from orchestrator.language.aliases.py_orc import words
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.changes import DialectChanges

_BODIES: Final = ("steps", "tasks", "branches", "substeps", "actions", "parallel")
_ORDER: Final = ("dependencies", "depends_on", "depends-on", "needs", "depends")
_PLAIN: Final = frozenset({"id", "name", "description", "type", "metadata", *_BODIES, *_ORDER})


def steps_of_group(group: Node, changes: DialectChanges) -> list[Node]:
    """Return the steps of a group, and a step with its id that has their values; the group alone if it can stay."""
    body = _body(group)
    id = group.get("id") if isinstance(group, Mapping) else None
    if body is None or not isinstance(group, Mapping) or not isinstance(id, Scalar):
        return [group]
    inner = [item.get("id") if isinstance(item, Mapping) else None for item in body.items]
    ids = [each.text for each in inner if isinstance(each, Scalar)]
    text = group.layout.text
    outside = f"{text[: group.start]}\n{text[group.end :]}"
    if len(ids) != len(body.items) or not ids:
        return [group]
    fields = (
        _read(outside, id.text, ids) if "parallel" not in group.table or not _is_list(group.get("parallel")) else {}
    )
    if not fields and not _reads_inner(outside, ids):
        return [group]
    changes.add(group, f"the group {id.text}", "its steps, and a step with their values")
    before = next((entry for name in _ORDER if (entry := group.table.get(name)) is not None), None)
    made: list[Node] = [_after(item, before) for item in body.items if isinstance(item, Mapping)]
    values: dict[str, Node] = {}
    for each in ids:
        named = {field: text_at(id, f"{{{{ {each}.{field} }}}}") for field in sorted(fields.get(each, ()))}
        values[each] = mapping_at(id, **named) if named else text_at(id, f"{{{{ {each} }}}}")
    return [*made, mapping_at(group, id=id, value=mapping_at(id, **values))]


def _body(group: Node) -> Sequence | None:
    """Return the steps of a group of parallel steps that has no settings of its own."""
    if not isinstance(group, Mapping) or not group.table.keys() <= _PLAIN:
        return None
    kind = group.get("type")
    named = isinstance(kind, Scalar) and words.GROUP_TYPES.get(kind.text.lower().replace("-", "_")) == "parallel"
    flag = group.get("parallel")
    if not named and not _is_list(flag) and not (isinstance(flag, Scalar) and flag.value is True):
        return None
    return next((value for name in _BODIES if isinstance(value := group.get(name), Sequence)), None)


def _is_list(node: Node | None) -> bool:
    return isinstance(node, Sequence)


def _read(text: str, group: str, ids: list[str]) -> dict[str, set[str]]:
    steps = "|".join(map(re.escape, ids))
    read: dict[str, set[str]] = {}
    for found in re.finditer(
        rf"\b{re.escape(group)}\.(?:results?\.|outputs?\.)?({steps})\.([A-Za-z_]\w*)(?!\s*\()", text
    ):
        read.setdefault(found[1], set()).add(found[2])
    return read


def _reads_inner(text: str, ids: list[str]) -> bool:
    """Whether a template or a list of dependencies outside names a step of the group by its own id."""
    steps = "|".join(map(re.escape, ids))
    named = re.compile(rf"(?<![\w.'\"-])(?:{steps})(?![\w'\"-])")
    tags = (found[0] for found in re.finditer(r"\{\{.*?\}\}|\{%.*?%\}", text, re.DOTALL))
    return any(named.search(tag) for tag in tags)


def _after(step: Mapping, before: Entry | None) -> Mapping:
    """Return a step that waits for what its group waits for."""
    if before is None:
        return step
    own = next((name for name in _ORDER if name in step.table), None)
    if own is None:
        return Mapping({**step.table, "dependencies": before}, step.start, step.end, step.layout)
    mine, theirs = (
        value.items if isinstance(value, Sequence) else [value] for value in (step.table[own].value, before.value)
    )
    place = step.table[own]
    both = Sequence([*theirs, *mine], place.value.start, place.value.end, step.layout)
    return Mapping({**step.table, own: Entry(place.key, both)}, step.start, step.end, step.layout)
