"""Switches between blocks of steps by a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.compiler.ir.names import entity_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import NameScope, SourceWork
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.diagnostics import suggest
from orchestrator.expressions import ANY, NULL, Constant, Type, describe_type, union_of
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.expressions.types.operators import alternatives, without_attributes
from orchestrator.language.yaml.nodes import LITERAL, Mapping, Scalar
from orchestrator.language.yaml.scalars import resolve_scalar
from orchestrator.plan.steps import CaseKey, Switch

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceBlock, SourceStep


class SwitchWork(SourceWork):
    """`switch` with `cases` and `default`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        self.spec = step.spec
        self.scope = step.block.scope
        found = context.value_at(step.spec.node, ("switch",), self.scope, self.places)
        self.subject = Constant(None) if found is None else found
        cases = child(step.spec.node, "cases")
        self.keys: list[Scalar] = []
        self.values: list[CaseKey] = []
        self.blocks: list[SourceBlock] = []
        for name, specs in (step.spec.cases or {}).items():
            key = cases.key(name) if isinstance(cases, Mapping) else None
            if key is not None:
                self.keys.append(key)
                self.values.append(CaseKey(key.text, key.text if key.style else resolve_scalar(key.text)))
                self.blocks.append(context.blocks.read("case", specs, NameScope(self.scope), step))
        self.default = None
        if step.spec.default is not None:
            self.default = context.blocks.read("case", step.spec.default, NameScope(self.scope), step)

    def check(self) -> Type:
        """Check that each case can be selected, and the steps of all cases."""
        subject = without_attributes(static_type(self.subject, infer_types(self._context, self.places)))
        if isinstance(self.subject, Constant):
            self._constant(self.subject.value)
        else:
            for key, value in zip(self.keys, self.values, strict=True):
                self._case(key, value, subject)
        self._twice()
        blocks = [*self.blocks, *([self.default] if self.default is not None else [])]
        for block in blocks:
            self._context.blocks.check(block)
        values = [without_attributes(block.value_type() or ANY) for block in blocks]
        return entity_type(union_of(values if self.default is not None else [*values, NULL]), fields={"case": ANY})

    def _constant(self, value: Any) -> None:
        node = child(self.spec.node, "switch")
        if node is None or (isinstance(node, Scalar) and node.style == LITERAL):  # what a model answered once
            return
        word = value.strip() if isinstance(value, str) else ""
        name = word.split(".")[0]
        known = bool(word) and (self.scope.find(name) is not None)
        self._context.diagnostics.add(
            codes.VALUE_NOT_ALLOWED,
            node.span,
            f"`switch` of `{self.spec.id}` is a constant, so every run selects the same case",
            label="a constant",
            help=f'did you mean `"{{{{ {word} }}}}"`?' if known else 'read a value: `switch: "{{ kind }}"`',
            replacement=f'"{{{{ {word} }}}}"' if known else None,
        )

    def _twice(self) -> None:
        """Report a case with the value of an earlier case: `2` and `2.0` are the same."""
        first: dict[Any, Scalar] = {}
        for key, value in zip(self.keys, self.values, strict=True):
            same = (isinstance(value.value, bool), value.value)
            if same in first:
                self._context.diagnostics.add(
                    codes.VALUE_NOT_ALLOWED,
                    key.span,
                    f"the case `{key.text}` is never selected: `{first[same].text}` is the same value",
                    label="the same value again",
                    help="remove one of the two",
                )
            first.setdefault(same, key)

    def _case(self, key: Scalar, value: CaseKey, subject: Type) -> None:
        """Report a case that the type of the subject can never equal."""
        kinds = alternatives(subject)
        if key.text == "default" and self.default is None and "default" not in (each for o in kinds for each in o.enum):
            self._context.diagnostics.add(
                codes.VALUE_NOT_ALLOWED,
                key.span,
                'the case `default` matches the value "default", not everything else',
                label="matches one value",
                help="to match everything else, write `default:` next to `cases:`",
            )
            return
        if any(_equals(value, option) for option in kinds):
            return
        words = [_text(word) for option in kinds for word in option.enum]
        near = suggest(key.text, words)
        help = f"did you mean `{near}`?" if near else "remove it, or compare with something else"
        if value.text == "null" and not near:
            quoted = value.value is None
            help = 'for the text, write `"null"` in quotes' if quoted else "for null, write `null` without quotes"
        self._context.diagnostics.add(
            codes.VALUE_NOT_ALLOWED,
            key.span,
            f"the case `{key.text}` is never selected: the value of `switch` is {describe_type(subject)}",
            label="never selected",
            help=help,
            replacement=near,
        )

    def plan(self) -> Switch:
        """Build the choice."""
        cases = tuple(
            (key, self._context.blocks.plan(block)) for key, block in zip(self.values, self.blocks, strict=True)
        )
        return Switch(
            self.subject, cases, self._context.blocks.plan(self.default) if self.default is not None else None
        )


def _equals(case: CaseKey, subject: Type) -> bool:
    """Return whether a value of this type, or its text, can match a case."""
    if subject.enum:
        return any(map(case.equals, subject.enum))
    match subject.kind:
        case "boolean":
            return isinstance(case.value, bool) or case.text in ("true", "false")
        case "integer" | "number":
            return _is_number(case.value if isinstance(case.value, str) else case.text)
        case "null":
            return case.value is None
        case "array" | "object":
            return case.text[:1] in ("[", "{")
        case "string":
            return case.value is not None
        case _:
            return True


def _text(value: Any) -> str:
    """Return a value as a case would write it."""
    return value if isinstance(value, str) else to_text(value) if value is not None else "null"


def _is_number(text: str) -> bool:
    value = resolve_scalar(text) if text else None
    return isinstance(value, int | float) and not isinstance(value, bool)
