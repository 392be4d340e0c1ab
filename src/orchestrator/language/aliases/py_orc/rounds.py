"""What a file reads of the rounds of a loop: `rows.results[0].translate.result` reads `translate` of a round."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.canonical import mapping_at
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.draft import Draft

_LISTS: Final = r"(?:\.(?:results|iterations|items|outputs?|result))*"
_ONE: Final = r"(?:\[[^\]{}]*\]|\.\d+|\s*\|\s*(?:first|last)\s*\))"


def collect_what_is_read(draft: Draft, id: str) -> None:
    """Write `collect` for a loop of several steps, if the file reads steps of its rounds by their ids."""
    body = draft.value("steps")
    if not id or "collect" in draft.table or body is None:
        return
    if not any(key in draft.table for key in ("for_each", "foreach", "loop_over", "while", "until")):
        return
    read = _read(draft.node.layout.text, id, _ids(body))
    if not read:
        return
    key = draft.table["steps"].key
    parts: dict[str, Node] = {}
    for step, fields in read.items():
        named = {field: text_at(key, f"{{{{ {step}.{field} }}}}") for field in sorted(fields - {""})}
        parts[step] = mapping_at(key, **named) if named else text_at(key, f"{{{{ {step} }}}}")
    draft.changes.add(key, f"steps of the rounds of {id}", "collect:")
    draft.insert("collect", mapping_at(key, **parts), before="steps")


def _ids(body: Node) -> list[str]:
    if isinstance(body, Mapping):
        return list(body.table)
    items = body.items if isinstance(body, Sequence) else []
    ids = [item.get("id") for item in items if isinstance(item, Mapping)]
    return [id.text for id in ids if isinstance(id, Scalar)]


def _read(text: str, loop: str, ids: list[str]) -> dict[str, set[str]]:
    """Return the steps that are read of the rounds of a loop, each with the fields of it; "" is the whole step."""
    steps = "|".join(re.escape(id) for id in ids)
    if not steps or loop not in text:
        return {}
    of_step = rf"(?:\.(?P<step>{steps})\b|\[['\"](?P<quoted>{steps})['\"]\])(?:\.(?P<field>\w+)(?!\s*\())?"
    source = rf"\b{re.escape(loop)}{_LISTS}"
    patterns = [rf"{source}{_ONE}{of_step}"]
    patterns += [
        rf"\b{re.escape(found[1])}{of_step}"
        for found in re.finditer(rf"for\s+(\w+)\s+in\s+(?:steps\.)?{source}\b", text)
    ]
    quoted = rf"['\"](?P<step>{steps})(?:\.(?P<field>\w+))?(?P<quoted>)['\"]"
    patterns.append(rf"{source}\s*\|\s*(?:map|sum|sort|selectattr|rejectattr)\(\s*(?:attribute\s*=\s*)?{quoted}")
    read: dict[str, set[str]] = {}
    for pattern in patterns:
        for found in re.finditer(pattern, text):
            read.setdefault(found["step"] or found["quoted"], set()).add(found["field"] or "")
    return read
