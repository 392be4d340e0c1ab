"""The names that a file declares, and what a name of the dialect in a template stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping as TableOf
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from orchestrator.language.aliases.older_calls import IsKnown, computed_fields, nothing_known
from orchestrator.language.aliases.py_orc import words
from orchestrator.language.yaml.nodes import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from orchestrator.language.yaml.nodes import Node

_INPUT_SECTIONS: Final = ("inputs", "parameters", "params")
_VARIABLE_SECTIONS: Final = ("variables", "vars", "constants")
_LOOPS: Final = frozenset(
    {"for_each", "foreach", "loop_over", "for-each", "create_parallel_queue", "create-parallel-queue", "items", "over"}
)
_REPEATS: Final = frozenset({"while", "until", "loop_condition", "while_condition", "until_condition"})
_ITEM_NAMES: Final = ("as", "loop_var", "loop_variable", "item_name", "item_var", "item_as", "iterator")
_TESTS: Final = frozenset({"condition", "if", "when"})
_CARRIED: Final = ("initial", "update")
_ONLY: Final = re.compile(r"\s*\{\{((?:(?!\}\}).)*)\}\}\s*\Z", re.DOTALL)


class Around(Struct, frozen=True):
    """The innermost loop around a place: `for_each`, `repeat` or none, and the name of its item."""

    loop: str = ""
    item: str = "item"


class DeclaredNames(Struct):
    """The names that a file declares.

    `outputs` are the texts of its outputs, `loops` the kinds of its loops by id, `tools` the tools of its steps,
    `fields` the older names of the fields of their results, `computed` those that are expressions here, `conditional`
    the steps with a condition, `step_outputs` what steps declare as their outputs, `without_value` the outputs of the
    file that have none. `is_known` tells the tools of the project.
    """

    inputs: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    steps: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    loops: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    fields: dict[str, TableOf[str, str]] = field(default_factory=dict)
    computed: dict[str, TableOf[str, str]] = field(default_factory=dict)
    is_known: IsKnown = nothing_known
    conditional: set[str] = field(default_factory=set)
    outputs: dict[str, str] = field(default_factory=dict)
    step_outputs: dict[str, set[str]] = field(default_factory=dict)
    without_value: set[str] = field(default_factory=set)

    def declares(self, name: str) -> bool:
        """Whether the file itself gives a name a meaning."""
        return name in self.inputs or name in self.variables or name in self.steps or name in self.others

    def meaning(self, path: list[str], around: Around, local: Collection[str]) -> str | None:
        """Return what a dotted name stands for; None if it is no name of the dialect.

        `local` are the names that the template itself sets.
        """
        head, rest = path[0], path[1:]
        if head in local and path[:2] != ["loop", "iteration"]:  # which no `{% for %}` has
            return None
        if head.startswith("$"):
            renamed = head == "$item" and around.item != "item"
            return ".".join([around.item if renamed else head[1:], *rest])
        if head == "steps" and rest:
            of_step = self._of_step(rest, around)
            return None if of_step is None else f"steps.{of_step}" if of_step.startswith(f"{rest[0]}.") else of_step
        if self.declares(head):
            return self._of_step(path, around)
        if head in ("parameters", "inputs"):
            return self._of_section(head, rest)
        if head == "outputs" and rest and rest[0] in self.steps:
            return ".".join(rest)
        if head == "loop":
            return _of_loop(rest, around)
        for size in (2, 1):
            if (found := words.NAMES.get(".".join(path[:size]))) is not None and len(path) >= size:
                return _joined(found, path[size:])
        return None

    def output(self, path: list[str]) -> str | None:
        """Return the template of the output that `outputs.x` names."""
        known = path[0] == "outputs" and len(path) > 1 and path[1] not in self.steps and not self.declares("outputs")
        return self.outputs.get(path[1]) if known else None

    def _of_section(self, head: str, rest: list[str]) -> str | None:
        if not rest:
            return "inputs" if head == "parameters" else None
        if rest[0] in self.inputs:
            return ".".join(["inputs", *rest]) if head == "parameters" else None
        if rest[0] in self.variables:
            return ".".join(["variables", *rest])
        return ".".join(rest) if rest[0] in self.steps else None

    def _of_step(self, path: list[str], around: Around) -> str | None:
        """Return what an older field of a step is called.

        `fetch_all.results` is the value of the loop `fetch_all`, or the list of its rounds.
        """
        id, *rest = path
        kind, field = self.loops.get(id), rest[0] if rest else ""
        size = 2 if field in ("result", "output", "outputs") and len(rest) > 1 else 1
        if (found := self.computed.get(id, {}).get(rest[size - 1] if rest else "")) is not None:
            return _joined(found.replace("STEP", id), rest[size:])
        if kind is not None and field == "results":
            return ".".join([id, *(["iterations"] if kind == "repeat" else []), *rest[1:]])
        if kind == "repeat" and field in ("iteration", "current_iteration") and around.loop == "repeat":
            return "iteration"
        if rest[:2] in (["outputs", "result"], ["output", "result"]) and self.tools.get(id, "").replace(
            "-", "_"
        ) not in (*("", "pipeline_executor"),):
            return ".".join([id, *rest[1:]])
        of_result = self.fields.get(id) or words.RESULT_FIELDS.get(self.tools.get(id, ""), {})
        renamed = of_result.get(field)
        if renamed == "":
            return ".".join([id, *rest[1:]])
        if renamed == field:
            return None
        return ".".join([id, renamed, *rest[1:]]) if renamed is not None else None


def _of_loop(rest: list[str], around: Around) -> str | None:
    table = {"for_each": words.IN_FOR_EACH, "repeat": words.IN_REPEAT}.get(around.loop, {})
    found = table.get(rest[0]) if rest else None
    if found is None:
        return None
    return _joined(around.item if found == "item" else found, rest[1:])


def _joined(expression: str, rest: list[str]) -> str:
    simple = all(character.isalnum() or character in "._" for character in expression)
    whole = expression if simple or expression.startswith("now(") else f"({expression})"
    return ".".join([whole, *rest])


def declared_names(root: Mapping, is_known: IsKnown = nothing_known) -> DeclaredNames:
    """Return the names that a file declares, at any depth."""
    names = DeclaredNames(is_known=is_known)
    for section in _INPUT_SECTIONS:
        names.inputs |= set(_names_of(root.get(section)))
    for section in _VARIABLE_SECTIONS:
        names.variables |= set(_names_of(root.get(section)))
    for name, value in _entries_of(root.get("outputs")):
        text = _text_of(value)
        if text is not None:
            names.outputs[name] = text
        elif isinstance(value, Mapping):
            names.without_value.add(name)
    for key in ("steps", "finally", "error_handlers", "on_error", "on-error"):
        _collect(root.get(key), names, by_id=key in ("steps", "finally"))
    return names


def _names_of(section: Node | None) -> Iterator[str]:
    for name, _ in _entries_of(section):
        yield name


def _entries_of(section: Node | None) -> Iterator[tuple[str, Node]]:
    if isinstance(section, Mapping):
        for entry in section.entries:
            yield entry.key.text, entry.value
    elif isinstance(section, Sequence):
        for item in section.items:
            name = item.get("name") if isinstance(item, Mapping) else item
            if isinstance(name, Scalar) and name.text:
                yield name.text, item
            elif isinstance(item, Mapping):
                yield from ((entry.key.text, entry.value) for entry in item.entries)


def _text_of(value: Node) -> str | None:
    if isinstance(value, Mapping):
        value = next((found for key in ("value", "source", "from") if (found := value.get(key)) is not None), value)
    return value.text if isinstance(value, Scalar) and isinstance(value.value, str) else None


def expression_of(text: str) -> str | None:
    """Return the expression of a text that is nothing but one `{{ }}`."""
    found = _ONLY.match(text)
    return found[1].strip() if found else None


def _collect(node: Node | None, names: DeclaredNames, *, by_id: bool) -> None:
    """Collect the ids and loops of steps; without recursion, as steps nest deeply."""
    pending: list[tuple[Node, bool]] = [(node, by_id)] if node is not None else []
    while pending:
        part, keyed = pending.pop()
        if isinstance(part, Sequence):
            pending += [(item, False) for item in part.items]
        elif isinstance(part, Mapping):
            table = part.table
            own = table.get("id")
            if own is not None and isinstance(own.value, Scalar):
                names.steps.add(own.value.text)
                _note_step(own.value.text, part, names)
            for key, entry in table.items():
                value = entry.value
                if key in _ITEM_NAMES and isinstance(value, Scalar):
                    names.others.add(value.text)
                elif key in _CARRIED and isinstance(value, Mapping):
                    names.others |= value.table.keys()
                elif keyed and own is None and isinstance(value, Mapping | Sequence):
                    names.steps.add(key)
                    if isinstance(value, Mapping):
                        _note_step(key, value, names)
                if isinstance(value, Mapping | Sequence):
                    pending.append((value, key in ("steps", "parallel")))


def _note_step(id: str, step: Mapping, names: DeclaredNames) -> None:
    called = step.get("tool") or step.get("action")
    if isinstance(called, Scalar):
        names.tools[id] = "terminal" if called.text.startswith("!") else called.text.split(".")[0]
        if computed := computed_fields(step, names.is_known):
            names.computed[id] = computed
    if declared := set(_names_of(step.get("outputs"))):
        names.step_outputs[id] = declared
    if not _TESTS.isdisjoint(step.table):
        names.conditional.add(id)
    if not _LOOPS.isdisjoint(step.table):
        names.loops[id] = "for_each"
    elif not _REPEATS.isdisjoint(step.table):
        names.loops[id] = "repeat"
