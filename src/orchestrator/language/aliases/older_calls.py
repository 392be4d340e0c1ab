"""Steps that use a tool or an action of the older dialect, rewritten to what they mean here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, field

from orchestrator.language.aliases.canonical import Clash, Spelled, written_key
from orchestrator.language.aliases.older_call import STEP_KINDS, OlderCall
from orchestrator.language.aliases.older_model_calls import PROSE, PROSE_SETTINGS
from orchestrator.language.aliases.older_questions import questions_by_name
from orchestrator.language.aliases.older_tools import OLDER
from orchestrator.language.yaml.nodes import Entry, Node, Scalar, Sequence, literal, text_at
from orchestrator.language.yaml.nodes import Mapping as MappingNode

IsKnown = Callable[[str | None, str | None], bool]
"""Whether a project has a tool, or an action of it, with the names that a step writes as `tool` and `action`."""


def nothing_known(tool: str | None, action: str | None) -> bool:
    """Return that a project has no tools, which is all that is known without it."""
    return False


class OlderUse(Struct, frozen=True):
    """A step that names a tool or an action by an older name, and what that means here, as it is written."""

    place: Node
    written: str
    canonical: str


class OlderKey(Spelled):
    """A key of a step that is called by an older name, in the spelling that it has here."""

    __slots__ = ()


def renamed_key(key: Scalar, name: str) -> Scalar:
    """Return the key with its name here, in the same place."""
    return (
        key if key.text == name else OlderKey(name, name, "synthetic", key.start, key.end, key.layout, written_key(key))
    )


class OlderStep(Struct, frozen=True):
    """A step as it is written here.

    `results` are the older names of the fields of its result, each with its name here; "" is the value of the step.
    `refused` are the parameters that have no equivalent, with what to write instead; `without_effect` those that change
    nothing, with what happens.
    """

    node: MappingNode
    name: str
    use: OlderUse
    results: Mapping[str, str] = field(default_factory=dict)
    clashes: tuple[Clash, ...] = ()
    refused: tuple[tuple[Scalar, str], ...] = ()
    without_effect: tuple[tuple[Scalar, str], ...] = ()


def older_step(node: MappingNode, is_known: IsKnown, *, prose: bool = False) -> OlderStep | None:
    """Return the meaning of a step with a tool or an action of the older dialect; None for other steps.

    `node` has canonical keys. Tools of the project keep their meaning. With `prose`, an action of several words is what
    a model is asked to do.
    """
    tool, action = _text(node, "tool"), _text(node, "action")
    if tool is None and action is not None and action.startswith("!"):
        return _command(node, action)
    if prose and tool is None and action is not None and is_prose(action):
        value = node.table["action"].value
        return _whole(node, PROSE, action, [Entry(text_at(value, "prompt"), value)])
    name = tool or action
    given = node.get("parameters")
    if name is None or (given is not None and not isinstance(given, MappingNode) and not _is_null(given)):
        return None  # the second is reported later
    entries = given.entries if isinstance(given, MappingNode) else []
    meaning = _applying(tool, action, entries, is_known)
    return _rewritten(node, meaning, name, entries) if meaning is not None else None


def computed_fields(node: MappingNode, is_known: IsKnown) -> Mapping[str, str]:
    """Return the fields of the result of a step that are expressions here, as `OlderCall.computed` has them."""
    tool, action = _text(node, "tool"), _text(node, "action")
    if (tool or action or "") == "" or _folded(tool or action or "") not in OLDER:
        return {}
    given = next((value for key in _BELOW if isinstance(value := node.get(key), MappingNode)), None)
    meaning = _applying(tool, action, given.entries if given is not None else [], is_known)
    if meaning is None or meaning.meaning != "pipeline" or given is None:
        return meaning.computed if meaning is not None else {}
    mapped = given.get("output_mapping") or given.get("output-mapping")
    outputs = _outputs(mapped) if mapped is not None else None
    return {**meaning.computed, **{name: f"STEP.{output}" for name, output in (outputs or {}).items()}}


_BELOW: Final = ("parameters", "params", "args", "arguments", "with")


def _applying(tool: str | None, action: str | None, entries: list[Entry], is_known: IsKnown) -> OlderCall | None:
    """Return the meaning of the names of a tool and an action, with these parameters."""
    verb = _folded(action or "") if tool is not None else ""
    for meaning in OLDER.get(_folded(tool or action or ""), ()):
        if verb not in meaning.actions or not _applies(meaning, entries):
            continue
        if meaning.replaces and meaning.meaning.endswith(f".{action}") and not _renames(meaning, entries):
            return None  # it has the names of this action
        if not meaning.replaces and is_known(tool, action):
            return None
        return meaning
    return None


def older_actions(tool: str) -> list[str]:
    """Return the actions of a tool of the older dialect that have a meaning here."""
    return [action for meaning in OLDER.get(_folded(tool), ()) for action in meaning.actions if action]


def is_prose(action: str) -> bool:
    """Return whether an action is a text for people, not the name of a tool."""
    return " " in action.strip() or "\n" in action.strip()


def _folded(name: str) -> str:
    return name.strip().replace("-", "_").replace(" ", "_").lower()


def _text(node: MappingNode, key: str) -> str | None:
    value = node.get(key)
    return value.value if isinstance(value, Scalar) and isinstance(value.value, str) and value.value.strip() else None


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _parameter(meaning: OlderCall, key: Scalar) -> str:
    name = key.text.replace("-", "_")
    return meaning.parameters.get(name, name)


def _applies(meaning: OlderCall, entries: list[Entry]) -> bool:
    if not meaning.when:
        return True
    values = {_parameter(meaning, entry.key): entry.value for entry in entries}
    return all(_is_one_of(values.get(name), wanted) for name, wanted in meaning.when.items())


def _renames(meaning: OlderCall, entries: list[Entry]) -> bool:
    older = {*meaning.told, *meaning.without_effect}
    return any((name := _parameter(meaning, entry.key)) != entry.key.text or name in older for entry in entries)


def _is_one_of(value: Node | None, wanted: tuple[object, ...]) -> bool:
    if value is None or _is_null(value):
        return None in wanted
    return ... in wanted or (isinstance(value, Scalar) and value.value is not None and value.value in wanted)


def _rewritten(node: MappingNode, meaning: OlderCall, name: str, entries: list[Entry]) -> OlderStep:
    given = _Parameters(meaning)
    for entry in entries:
        given.read(entry)
    place = node.get("tool") or node.get("action") or node
    table = given.whole(place)
    rest = {key: entry for key, entry in node.table.items() if key not in ("tool", "action", "parameters")}
    below = node.get("parameters")
    inner = below if isinstance(below, MappingNode) else place
    parameters = MappingNode(table, inner.start, inner.end, node.layout)
    key = node.key("tool") or node.key("action") or text_at(node, "tool")
    if meaning.meaning in STEP_KINDS:
        given.clashes += _as_kind(rest, meaning.meaning, key, parameters)
    else:
        tool, _, action = meaning.meaning.partition(".")
        rest["tool"] = Entry(renamed_key(key, "tool"), text_at(place, tool))
        value = text_at(node.get("action") or place, action)
        rest["action"] = Entry(renamed_key(node.key("action") or key, "action"), value)
        if table:
            rest["parameters"] = Entry(node.key("parameters") or text_at(place, "parameters"), parameters)
    whole = MappingNode(rest, node.start, node.end, node.layout)
    return OlderStep(
        whole,
        name,
        OlderUse(place, " ".join(filter(None, (_text(node, "tool"), _text(node, "action")))), _as_written(meaning)),
        given.results,
        tuple(given.clashes),
        tuple(given.refused),
        tuple(given.without_effect),
    )


def _as_written(meaning: OlderCall) -> str:
    return f"{meaning.meaning}:" if meaning.meaning in STEP_KINDS else f"action: {meaning.meaning}"


class _Parameters:
    """The parameters of a call by an older name, read one by one."""

    def __init__(self, meaning: OlderCall) -> None:
        self.meaning = meaning
        self.results = dict(meaning.results)
        self.clashes: list[Clash] = []
        self.refused: list[tuple[Scalar, str]] = []
        self.without_effect: list[tuple[Scalar, str]] = []
        self._table: dict[str, Entry] = {}
        self._told: dict[str, list[Entry]] = {}
        self._headings: dict[str, tuple[Entry, str]] = {}

    def read(self, entry: Entry) -> None:
        """Read one parameter by what the table says of it."""
        meaning, key, value = self.meaning, entry.key, entry.value
        name = _parameter(meaning, key)
        if meaning.meaning == "pipeline" and name == "output_mapping":
            self._map_outputs(entry)
        elif name == "questions" and meaning.meaning == "ask" and (asked := questions_by_name(value)) is not None:
            self._table[name] = Entry(renamed_key(key, name), asked)
        elif (word := _word(meaning, name, value)) is not None:
            self._table.setdefault(word[0], Entry(renamed_key(key, word[0]), literal(value, word[1])))
        elif name in meaning.ignored and _is_one_of(value, meaning.ignored[name]):
            return
        elif name in meaning.told or (meaning is PROSE and name not in PROSE_SETTINGS):
            self._told.setdefault(meaning.told.get(name, "prompt"), []).append(entry)
        elif name in meaning.headings and (text := _as_markdown(name, value)) is not None:
            self._headings[name] = entry, text
        elif name in meaning.without_effect:
            self.without_effect.append((key, meaning.without_effect[name]))
        elif name in meaning.instead:
            self.refused.append((key, meaning.instead[name]))
        elif name in self._table:
            self.clashes.append(Clash(name, self._table[name].key, key))
        else:
            self._table[name] = Entry(renamed_key(key, name), value)

    def whole(self, place: Node) -> dict[str, Entry]:
        """Return the parameters as they are called here, with those that the older tool did not need."""
        table = self._table
        for name, value in self.meaning.constants.items():
            if name not in table:
                table[name] = Entry(text_at(place, name), literal(place, value))
        for name, told in self._told.items():
            table[name] = _with_told(table.get(name), name, told)
        for name in dict.fromkeys(self.meaning.headings[part] for part in self._headings):
            table[name] = self._with_headings(table.get(name), name)
        prompt = table.get("prompt")
        if prompt is not None and isinstance(prompt.value, MappingNode):
            table["prompt"] = Entry(prompt.key, text_at(prompt.value, _shown(prompt.value)))
        return table

    def _with_headings(self, entry: Entry | None, name: str) -> Entry:
        """Return a text with its title before it and its sections after it."""
        parts = {part: text for part, (_, text) in self._headings.items()}
        texts = [parts.get("title"), _shown(entry.value) if entry is not None else None, parts.get("sections")]
        first = entry or next(iter(self._headings.values()))[0]
        key = entry.key if entry is not None else renamed_key(first.key, name)
        return Entry(key, text_at(first.value, "\n\n".join(filter(None, texts))))

    def _map_outputs(self, entry: Entry) -> None:
        mapped = _outputs(entry.value)
        if mapped is None:
            help = "write the name of one output for each: `output_mapping: {summary: text}`"
            self.refused.append((entry.key, help))
        else:
            self.results |= mapped


def _word(meaning: OlderCall, parameter: str, value: Node) -> tuple[str, Any] | None:
    """Return the parameter and the value that a word means; None for other values."""
    words = meaning.words.get(parameter)
    if words is None or not isinstance(value, Scalar):
        return None
    return words.get(value.text.strip().lower())


def _as_markdown(name: str, value: Node) -> str | None:
    """Return a title, or sections with a heading each, as Markdown; None for other forms."""
    if name == "title":
        return f"# {value.text}" if isinstance(value, Scalar) else None
    if isinstance(value, MappingNode):
        return "\n\n".join(f"## {entry.key.text}\n\n{_shown(entry.value)}" for entry in value.entries)
    if not isinstance(value, Sequence):
        return None
    sections = []
    for item in value.items:
        texts = dict(item.table) if isinstance(item, MappingNode) else {}
        heading = next((texts[key].value for key in _HEADINGS if key in texts), None)
        body = next((texts[key].value for key in _BODIES if key in texts), None)
        if heading is None or texts.keys() - {*_HEADINGS, *_BODIES}:
            return None
        sections.append(f"## {_shown(heading)}" + (f"\n\n{_shown(body)}" if body is not None else ""))
    return "\n\n".join(sections)


_HEADINGS: Final = ("title", "heading", "name")
_BODIES: Final = ("content", "text", "body")


def _with_told(entry: Entry | None, parameter: str, told: list[Entry]) -> Entry:
    """Return a text for a model with further sentences: `Language: en`."""
    sentences = [f"{each.key.text.replace('_', ' ').capitalize()}: {_shown(each.value)}" for each in told]
    if entry is None:
        return Entry(text_at(told[0].key, parameter), text_at(told[0].value, "\n\n".join(sentences)))
    return Entry(entry.key, text_at(entry.value, "\n\n".join([_shown(entry.value), *sentences])))


def _shown(value: Node) -> str:
    """Return a value as a text for a model; its templates stay."""
    if isinstance(value, Scalar):
        return value.text
    if isinstance(value, Sequence):
        return ", ".join(map(_shown, value.items))
    return "\n".join(f"{entry.key.text}: {_shown(entry.value)}" for entry in value.entries)


def _as_kind(rest: dict[str, Entry], kind: str, key: Scalar, parameters: MappingNode) -> list[Clash]:
    """Add the key of a kind of step, with the parameters of the older tool below it, or in the step itself."""
    clashes = []
    own = dict(parameters.table) if kind == "pipeline" else {}
    if kind != "pipeline":
        for name in _TIMEOUTS:
            if (entry := parameters.table.get(name)) is not None:
                own["timeout"] = Entry(renamed_key(entry.key, "timeout"), entry.value)
        rest[kind] = Entry(renamed_key(key, kind), parameters.without(_TIMEOUTS))
    for name, entry in own.items():
        if name in rest:
            clashes.append(Clash(name, rest[name].key, entry.key))
        else:
            rest[name] = entry
    return clashes


_TIMEOUTS: Final = ("timeout", "timeout_seconds")


def _outputs(value: Node) -> dict[str, str] | None:
    """Return the outputs of a called pipeline by the names that the step gives them; None if it is not so simple."""
    if not isinstance(value, MappingNode):
        return None
    found = {}
    for entry in value.entries:
        text = entry.value.value if isinstance(entry.value, Scalar) else None
        name = _OUTPUT.fullmatch(text.strip()) if isinstance(text, str) else None
        if name is None:
            return None
        found[entry.key.text] = name[1]
    return found


_OUTPUT: Final = re.compile(
    r"(?:\{\{\s*)?(?:(?:outputs|output|result|results)\.)?([A-Za-z_][A-Za-z0-9_-]*)(?:\s*\}\})?"
)


def _command(node: MappingNode, action: str) -> OlderStep:
    """Return the call of a command that is written as `action: "!ls -l"`."""
    value = node.table["action"].value
    skipped = len(action) - len(action[1:].lstrip())
    command: Node = value
    if isinstance(value, Scalar):
        command = value.made_of([(value.text[skipped:], skipped, len(value.text))])
    meaning = next(each for each in OLDER["terminal"] if each.meaning == "terminal.execute")
    return _whole(node, meaning, "!", [Entry(text_at(value, "command"), command)])


def _whole(node: MappingNode, meaning: OlderCall, name: str, entries: list[Entry]) -> OlderStep:
    """Return the meaning of a step whose action is itself a parameter, next to those below `parameters`."""
    given = node.get("parameters")
    return _rewritten(node, meaning, name, [*entries, *(given.entries if isinstance(given, MappingNode) else ())])
