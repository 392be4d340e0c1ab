"""Turns the parts of a pipeline's tree into specs, each part on its own, so that one mistake hides no other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from orchestrator.diagnostics import Diagnostic, Related, Source, Span
from orchestrator.diagnostics.lines import short
from orchestrator.language import problems, spellings
from orchestrator.language.nodes import Entry, Mapping, Node, Scalar, Sequence, plain
from orchestrator.language.spec import DefaultsSpec, InputSpec, OutputSpec, PipelineSpec, StepSpec
from orchestrator.language.values import LIMITS, pattern_problem

if TYPE_CHECKING:
    from pydantic import BaseModel

    from orchestrator.language.spellings import Canonical

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_MOST_ROUNDS = 8
_MOST_DIAGNOSTICS = 1_000

_S = TypeVar("_S", StepSpec, InputSpec, OutputSpec, PipelineSpec, DefaultsSpec)


class Sections:
    """Reads the sections of one file and collects what is wrong with them."""

    def __init__(self, source: Source, *, partial: bool) -> None:
        self.source = source
        self.partial = partial
        self.diagnostics: list[Diagnostic] = []

    def _report(self, *diagnostics: Diagnostic) -> None:
        if len(self.diagnostics) < _MOST_DIAGNOSTICS:  # more help nobody, and each takes time and memory
            self.diagnostics.extend(diagnostics)

    def pipeline(self, root: Mapping) -> PipelineSpec:
        """Read the whole file."""
        node = self._canonical(spellings.pipeline(root), "the pipeline")
        entries = dict(node.table)
        inputs = self._inputs(entries, root)
        outputs = self._outputs(entries, root)
        steps = self._steps(entries, root)
        for name in ("variables", "metadata", "defaults"):
            if name in entries and _is_null(entries[name].value):
                del entries[name]
        self._names(entries.get("variables"), "variable")
        if "defaults" in entries and isinstance(value := entries["defaults"].value, Mapping):
            canonical = self._canonical(spellings.defaults(value), "`defaults`")
            entries["defaults"] = Entry(entries["defaults"].key, canonical)
        sections = ("inputs", "outputs", "steps")
        top = node.replaced(entry for name, entry in entries.items() if name not in sections)
        spec = self._spec(PipelineSpec, top, "the pipeline")
        if spec.id and not _NAME.match(spec.id) and (place := spec.node.get("id")):
            self._bad_name(place, spec.id, "the pipeline's id")
        kept = [entries[name] for name in entries if name in spec.node.table or name in sections]
        complete = spec.model_copy(update={"inputs": inputs, "outputs": outputs, "steps": tuple(steps)})
        complete.at(node.replaced(kept))
        if complete.defaults and isinstance(inner := complete.node.get("defaults"), Mapping):
            self._place(complete.defaults, inner)
        return complete

    def _inputs(self, entries: dict[str, Entry], root: Mapping) -> dict[str, InputSpec]:
        section = self._by_name(entries, root, "inputs", "input")
        specs = {}
        placed = []
        for entry in section.entries:
            name = entry.key.text
            what = f"the input `{short(name)}`"
            node = self._canonical(spellings.input_(entry.value), what)
            known = {*InputSpec.model_fields, *spellings.INPUT_KEYS}
            if isinstance(entry.value, Mapping) and node.table and known.isdisjoint(node.table):
                self._no_spec(entry, what, "type", "to give an object as the default write `default: {...}`")
                node = Mapping({"default": Entry(entry.key, entry.value)}, node.start, node.end, node.layout)
            spec = specs[name] = self._spec(InputSpec, node, what)
            placed.append(Entry(entry.key, spec.node))
            self._name(entry.key, "input")
            self._check_input(spec, spec.node, what)
        self._put(entries, "inputs", section.replaced(placed))
        return specs

    def _outputs(self, entries: dict[str, Entry], root: Mapping) -> dict[str, OutputSpec]:
        section = self._by_name(entries, root, "outputs", "output")
        specs = {}
        placed = []
        for entry in section.entries:
            name = entry.key.text
            what = f"the output `{short(name)}`"
            node = self._canonical(spellings.output(entry.value), what)
            known = {*OutputSpec.model_fields, *spellings.OUTPUT_KEYS}
            if isinstance(entry.value, Mapping) and node.table and known.isdisjoint(node.table):
                self._no_spec(entry, what, "value", "to give an object as the value write `value: {...}`")
                node = Mapping({"value": Entry(entry.key, entry.value)}, node.start, node.end, node.layout)
            spec = specs[name] = self._spec(OutputSpec, node, what)
            placed.append(Entry(entry.key, spec.node))
        self._put(entries, "outputs", section.replaced(placed))
        return specs

    def _steps(self, entries: dict[str, Entry], root: Mapping) -> list[StepSpec]:
        entry = entries.get("steps")
        section: Node | None = entry.value if entry else None
        if isinstance(section, Mapping):
            section, clashes = spellings.steps_of_mapping(section)
            self._report(*(problems.clash(self.source, clash, "a step") for clash in clashes))
        if section is None or _is_null(section) or (isinstance(section, Sequence) and not section.items):
            unknown = (key.key for name, key in entries.items() if name not in PipelineSpec.model_fields)
            misspelt = any(problems.meant_key(key, PipelineSpec) == "steps" for key in unknown)  # that is one mistake
            if not self.partial and not misspelt:
                self._no_steps(entry, root)
            section = Sequence([], root.start, root.start, root.layout)
        elif not isinstance(section, Sequence):
            self._wrong(section, "`steps` must be a list of steps, each beginning with `- id:`")
            section = Sequence([], section.start, section.end, section.layout)
        ids = {
            node.text
            for item in section.items
            if isinstance(item, Mapping) and isinstance(node := item.get("id"), Scalar) and node.text
        }
        steps = []
        first: dict[str, StepSpec] = {}
        for number, item in enumerate(section.items, start=1):
            if not isinstance(item, Mapping):
                self._wrong(item, f"step {number} must be a mapping with `id:` and `tool:`")
                continue
            step = self._step(item, number, ids)
            steps.append(step)
            if step.id in first:
                self._duplicate_id(step, first[step.id])
            elif step.id:
                first[step.id] = step
        items: list[Node] = [step.node for step in steps]
        self._put(entries, "steps", Sequence(items, section.start, section.end, section.layout))
        return steps

    def _step(self, item: Mapping, number: int, ids: set[str]) -> StepSpec:
        id = item.get("id")
        what = f"step `{short(id.text)}`" if isinstance(id, Scalar) and id.text else f"step {number}"
        canonical = spellings.step(item, ids)
        node = canonical.node if not canonical.clashes else self._canonical(canonical, what)
        step = self._spec(StepSpec, node, what)
        if step.id and not _NAME.match(step.id):
            self._bad_name(step.node.get("id") or step.node, step.id, "a step's id")
        return step

    def _spec(self, model: type[_S], node: Mapping, what: str) -> _S:
        """Validate one mapping. What is refused is reported and left out, until the rest is accepted."""
        required = [name for name, field in model.model_fields.items() if field.is_required()]
        node = _less_excess(model, node)
        filled: dict[str, str] = {}
        reported: set[tuple[str, Span]] = set()
        for _ in range(_MOST_ROUNDS):
            try:
                spec = model.model_validate({**plain(node), **filled})
            except ValidationError as error:
                refusal = problems.refused(error, node, model, what, self.source)
                for diagnostic in refusal.diagnostics:
                    if (diagnostic.message, diagnostic.span) not in reported:
                        reported.add((diagnostic.message, diagnostic.span))
                        self._report(diagnostic)
                node = node.without([str(path[0]) for path in refusal.paths if len(path) == 1])
                inner = [path for path in refusal.paths if len(path) != 1]
                for path in sorted(inner, key=lambda path: [str(part) for part in path], reverse=True):
                    node = _without(node, path)
                filled = {name: "" for name in required if name not in node.table}
            else:
                self._place(spec, node)
                return spec
        spec = model.model_validate(dict.fromkeys(required, ""))
        self._place(spec, _without_all(node))
        return spec

    def _place(self, spec: Any, node: Mapping) -> None:
        spec.at(node)
        for name in ("retry", "on_failure", "items"):
            part = getattr(spec, name, None)
            if part is not None and isinstance(inner := node.get(name), Mapping):
                self._place(part, inner)
        properties = node.get("properties") if isinstance(spec, InputSpec) else None
        if isinstance(properties, Mapping):
            for name, part in (spec.properties or {}).items():
                if isinstance(inner := properties.get(name), Mapping):
                    self._place(part, inner)

    def _check_input(self, spec: InputSpec, node: Mapping, what: str) -> None:
        """Refuse what contradicts itself: limits without meaning for the type, and a default outside of them."""
        for name, types in LIMITS.items():
            if getattr(spec, name) is not None and spec.type is not None and spec.type not in types:
                listed = " or ".join(f"`{type}`" for type in sorted(types))
                self._add(
                    "ORC205",
                    node.key(name) or node,
                    f"`{name}` has no meaning for {what} of type `{spec.type}`",
                    label=f"only for {listed}",
                    help="remove it, or change the type",
                )
        for low, high in (("minimum", "maximum"), ("min_length", "max_length")):
            least, most = getattr(spec, low), getattr(spec, high)
            if least is not None and most is not None and least > most:
                self._add(
                    "ORC205",
                    node.get(high) or node,
                    f"`{high}` of {what} is less than its `{low}`",
                    label=f"less than {least:g}",
                    help="exchange the two numbers",
                )
        if spec.pattern is not None and (reason := pattern_problem(spec.pattern)):
            self._add(
                "ORC205",
                node.get("pattern") or node,
                f"`pattern` of {what} is no regular expression: {reason}",
                label="not a regular expression",
                help="in YAML, single quotes keep backslashes as they are",
            )
        elif spec.has_default and (place := node.get("default")):
            for problem in spec.problems(spec.default):
                self._add(
                    "ORC208",
                    place,
                    f"the default of {what} violates its own declaration: {problem}",
                    label="not allowed by the declaration",
                    help="change the default or the declaration",
                )
        if spec.items is not None and isinstance(inner := node.get("items"), Mapping):
            self._check_input(spec.items, inner, f"the items of {what}")
        properties = node.get("properties")
        if spec.properties and isinstance(properties, Mapping):
            for name, part in spec.properties.items():
                if isinstance(inner := properties.get(name), Mapping):
                    self._check_input(part, inner, f"the property `{name}` of {what}")

    def _by_name(self, entries: dict[str, Entry], root: Mapping, name: str, what: str) -> Mapping:
        """Return the section as a mapping by name, whatever form it has."""
        entry = entries.get(name)
        value = entry.value if entry else None
        if isinstance(value, Mapping):
            return value
        if isinstance(value, Sequence):
            listed = spellings.by_name(value, outputs=name == "outputs")
            self._report(*(problems.clash(self.source, again, f"`{name}`") for again in listed.again))
            for node in listed.nameless:
                self._wrong(node, f"an {what} in a list needs a name: `- name: ...`")
            return listed.node
        if value is not None and not _is_null(value):
            self._wrong(value, f"`{name}` must be a mapping of names")
        place = value or root
        return Mapping({}, place.start, place.end, place.layout)

    def _put(self, entries: dict[str, Entry], name: str, node: Node) -> None:
        if name in entries:
            entries[name] = Entry(entries[name].key, node)

    def _canonical(self, canonical: Canonical, what: str) -> Mapping:
        self._report(*(problems.clash(self.source, clash, what) for clash in canonical.clashes))
        return canonical.node

    def _names(self, section: Entry | None, what: str) -> None:
        if section and isinstance(section.value, Mapping):
            for entry in section.value.entries:
                self._name(entry.key, what)

    def _name(self, key: Scalar, what: str) -> None:
        if not _NAME.match(key.text):
            self._bad_name(key, key.text, f"{'an' if what[0] in 'aeio' else 'a'} {what}'s name")

    def _bad_name(self, place: Node, name: str, what: str) -> None:
        better = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")
        better = f"_{better}" if better[:1].isdigit() else better
        self._add(
            "ORC209",
            place,
            f"`{short(name)}` cannot be {what}",
            label="not a name",
            help="use letters (a to z), digits, `_` and `-`, and begin with a letter"
            + (f": `{short(better)}`" if better and better != name else ""),
        )

    def _duplicate_id(self, step: StepSpec, first: StepSpec) -> None:
        place, before = step.node.get("id") or step.node, first.node.get("id") or first.node
        self._add(
            "ORC204",
            place,
            f"there are two steps with the id `{short(step.id)}`",
            label="again here",
            help="give one of them another id",
            related=(Related("first used here", self.source, before.span),),
        )

    def _no_steps(self, entry: Entry | None, root: Mapping) -> None:
        place: Node | None = entry.key if entry else (root.entries[0].key if root.entries else None)
        self._add(
            "ORC203",
            place or root,
            "the pipeline has no steps",
            label="no steps below" if entry else "`steps` is missing",
            help="add `steps:` with a list of steps, each with an `id` and a `tool`",
        )

    def _no_spec(self, entry: Entry, what: str, key: str, help: str) -> None:
        self._add("ORC203", entry.key, f"{what} is a mapping without `{key}`", label=f"`{key}` is missing", help=help)

    def _wrong(self, node: Node, message: str) -> None:
        self._add("ORC202", node, message, label="another type", help=None)

    def _add(
        self,
        code: str,
        place: Node,
        message: str,
        *,
        label: str,
        help: str | None,
        related: tuple[Related, ...] = (),
    ) -> None:
        span = place.span
        if span.end.line > span.start.line and not isinstance(place, Scalar):
            span = Span.at(span.start.line, span.start.column)
        self._report(Diagnostic(code, message, self.source, span, label=label, help=help, related=related))


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _less_excess(model: type[BaseModel], node: Mapping) -> Mapping:
    """Return the mapping less the unknown keys beyond those that are reported, for each takes time and memory."""
    if len(node.table) <= _MOST_DIAGNOSTICS:
        return node
    unknown = [key for key in node.table if key not in model.model_fields]
    return node.without(unknown[_MOST_DIAGNOSTICS:])


def _without(node: Mapping, path: tuple[int | str, ...]) -> Mapping:
    """Return the mapping less what stands at the path."""
    if not path:
        return _without_all(node)
    name = str(path[0])
    entry = node.table.get(name)
    if entry is None:
        return node
    inner = entry.value
    if len(path) > 1 and isinstance(inner, Mapping):
        kept = _without(inner, path[1:])
        return node.replaced(Entry(other.key, kept) if other is entry else other for other in node.entries)
    if len(path) > 1 and isinstance(inner, Sequence) and isinstance(path[1], int):
        items = [item for index, item in enumerate(inner.items) if index != path[1]]
        rest = Sequence(items, inner.start, inner.end, inner.layout)
        return node.replaced(Entry(other.key, rest) if other is entry else other for other in node.entries)
    return node.without([name])


def _without_all(node: Mapping) -> Mapping:
    return Mapping({}, node.start, node.end, node.layout)
