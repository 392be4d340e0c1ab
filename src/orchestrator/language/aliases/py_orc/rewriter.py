"""Rewrites a file of the dialect into the canonical form, in one pass over its tree.

Nodes keep their places in the file, so that diagnostics point to what was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.language.aliases import tables
from orchestrator.language.aliases.older_calls import IsKnown, nothing_known
from orchestrator.language.aliases.py_orc import words
from orchestrator.language.aliases.py_orc.calls import prose_without_autos, rewrite_call, rewrite_parameters
from orchestrator.language.aliases.py_orc.changes import DialectChanges
from orchestrator.language.aliases.py_orc.draft import Draft
from orchestrator.language.aliases.py_orc.file_texts import FileTexts
from orchestrator.language.aliases.py_orc.groups import steps_of_group
from orchestrator.language.aliases.py_orc.handlers import rewrite_handlers, rewrite_on_error
from orchestrator.language.aliases.py_orc.loops import rewrite_loop
from orchestrator.language.aliases.py_orc.model_calls import (
    auto_model,
    call_settings,
    join_requirements,
    without_attributes,
)
from orchestrator.language.aliases.py_orc.names import Around, declared_names
from orchestrator.language.aliases.py_orc.results import ResultFiles, rewrite_results
from orchestrator.language.aliases.py_orc.rounds import collect_what_is_read
from orchestrator.language.aliases.py_orc.sections import rewrite_sections
from orchestrator.language.aliases.py_orc.templates import TemplateRewriter
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.kinds import PARAMETERS
from orchestrator.language.spec.pipeline import PipelineSpec, StepSpec
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Mapping as TableOf

_TOP: Final = frozenset({*key_fields(PipelineSpec), *tables.PIPELINE_KEYS, *words.INERT})
_STEP: Final = frozenset(
    {*key_fields(StepSpec), *PARAMETERS, *tables.STEP_KEYS, *tables.RETRY_COUNTS, *words.STEP_KEYS, *words.LOOP_KEYS}
    | {"retry_delay", "retry_backoff", "goto", "next_step", "cache_results"}
    | {"create_parallel_queue", "action_loop", "loop_over", "continue_on_error", "max_attempts", "output_mapping"}
)
_CONDITIONS: Final = frozenset({"condition", "if", "when", "while", "until"})
_STEPS: Final = frozenset({"steps", "parallel", "default", "otherwise", "undo", "finally"})
_PROSE: Final = frozenset({"id", "name", "description", "version", "metadata", "dependencies", "depends_on"})
_OF_ONE_STEP: Final = frozenset({"tool", "action", "prompt", "for_each", "foreach", "while", "until", "switch", "ask"})
_AFTER_ITEMS: Final = frozenset({"for_each", "foreach", "loop_over", "condition", "if", "when", "initial"})


class Rewritten(Struct, frozen=True):
    """The canonical tree of a file, and what was changed for it."""

    root: Mapping
    changes: DialectChanges


def rewrite_dialect(root: Mapping, is_known: IsKnown = nothing_known) -> Rewritten:
    """Return the canonical tree of a file. `is_known` tells the tools of the project, which keep their meaning."""
    return Rewriter(root, is_known=is_known).run()


class Rewriter:
    """Rewrites one file. `fields` are older names of the fields of results, by step."""

    def __init__(
        self,
        root: Mapping,
        fields: TableOf[str, TableOf[str, str]] | None = None,
        *,
        is_known: IsKnown = nothing_known,
    ) -> None:
        self.root = root
        self.changes = DialectChanges()
        self.names = declared_names(root, is_known)
        self.names.fields.update(fields or {})
        self.templates = TemplateRewriter(self.names, self.changes)
        self.files = FileTexts(self.names, self.changes)
        self.results = ResultFiles(root, self.names, self.changes)
        self.prose = False
        self._seen: dict[tuple[int, Around], list[Node]] = {}

    def run(self) -> Rewritten:
        """Rewrite the whole file."""
        top = Draft(self.root, self.changes)
        top.without_hyphens(_TOP)
        rewrite_sections(top)
        self.prose = top.plain("prose_actions") is True
        auto_model(top, whole_file=True)
        around = Around()
        for name, entry in list(top.table.items()):
            value = entry.value
            if name in ("steps", "finally"):
                new = self._steps(value, around)
            elif name in ("error_handlers", "global_error_handlers", "on_error"):
                made = rewrite_handlers(value, self.changes, of_pipeline=True)
                if made is None:
                    top.drop(name, "nothing: no handler is left")
                    continue
                new = self._bodies(made, around)
            elif name == "outputs":
                new = self._texts(self.results.of_pipeline(value), around)
            elif name in ("inputs", *_PROSE):
                continue
            else:
                new = self._texts(value, around)
            if new is not value:
                top.table[name] = Entry(entry.key, new)
        self._add_steps(top)
        return Rewritten(top.mapping(), self.changes)

    def _add_steps(self, top: Draft) -> None:
        """Add the steps that read files for texts, and those that write the files of outputs."""
        entry = top.table.get("steps")
        last = [self._texts(step, Around()) for step in self.results.steps]
        first = self.files.steps
        if entry is None or not (first or last):
            return
        value = entry.value
        if isinstance(value, Sequence):
            top.table["steps"] = Entry(entry.key, value.replaced([*first, *value.items, *last]))
        elif isinstance(value, Mapping):
            table = dict(value.table)
            for step in (*first, *last):
                own = step.get("id") if isinstance(step, Mapping) else None
                if isinstance(step, Mapping) and isinstance(own, Scalar):
                    table[own.text] = Entry(own, step.without(["id"]))
            top.table["steps"] = Entry(entry.key, Mapping(table, value.start, value.end, value.layout))

    # --- steps

    def _steps(self, section: Node, around: Around) -> Node:
        """Rewrite a list of steps, a mapping of steps by id, or one step."""
        if isinstance(section, Sequence):
            items = [each for item in section.items for each in steps_of_group(item, self.changes)]
            return section.replaced(new for item in items for new in self._one(item, around))
        if not isinstance(section, Mapping):
            return section
        if not _OF_ONE_STEP.isdisjoint(section.table) and any(
            isinstance(section.get(key), Scalar) for key in ("id", "tool", "action", "prompt")
        ):
            made = self._one(section, around)
            return made[0] if len(made) == 1 else Sequence(made, section.start, section.end, section.layout)
        if section.table.keys() == {"steps"}:
            return section.replaced([Entry(section.entries[0].key, self._steps(section.entries[0].value, around))])
        table: dict[str, Entry] = {}
        for id, entry in section.table.items():
            if isinstance(entry.value, Sequence):
                table[id] = Entry(entry.key, self._steps(entry.value, around))
                continue
            first, *rest = self._one(entry.value, around, id)
            table[id] = entry if first is entry.value else Entry(entry.key, first)
            for step in rest:
                own = step.get("id") if isinstance(step, Mapping) else None
                if isinstance(own, Scalar) and isinstance(step, Mapping):
                    table[own.text] = Entry(own, step.without(["id"]))
        same = len(table) == len(section.table) and all(table[id] is each for id, each in section.table.items())
        return section if same else Mapping(table, section.start, section.end, section.layout)

    def _one(self, node: Node, around: Around, id: str = "") -> list[Node]:
        """Rewrite one step; a step whose value is written to a file is followed by one that writes it."""
        if not isinstance(node, Mapping):
            return [node]
        known = self._seen.get((_identity(node), around))
        if known is not None:  # repeated by an alias
            return known
        draft = Draft(node, self.changes)
        own = node.get("id")
        id = own.text if isinstance(own, Scalar) else id
        self._rename(draft)
        collect_what_is_read(draft, id)
        further = rewrite_results(draft, id, self.results)
        self._inside(draft, around)
        made: list[Node] = [draft.mapping(), *(self._texts(step, around) for step in further)]
        self._seen[_identity(node), around] = made
        return made

    def _rename(self, draft: Draft) -> None:
        draft.without_hyphens(_STEP)
        rewrite_loop(draft)
        draft.rename_all(words.STEP_KEYS)
        if self.prose:
            prose_without_autos(draft)
        rewrite_call(draft, self.names)
        call_settings(draft)
        rewrite_parameters(draft, draft, self.names)
        for name in ("parameters", "params", "args", "arguments", "with"):
            value = draft.value(name)
            if not isinstance(value, Mapping):
                continue
            inner = Draft(value, self.changes)
            if not str(draft.plain("tool") or draft.plain("action") or "").startswith("mcp"):
                inner.without_hyphens({key.replace("-", "_") for key in value.table})
            call_settings(inner)
            rewrite_parameters(draft, inner, self.names)
            join_requirements(draft, inner)
            new = inner.mapping()
            if new is not value:
                draft.table[name] = Entry(draft.table[name].key, new)
        rewrite_on_error(draft, self.names.steps)

    def _inside(self, draft: Draft, around: Around) -> None:
        """Rewrite the steps, conditions and texts of a step."""
        inner = _around(draft, around)
        for name, entry in list(draft.table.items()):
            value = entry.value
            place = around if name in _AFTER_ITEMS else inner
            if name in _PROSE:
                continue
            if name in _CONDITIONS:
                new: Node = self._condition(value, place)
            elif name in _STEPS and not (isinstance(value, Scalar)):
                new = self._steps(value, place)
            elif name == "cases" and isinstance(value, Mapping):
                cases = [Entry(case.key, self._steps(case.value, place)) for case in value.entries]
                same = all(new.value is old.value for new, old in zip(cases, value.entries, strict=True))
                new = value if same else value.replaced(cases)
            elif name == "on_error":
                new = self._bodies(value, place)
            else:
                new = self._texts(value, place, name)
            if new is not value:
                draft.table[name] = Entry(entry.key, new)

    def _bodies(self, value: Node, around: Around) -> Node:
        """Rewrite the steps in handlers."""
        if isinstance(value, Sequence):
            return value.replaced(self._bodies(item, around) for item in value.items)
        if not isinstance(value, Mapping):
            return value
        draft = Draft(value, self.changes)
        if not {"tool", "action", "prompt"}.isdisjoint(draft.table):
            self._rename(draft)
        self._inside(draft, around)
        return draft.mapping()

    # --- texts

    def _condition(self, value: Node, around: Around) -> Node:
        if not isinstance(value, Scalar):
            return value
        if isinstance(value.value, str) and "<AUTO" in value.value:
            return self._texts(value, around)
        return self.templates.condition(value, around)

    def _texts(self, value: Node, around: Around, key: str = "") -> Node:
        """Rewrite all texts of a value; `key` is the key of a text."""
        if isinstance(value, Scalar):
            return self._text(value, around, key) if isinstance(value.value, str) else value
        if isinstance(value, Sequence):
            return value.replaced(self._texts(item, around, key) for item in value.items)
        entries = [(entry, self._texts(entry.value, around, entry.key.text)) for entry in value.entries]
        if all(new is entry.value for entry, new in entries):
            return value
        return value.replaced(Entry(entry.key, new) for entry, new in entries)

    def _text(self, scalar: Scalar, around: Around, key: str) -> Node:
        if "<AUTO" in scalar.value:
            scalar, dropped = without_attributes(scalar)
            for attributes in dropped:
                self.changes.add(scalar, f"<AUTO {attributes}>", "<AUTO>")
                self.changes.note(scalar, "the attributes of an `<AUTO>` apply only to `model:`")
        made = self.files.included(scalar, key)
        return self.templates.text(made, around) if isinstance(made, Scalar) else made


_identity: Final = id
"""`id` is also the name of the id of a step."""


def _around(draft: Draft, around: Around) -> Around:
    for name in ("for_each", "foreach", "loop_over"):
        if name in draft.table:
            named = draft.plain("as") or draft.plain("loop_var") or draft.plain("loop_variable") or "item"
            return Around("for_each", str(named))
    if "while" in draft.table or "until" in draft.table:
        return replace(around, loop="repeat")
    return around
