"""Typed outputs of steps, and results that are written to a file: `outputs`, `produces`, `location`, `format`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.canonical import mapping_at
from orchestrator.language.aliases.py_orc import words
from orchestrator.language.aliases.py_orc.draft import Draft
from orchestrator.language.aliases.py_orc.file_texts import own_step
from orchestrator.language.aliases.tables import TYPE_WORDS
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.changes import DialectChanges
    from orchestrator.language.aliases.py_orc.names import DeclaredNames

_KIND: Final = re.compile(
    r"(?:\w+[-_])*(?:file|report|text|image|document|json|csv|html|markdown|pdf|data|string|object)\Z", re.IGNORECASE
)
"""What `produces` names in the dialect, other than the path of a file."""
_DIRECTORIES: Final = frozenset({"data", "report", "image", "document", "text"})
_TYPES: Final = frozenset({*TYPE_WORDS, *TYPE_WORDS.values()})
_NOT_TEXT: Final = (
    ".pdf",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".docx",
    ".xlsx",
    ".pptx",
    ".zip",
    ".mp3",
    ".wav",
    ".mp4",
    ".parquet",
)
_VALUES: Final = frozenset({"value", "source", "from"})
_DETAILS: Final = frozenset({"type", "description", "location", "format", "schema", "required", "items", "properties"})


class ResultFiles:
    """The steps that write the results of one file. `steps` are those of the outputs of the pipeline."""

    def __init__(self, root: Mapping, names: DeclaredNames, changes: DialectChanges) -> None:
        self._text = root.layout.text
        self._names = names
        self.changes = changes
        self.steps: list[Mapping] = []

    def _declared(self, name: str) -> str:
        """Return a template for an output without a value: the step of that name, or what one step declares so."""
        if name in self._names.steps:
            return f"{{{{ {name} }}}}"
        steps = [id for id, outputs in self._names.step_outputs.items() if name in outputs]
        if len(steps) != 1:
            return ""
        return f"{{{{ {steps[0]}.{name} }}}}" if name in self.reads(steps[0]) else f"{{{{ {steps[0]} }}}}"

    def reads(self, id: str) -> set[str]:
        """Return the fields of a step that the file reads somewhere, or that an output without a value names."""
        if not id:
            return set()
        return (self._names.step_outputs.get(id, set()) & self._names.without_value) | {
            found[1] for found in re.finditer(rf"\b{re.escape(id)}\.(?:result\.|output\.|outputs\.)?(\w+)", self._text)
        }

    def writing(
        self, place: Node, id: str, location: Scalar, value: str, format: str = "", condition: Node | None = None
    ) -> Mapping:
        """Return a step that writes a value to a file."""
        name, number = f"{id}_file", 2
        while self._names.declares(name):
            name, number = f"{id}_file_{number}", number + 1
        self._names.steps.add(name)
        path = location.text.lower()
        if format == "json" or path.endswith(".json"):
            value = f"{value} | to_json(indent=2)"
        content = text_at(place, f"{{{{ {value} }}}}")
        return own_step(place, name, {"path": location, "content": content}, condition)

    def of_pipeline(self, section: Node) -> Node:
        """Return the outputs of the pipeline without `source`, `location` and `format`."""
        if isinstance(section, Sequence):
            return section.replaced(self._output(item, _name_of(item)) for item in section.items)
        if not isinstance(section, Mapping):
            return section
        entries = [Entry(entry.key, self._output(entry.value, entry.key.text)) for entry in section.entries]
        same = all(new.value is old.value for new, old in zip(entries, section.entries, strict=True))
        return section if same else section.replaced(entries)

    def _output(self, value: Node, name: str) -> Node:
        if not isinstance(value, Mapping):
            return value
        if _VALUES.isdisjoint(value.table) and "location" not in value.table and (found := self._declared(name)):
            value = value.replaced([*value.entries, Entry(text_at(value, "value"), text_at(value, found))])
            self.changes.add(value, f"the output {name} without a value", found)
        if value.table.keys().isdisjoint(("source", "location", "format", "required")):
            return value
        draft = Draft(value, self.changes)
        draft.rename("source", "value")
        format = str(draft.plain("format") or "")
        given = draft.value("value") or draft.value("from")
        location = draft.value("location")
        if isinstance(location, Scalar) and isinstance(location.value, str) and given is None:
            draft.rename("location", "value")
        elif isinstance(location, Scalar) and isinstance(location.value, str) and _is_text_file(location):
            inner = _inner(given)
            if inner is not None:
                place = draft.drop("location", "a step that writes the file").key
                step = inner.removeprefix("steps.").split(".")[0]
                runs = text_at(place, f"{step} is not none") if step in self._names.conditional else None
                self.steps.append(self.writing(place, name, location, inner, format, runs))
        if draft.plain("type") in ("file", "path") and given is not None and "location" not in draft.table:
            draft.drop("type", "nothing: the value is not a path")
        if "location" not in draft.table:
            for key in ("format", "required"):
                if key in draft.table:
                    draft.drop(key, "nothing")
        return draft.mapping()


def _inner(value: Node | None) -> str | None:
    from orchestrator.language.aliases.py_orc.names import expression_of

    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        return None
    inner = expression_of(value.value)
    if inner is not None:
        return inner if " " not in inner or "|" not in inner else f"({inner})"
    return None


def _name_of(item: Node) -> str:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name.text if isinstance(name, Scalar) else "output"


def _is_text_file(location: Scalar) -> bool:
    return not location.text.lower().endswith(_NOT_TEXT)


def rewrite_results(draft: Draft, id: str, files: ResultFiles) -> list[Mapping]:
    """Rewrite `outputs`, `produces` and `location` of a step; return the steps that write its files."""
    further: list[Mapping] = []
    if "outputs" in draft.table and "end" not in draft.table:
        further += _outputs(draft, id, files)
    produced, location = draft.value("produces"), draft.value("location")
    if isinstance(location, Scalar) and isinstance(location.value, str) and id and _is_text_file(location):
        entry = draft.drop("location", "a step that writes the file")
        format = str(draft.plain("format") or "")
        if "format" in draft.table:
            draft.drop("format", "nothing")
        schema = draft.value("schema")
        first = next(iter(schema.table), "") if isinstance(schema, Mapping) else ""
        text = f"{id}.{first}" if first and not location.text.lower().endswith(".json") else id
        further.append(files.writing(entry.key, id, location, text, format, _condition_of(draft)))
    if isinstance(produced, Scalar) and isinstance(produced.value, str) and (further or _names_kind(produced.text)):
        draft.into_metadata("produces")
    return further


def _names_kind(produced: str) -> bool:
    """Whether `produces` names a kind of result, such as `markdown-report`, and not a file or a directory."""
    return _KIND.match(produced) is not None and produced.lower() not in _DIRECTORIES


def _condition_of(draft: Draft) -> Node | None:
    return next((value for name in ("condition", "if", "when") if (value := draft.value(name)) is not None), None)


def _outputs(draft: Draft, id: str, files: ResultFiles) -> list[Mapping]:
    """`outputs` of a step declare the fields of a model's answer; of another step they are notes."""
    value = draft.value("outputs")
    fields = _fields(value)
    if fields is None or "pipeline" in draft.table:
        return []
    further = []
    for name, details in fields.items():
        location = details.get("location") if isinstance(details, Mapping) else None
        if isinstance(location, Scalar) and id and _is_text_file(location):
            wanted = id if name in words.STEP_RESULT or len(fields) == 1 else f"{id}.{name}"
            format = details.get("format") if isinstance(details, Mapping) else None
            text = format.text if isinstance(format, Scalar) else ""
            condition = _condition_of(draft)
            further.append(files.writing(draft.table["outputs"].key, id, location, wanted, text, condition))
    typed = {name: schema for name, details in fields.items() if (schema := _schema(details)) is not None}
    asks = "prompt" in draft.table or str(draft.plain("action")) in words.TEXT_ACTIONS
    read = files.reads(id) & typed.keys() - words.STEP_RESULT
    if asks and read and {"schema", "vars", "response_format"}.isdisjoint(draft.table):
        key = draft.table["outputs"].key
        if "action" in draft.table:
            draft.set("action", text_at(draft.table["action"].value, "generate"), key)
        draft.rename("outputs", "schema")
        draft.set("schema", mapping_at(key, **typed), key)
    else:
        draft.into_metadata("outputs")
    return further


def _fields(value: Node | None) -> dict[str, Node] | None:
    """Return the declared outputs of a step by name; None if they are something else."""
    if isinstance(value, Sequence):
        found: dict[str, Node] = {}
        for item in value.items:
            name = item if isinstance(item, Scalar) else item.get("name") if isinstance(item, Mapping) else None
            if isinstance(name, Scalar):
                found[name.text] = item
            elif isinstance(item, Mapping) and len(item.table) == 1:
                found |= {entry.key.text: entry.value for entry in item.entries}
            else:
                return None
        return found
    if not isinstance(value, Mapping):
        return None
    return {entry.key.text: entry.value for entry in value.entries}


def _schema(details: Node) -> Node | None:
    """Return the schema of one typed output: a word, or a mapping with a `type`."""
    if isinstance(details, Scalar):
        word = str(details.value)
        return text_at(details, TYPE_WORDS.get(word, word) if word in _TYPES else "string")
    if not isinstance(details, Mapping) or not details.table.keys() <= _DETAILS | {"name", "default", "enum"}:
        return None
    kind = details.get("type")
    word = kind.text if isinstance(kind, Scalar) else "string"
    meant = TYPE_WORDS.get(word, word)
    parts: dict[str, Node] = {"type": text_at(details, "string" if meant == "file" else meant)}
    parts |= {key: part for key in ("description", "items", "properties", "enum") if (part := details.get(key))}
    return mapping_at(details, **parts)
