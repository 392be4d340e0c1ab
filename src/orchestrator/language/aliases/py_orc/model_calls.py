"""The settings of model calls: `<AUTO>` for a model, and parameters by their older names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.language.aliases.py_orc import words
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, literal, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.draft import Draft

_AUTO: Final = re.compile(r"\s*<AUTO(?P<attributes>[^<>]*?)/?>(?P<question>.*?)(?:</AUTO\s*>)?\s*\Z", re.DOTALL)
_TAG: Final = re.compile(r"<AUTO(?P<attributes>\s[^<>]*=[^<>]*?)(?P<end>/?>)")
_ATTRIBUTE: Final = re.compile(r"([A-Za-z][\w-]*)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
_NO_REQUIREMENT: Final = "of `requires_model`, this is not a requirement: the models that qualify are tried in order"
_SPLIT: Final = re.compile(r"\s*,\s*")
_LISTS: Final = frozenset({"capabilities", "modalities", "expertise", "providers"})


def auto_model(draft: Draft, *, whole_file: bool = False) -> None:
    """`model: <AUTO task="vision">...</AUTO>` is a requirement, `model: <AUTO>` is `auto`."""
    value = draft.value("model")
    if not isinstance(value, Scalar) or not isinstance(value.value, str) or "<AUTO" not in value.value:
        return
    found = _AUTO.match(value.value)
    if found is None:
        return
    requires, selection = _requirements(found["attributes"])
    if whole_file:
        if requires:
            draft.changes.note(value, "the requirements of a model belong to the steps: write `requires_model` there")
        requires = {}
    place = draft.table["model"].key
    known = draft.value("requires_model")
    if not whole_file and (requires or selection or isinstance(known, Mapping)):
        draft.drop("model", "requires_model:" if requires or not selection else "selection:")
        if requires and (known is None or isinstance(known, Mapping)):
            draft.set("requires_model", _with(known, literal(value, requires)), place)
    else:
        draft.changes.add(value, value.text, "auto")
        draft.set("model", text_at(value, "auto"), place)
    if selection and "selection" not in draft.table:
        draft.set("selection", text_at(value, selection), place)


def _with(known: Node | None, further: Node) -> Node:
    """Return requirements with further ones; those that are written out take precedence."""
    if not isinstance(known, Mapping) or not isinstance(further, Mapping):
        return further
    return Mapping({**further.table, **known.table}, known.start, known.end, known.layout)


def join_requirements(draft: Draft, inner: Draft) -> None:
    """Move the `requires_model` of a step to that below its `parameters`, if it has both."""
    own, below = draft.value("requires_model"), inner.value("requires_model")
    if isinstance(own, Mapping) and isinstance(below, Mapping):
        draft.drop("requires_model", "requires_model: below `parameters`")
        inner.set("requires_model", _with(own, below), below)


def _requirements(attributes: str) -> tuple[dict[str, Any], str]:
    """Return the attributes of an `<AUTO>` as requirements, and what counts most. Unknown ones are reported later."""
    requires: dict[str, Any] = {}
    selection = ""
    for name, *quoted in _ATTRIBUTE.findall(attributes):
        value = next((each for each in quoted if each), "").strip()
        key = name.lower().replace("-", "_")
        if key == "task":
            if capability := words.CAPABILITY_OF_TASK.get(value.lower()):
                requires.setdefault("capabilities", []).append(capability)
        elif (found := words.SELECTION_BY.get(key, {}).get(value.lower())) is not None:
            selection = found
        elif key in words.SELECTION_BY:
            continue  # `speed="medium"` asks for nothing special
        else:
            meant = words.REQUIREMENT_OF.get(key, key)
            items = [each for each in _SPLIT.split(value) if each]
            requires[meant] = [*requires.get(meant, []), *items] if meant in _LISTS else _number(value)
    return requires, selection


def _number(value: str) -> Any:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return value


def without_attributes(scalar: Scalar) -> tuple[Scalar, list[str]]:
    """Return a text whose `<AUTO>` tags have no attributes, and those that were left out."""
    text = scalar.value
    pieces: list[tuple[str, int, int]] = []
    dropped: list[str] = []
    position = 0
    for tag in _TAG.finditer(text):
        pieces.append((text[position : tag.start("attributes")], position, tag.start("attributes")))
        dropped.append(tag["attributes"].strip())
        position = tag.start("end")
    if not dropped:
        return scalar, []
    pieces.append((text[position:], position, len(text)))
    return scalar.made_of(piece for piece in pieces if piece[1] < piece[2]), dropped


def call_settings(draft: Draft) -> None:
    """Rename the parameters of a model call, in a step or below its `parameters`."""
    draft.rename_all(words.PARAMETER_KEYS)
    requires = draft.value("requires_model")
    if isinstance(requires, Scalar) and isinstance(requires.value, str) and "model" not in draft.table:
        draft.rename("requires_model", "model")
    if isinstance(requires, Mapping) and (plain := _without_hyphens(draft, requires)) is not requires:
        draft.set("requires_model", plain, requires)
    auto_model(draft)
    _response_format(draft)
    captured = draft.plain("capture_output")
    if captured is True:
        draft.drop("capture_output", "nothing: the output is always captured")


def _without_hyphens(draft: Draft, requires: Mapping) -> Mapping:
    from orchestrator.language.aliases.py_orc.draft import Draft as Inner

    inner = Inner(requires, draft.changes)
    inner.without_hyphens(frozenset(words.REQUIREMENT_OF) | {"min_size"})
    inner.rename_all({old: new for old, new in words.REQUIREMENT_OF.items() if old != new})
    for name in [name for name in inner.table if name in words.NO_REQUIREMENTS]:
        draft.changes.note(inner.drop(name, "nothing").key, _NO_REQUIREMENT)
    return inner.mapping()


def _response_format(draft: Draft) -> None:
    """`response_format: json_object`, `{type: json_object}` and `{type: json_schema, json_schema: {...}}`."""
    value = draft.value("response_format")
    entry = draft.table.get("response_format")
    if value is None or entry is None:
        return
    if isinstance(value, Mapping) and isinstance(kind := value.get("type"), Scalar):
        schema: Node | None = value.get("json_schema") or value.get("schema")
        if isinstance(schema, Mapping) and (inner := schema.get("schema")) is not None:
            schema = inner
        if kind.text == "json_schema" and schema is not None:
            draft.changes.add(kind, "json_schema", "the schema itself")
            draft.set("response_format", schema, entry.key)
            return
        value = kind if kind.text in ("json_object", "json", "text") and len(value.table) == 1 else value
    if isinstance(value, Scalar) and value.text in ("json_object", "json", "text", "json-object"):
        meant = "text" if value.text == "text" else "json"
        if value is not entry.value or value.text != meant:
            draft.changes.add(value, value.text, meant)
            draft.set("response_format", text_at(value, meant), entry.key)
