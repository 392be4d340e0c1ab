"""The loop over items: of a list, a mapping, a range or a file."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.compiler.ir.names import OUTCOME_FIELDS, entity_type, nullable
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import Carried, NameScope, SourceWork
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.policies import enough_of, known
from orchestrator.compiler.steps.carried import carried_types, declare_carried, read_carried
from orchestrator.compiler.steps.tool_calls import ToolWork, read_call
from orchestrator.expressions import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    Constant,
    ListValue,
    Rendered,
    Templated,
    Type,
    Value,
    array_of,
    describe_type,
    is_assignable,
    object_of,
    union_of,
)
from orchestrator.expressions.limits import MAX_LOOP_RANGE, RANGE_HELP, range_count, range_problem
from orchestrator.expressions.types.operators import alternatives, without_attributes
from orchestrator.language.yaml.nodes import Mapping, Scalar
from orchestrator.plan.loop_items import FILE_FORMATS, CombinedItems, FileItems, MatrixItems, RangeItems, ZippedItems
from orchestrator.plan.policies import OnFailure
from orchestrator.plan.steps import Block, ForEach, StepPlan
from orchestrator.text.content import encoding_problem
from orchestrator.text.csv_text import delimiter_problem

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate, SourceBlock, SourceStep
    from orchestrator.language.yaml.nodes import Node
    from orchestrator.plan.loop_items import FileFormat
    from orchestrator.text.csv_text import ColumnType

_ROWS: dict[FileFormat, Type] = {"jsonl": ANY, "csv": OBJECT, "text": STRING}
_CELLS: dict[ColumnType, Type] = {"string": STRING, "integer": INTEGER, "number": NUMBER, "boolean": BOOLEAN}
_MOST_ITEMS = 200
"""The maximum number of items of a list whose types are inferred."""

_COUNTS = {"count": INTEGER, "succeeded": INTEGER, "failed": INTEGER}


class ForEachWork(SourceWork):
    """`for_each` with `steps`, or with the step's own action.

    `names` is the scope of the names of the item, `body` a block in it or the call that is made for each item.
    """

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        self.step = step
        self.spec = spec = step.spec
        outer = step.block.scope
        self.headers: list[PlacedTemplate] = []
        self.items = _read_items(context, step, self.headers)
        self.name = spec.as_ or "item"
        self.names = NameScope(outer, {"index": INTEGER, "is_first": BOOLEAN, "is_last": BOOLEAN})
        node = child(spec.node, "as")
        if node is not None and self.name != "item":
            context.claim("item", self.name, node.span, self.names)
        context.declare_within(self.names, "item", self.name, node, spec.id)
        self.first: list[PlacedTemplate] = []
        if spec.initial is not None or spec.update is not None:
            self.carried = Carried(self.names, is_tested_first=False)
            declare_carried(context, spec, self.carried, frozenset(_COUNTS) | OUTCOME_FIELDS)
            read_carried(context, spec, "initial", outer, self.first, self.carried.initial)
        self.body: SourceBlock | SourceWork
        if spec.steps is not None:
            self.body = context.blocks.read("for_each", spec.steps, NameScope(self.names), step)
            inside = self.body.scope
        else:
            self.body = self.item_work = read_call(context, step, self.names)
            self.item_scope = self.names
            inside = NameScope(self.names, {spec.id: ANY})  # what is collected may read the call's result
        self.inside = inside
        self.outcomes = []
        self.collect = context.value_at(spec.node, ("collect",), inside, self.outcomes)
        changes: list[PlacedTemplate] = []
        if self.carried is not None:
            changes = self.carried.changes
            read_carried(context, spec, "update", inside, changes, self.carried.update)
        self.fallbacks: list[PlacedTemplate] = []
        self.fallback = context.value_at(spec.node, ("on_item_failure", "value"), self.names, self.fallbacks)
        own = self.body.places if isinstance(self.body, SourceWork) else []
        self.places = [*self.headers, *self.first, *own, *changes, *self.outcomes, *self.fallbacks]

    def check(self) -> Type:
        """Check the items, the body with the type of an item, and the collected value."""
        self.names.names[self.name] = self._item_type()
        carried = carried_types(self._context, self.carried, self.first) if self.carried is not None else {}
        if isinstance(self.body, SourceWork):
            called = self.body.check()
            self.inside.names[self.spec.id] = called
            self.model = self.body.model
            value = self.item_type = without_attributes(called)
        else:
            self._context.blocks.check(self.body)
            value = without_attributes(self.body.value_type() or ANY)
        if self.carried is not None:
            infer_types(self._context, self.carried.changes)
        types = infer_types(self._context, self.outcomes)
        if self.collect is not None:
            value = without_attributes(static_type(self.collect, types))
        given = infer_types(self._context, self.fallbacks)
        if self.fallback is not None:
            value = union_of((value, without_attributes(static_type(self.fallback, given))))
        elif enough_of(self.spec) is not None or (
            self.spec.on_item_failure is not None and self.spec.on_item_failure.kind == "continue"
        ):
            value = nullable(value)
        return entity_type(array_of(value), fields={**carried, **_COUNTS})

    def items_of(self, scope: NameScope) -> Value | None:
        """Return the items, unless they are a range or a file."""
        known = scope is self.names and not isinstance(self.items, RangeItems | FileItems | CombinedItems)
        return self.items if known else None  # type: ignore[return-value]  # `known` says it

    def _item_type(self) -> Type:
        types = infer_types(self._context, self.headers)
        node = child(self.spec.node, "for_each")
        match self.items:
            case RangeItems():
                self._check_range(self.items, types)
                return INTEGER
            case FileItems():
                return self._check_file(self.items, types)
            case MatrixItems() | ZippedItems():
                return self._check_lists(self.items, types)
        place = child(node, "value") or node or self.spec.node
        type_ = without_attributes(static_type(self.items, types))
        if isinstance(self.items, ListValue) and len(self.items.items) <= _MOST_ITEMS:
            return union_of(without_attributes(static_type(item, types)) for item in self.items.items)
        found: list[Type] = []
        for option in alternatives(type_):
            if option.kind == "array":
                found.append(option.items or ANY)
            elif option.kind == "object":
                values = union_of(option.properties.values()) if option.closed and option.properties else ANY
                found.append(object_of({"key": STRING, "value": values}))
            elif option.kind == "any":
                found.append(ANY)
        if not found:
            self._not_items(place, type_)
        return union_of(found)

    def _check_lists(self, items: CombinedItems, types: dict[int, Type]) -> Type:
        """Check the lists that the items are made of, and return the type of an item."""
        key = "zip" if isinstance(items, ZippedItems) else "matrix"
        fields: dict[str, Type] = {}
        for name, value in items.lists.items():
            actual = without_attributes(static_type(value, types))
            node = child(self.spec.node, "for_each", key, name)
            if node is not None and not is_assignable(actual, ARRAY):
                message = f"`{name}` of the {key} of `{self.spec.id}` must be a list, but is {describe_type(actual)}"
                self._wrong_type(node, message, "not a list", "give a list")
            found = [option.items or ANY for option in alternatives(actual) if option.kind == "array"]
            fields[name] = union_of(found)
        if isinstance(items, MatrixItems) and items.include is not None:  # further items may have other fields
            return replace(OBJECT, properties={name: nullable(field) for name, field in fields.items()})
        return object_of(fields)

    def _not_items(self, place: Node, type_: Type) -> None:
        help = "give a list or a mapping"
        if type_.kind == "integer" and isinstance(place, Scalar):
            help = f'to count, write `{{range: "{place.text}"}}`'
        elif type_.kind == "string":
            help = (
                "convert it to a list, for example with `.split(',')` or `.splitlines()`, or read a file: `{file: ...}`"
            )
            if isinstance(self.items, Templated) and not self.items.template.is_expression:
                help = "text next to the braces turns the value into text: write `{{ ... }}` and nothing else"
        message = f"`for_each` of `{self.spec.id}` requires a list or a mapping, but this is {describe_type(type_)}"
        self._wrong_type(place, message, "nothing to loop over", help)

    def _wrong_type(self, place: Node, message: str, label: str, help: str) -> None:
        self._context.diagnostics.add(codes.WRONG_TYPE, place.span, message, label=label, help=help)

    def _check_range(self, items: RangeItems, types: dict[int, Type]) -> None:
        for name, value in (("start", items.start), ("stop", items.stop), ("step", items.step)):
            node = child(self.spec.node, "for_each", "range", name)
            if node is None:
                continue
            type_ = without_attributes(static_type(value, types))
            if not is_assignable(type_, INTEGER):
                message = f"`{name}` of the range of `{self.spec.id}` must be an integer, but is {describe_type(type_)}"
                help = "convert it with `| int`" if type_.kind in ("string", "number") else "give an integer"
                self._wrong_type(node, message, "not an integer", help)

        node = child(self.spec.node, "for_each", "range")
        bounds: list[Any] = [getattr(value, "value", None) for value in (items.start, items.stop, items.step)]
        if node is None or not all(type(bound) is int for bound in bounds) or bounds[2] == 0:
            return
        if range_count(bounds[0], bounds[1], bounds[2]) > MAX_LOOP_RANGE:
            self._context.diagnostics.add(
                codes.VALUE_NOT_ALLOWED, node.span, range_problem(), label="too many", help=RANGE_HELP
            )

    def _check_file(self, items: FileItems, types: dict[int, Type]) -> Type:
        path = items.path.value if isinstance(items.path, Constant) else None
        node = child(self.spec.node, "for_each", "file")
        if isinstance(items.path, Rendered) and node is not None:
            type_ = without_attributes(types.get(id(items.path.template), ANY))
            if not is_assignable(type_, STRING):
                message = f"the file of `{self.spec.id}` must be a path, but is {describe_type(type_)}"
                help = "write the path of a file; to loop over a value, write the value as `for_each:`"
                self._wrong_type(node, message, "not a path", help)
        if isinstance(path, str) and node is not None:
            refusal = self._context.session.permissions.check_read(path)
            if refusal is not None:
                self._context.diagnostics.add_refusal(node.span, refusal)
        self._check_layout(items)
        if items.types:  # the file may have more columns
            columns = {name: nullable(_CELLS[type]) for name, type in items.types.items()}
            return replace(OBJECT, properties=columns)
        if items.format is not None:
            return _ROWS[items.format]
        if isinstance(path, str):
            return _ROWS[FILE_FORMATS.get(PurePath(path).suffix.lower(), "text")]
        return ANY

    def _check_layout(self, items: FileItems) -> None:
        """Check `delimiter`, `types` and `encoding` as far as they are known."""
        delimiter, encoding = items.delimiter, items.encoding
        found: list[tuple[str, str | None, str]] = []
        if delimiter is not None and self._is_other_than_csv(items):
            help = "remove `delimiter`, or set `format: csv`"
            found.append(("delimiter", "a delimiter applies only to CSV files", help))
        elif delimiter is not None:
            found.append(("delimiter", delimiter_problem(delimiter), 'for example `delimiter: ";"`'))
        if items.types and self._is_other_than_csv(items):
            help = "remove `types`, or set `format: csv`"
            found.append(("types", "types apply only to the columns of CSV files", help))
        if encoding is not None:
            found.append(("encoding", encoding_problem(encoding), "without `encoding`, the file is read as UTF-8"))
        for key, problem, help in found:
            node = child(self.spec.node, "for_each", key)
            if problem is not None and node is not None:
                self._context.diagnostics.add(
                    codes.VALUE_NOT_ALLOWED, node.span, problem, label=f"not usable as `{key}`", help=help
                )

    def _is_other_than_csv(self, items: FileItems) -> bool:
        path = items.path.value if isinstance(items.path, Constant) else None
        format = FILE_FORMATS.get(PurePath(path).suffix.lower(), "text") if isinstance(path, str) else "csv"
        return (items.format or format) != "csv"

    def files_read(self) -> list[Node]:
        """Return the nodes of the file of items, and of the files that the loop's own action reads."""
        node = child(self.spec.node, "for_each", "file")
        own = self.body.files_read() if isinstance(self.body, SourceWork) else []
        return own if node is None else [node, *own]

    def plan(self) -> ForEach:
        """Build the loop."""
        spec = self.spec
        kind = spec.on_item_failure.kind if spec.on_item_failure is not None else "fail"
        kind = kind if enough_of(spec) is None else "continue"
        on_failure = OnFailure(kind, value=self.fallback)
        if isinstance(self.body, SourceWork):
            body: Block | StepPlan
            of_call = self.collect is None and self.carried is None and enough_of(spec) is None
            if of_call and isinstance(self.body, ToolWork):
                body = self._context.blocks.plan_item(self.step, self.body, on_failure)
                on_failure = OnFailure()
            else:  # the value of an item is not that of one call alone, so the end of the item is recorded
                body = Block((self._context.blocks.plan_item(self.step, self.body, OnFailure()),))
        else:
            body = self._context.blocks.plan(self.body)
        return ForEach(
            items=self.items,
            body=body,
            name=self.name,
            max_parallel=known(spec.max_parallel),
            on_item_failure=on_failure,
            min_success=known(spec.min_success),
            wait_for=enough_of(spec),
            collect=self.collect,
            initial=self.carried.initial if self.carried is not None else {},
            update=self.carried.update if self.carried is not None else {},
        )


def _read_items(
    context: CompilationContext, step: SourceStep, places: list[PlacedTemplate]
) -> Value | FileItems | RangeItems | CombinedItems:
    spec = step.spec.for_each
    node, scope = child(step.spec.node, "for_each"), step.block.scope
    if spec is None:
        return Constant([])
    if spec.range is not None:
        start = context.value_at(node, ("range", "start"), scope, places)
        stop = context.value_at(node, ("range", "stop"), scope, places)
        distance = context.value_at(node, ("range", "step"), scope, places)
        return RangeItems(start or Constant(0), stop or Constant(0), distance or Constant(1))
    if spec.file is not None:
        path = context.value_at(node, ("file",), scope, places) or Constant("")
        path = Rendered(path.template) if isinstance(path, Templated) else path
        return FileItems(path, spec.format, spec.delimiter, spec.encoding, spec.types)
    if spec.matrix is not None:
        exclude = context.value_at(node, ("exclude",), scope, places)
        include = context.value_at(node, ("include",), scope, places)
        return MatrixItems(_read_lists(context, node, "matrix", scope, places), exclude, include)
    if spec.zip is not None:
        return ZippedItems(_read_lists(context, node, "zip", scope, places))
    found = context.value_at(node, ("value",), scope, places)
    return Constant(None) if found is None else found


def _read_lists(
    context: CompilationContext, node: Node | None, key: str, scope: NameScope, places: list[PlacedTemplate]
) -> dict[str, Value]:
    section = child(node, key)
    entries = section.entries if isinstance(section, Mapping) else []
    return {entry.key.text: context.value(entry.value, scope, places) for entry in entries}
