"""One file under compilation: what all parts of the check share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler import blocks
from orchestrator.compiler.calls import CallChecker
from orchestrator.compiler.declarations import check_outputs, declare_inputs, declare_variables
from orchestrator.compiler.findings import Findings
from orchestrator.compiler.handlers import check_handlers, plan_handlers, read_handlers
from orchestrator.compiler.models import FileModels, budget_of
from orchestrator.compiler.names import ENDED_RUN, HANDLED_ERROR, RESERVED, STEP, or_null
from orchestrator.compiler.rules.error_types import check_retry
from orchestrator.compiler.rules.unresolved_names import explain_unknown, report_unknown_reads
from orchestrator.compiler.rules.unused import report_usage
from orchestrator.compiler.scopes import Scope
from orchestrator.compiler.templates import PlacedTemplate, TemplateReader, child
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY
from orchestrator.language.values.auto_markup import has_tag
from orchestrator.plan.auto_values import is_auto
from orchestrator.plan.model import Plan
from orchestrator.text.words import with_article

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.compiler.auto.insertion import FileAutos
    from orchestrator.compiler.ir import BlockKind, BlockParts, Construct, HandlerParts, StepParts
    from orchestrator.compiler.library import Library
    from orchestrator.compiler.scopes import TargetKind
    from orchestrator.diagnostics import Span
    from orchestrator.expressions import Reference, Type, Value
    from orchestrator.language import Document
    from orchestrator.language.spec.model_options import Models
    from orchestrator.language.spec.pipeline import HandlerSpec, StepSpec
    from orchestrator.language.yaml.nodes import Node
    from orchestrator.plan.model import OutputPlan
    from orchestrator.plan.policies import OnFailure
    from orchestrator.plan.steps import Block, StepPlan


class Unit:
    """One file: what was read, what was found in it, and how far it has come.

    `key` names the file among those of the compilation, None if it has no path. `scope` holds the names of the file
    itself, `block` its steps, `steps` those at every depth. `read` are the inputs and variables that something reads,
    `within` the names that are known inside of one step only: what they are, and its id.
    """

    def __init__(self, document: Document, library: Library, key: str | None) -> None:
        self.document = document
        self.spec = document.spec
        self.library = library
        self.key = key
        self.findings = Findings(document.source, document.diagnostics)
        self.models = FileModels(self)
        self.calls = CallChecker(self.findings, library.registry, library.permissions)
        self.templates = TemplateReader(self.findings, frozenset(n for n in _all_names(self) if "-" in n))
        self.scope = Scope(None)
        self.block: BlockParts | None = None
        self.finally_: BlockParts | None = None
        self.handlers: list[HandlerParts] = []
        self.steps: list[StepParts] = []
        self.variables: dict[str, Value] = {}
        self.outputs: dict[str, OutputPlan] = {}
        self.output_types: dict[str, Type] = {}
        self.output_places: list[PlacedTemplate] = []
        self.read: set[tuple[TargetKind, str]] = set()
        self.shared: set[str] = set()
        self.within: dict[str, tuple[str, str]] = {}
        self.unknown: list[tuple[PlacedTemplate, Reference]] = []
        self.autos = _autos_of(self)
        self._inside: dict[str, list[StepParts]] | None = None
        self._holders: dict[int, StepParts] | None = None

    @property
    def directory(self) -> Path:
        """Where the run's relative paths start."""
        return self.library.directory

    @property
    def is_declared(self) -> bool:
        """Whether the inputs and outputs are all that the file means: no mistake outside of its steps hides some."""
        steps = child(self.spec.node, "steps")
        lines = range(steps.span.start.line, steps.span.end.line + 1) if steps is not None else ()
        wrong = (found.span.start.line for found in self.document.diagnostics if found.severity == "error")
        return not self.document.partial and all(line in lines for line in wrong)

    @property
    def inside(self) -> Mapping[str, list[StepParts]]:
        """By their ids, the steps that stand inside of others, in `finally` or in a handler."""
        if self._inside is None:
            self._inside = {}
            for step in self.steps:
                if step.id and step.block is not self.block and not is_auto(step.id):
                    self._inside.setdefault(step.id, []).append(step)
        return self._inside

    def holder(self, place: PlacedTemplate) -> StepParts | None:
        """The step that holds a template itself, and not in a step within. All steps must have been read."""
        if self._holders is None:
            self._holders = {id(held): step for step in self.steps for held in step.places()}
        return self._holders.get(id(place))

    def value(self, node: Node, scope: Scope, places: list[PlacedTemplate]) -> Value:
        """Build the value of a node whose templates see the names of `scope`."""
        return self.templates.value(node, scope, places)

    def value_at(
        self, node: Node | None, path: Iterable[str], scope: Scope, places: list[PlacedTemplate]
    ) -> Value | None:
        """Build the value of what stands at a path below a node; None if nothing does."""
        found = child(node, *path)
        return None if found is None else self.value(found, scope, places)

    def infer(self, places: Iterable[PlacedTemplate], *, quiet: bool = False) -> dict[int, Type]:
        """Find the types of templates, by their identity, and report what is wrong with them.

        All of them see the same names: a text that stands in two scopes is one template with two types.
        """
        types: dict[int, Type] = {}
        for place in places:
            inference = place.template.infer(place.scope)
            types[id(place.template)] = inference.type
            if inference.problems and not quiet:
                problems = [explain_unknown(self, place, problem) for problem in inference.problems]
                self.findings.add_problems(place.scalar, problems)
                # a misspelt name is not also a name that nothing reads
                meant = [problem.replacement for problem in problems if problem.replacement]
                self.read.update((kind, name) for name in meant for kind in ("input", "variable"))
        return types

    def note_read(self, place: PlacedTemplate, reference: Reference) -> None:
        """Remember that an input or a variable is read, and that an unknown step is."""
        name = reference.name
        target = place.scope.target(reference)
        if target is not None:
            if target.kind in ("input", "variable"):
                self.read.add((target.kind, target.name))
        elif name in ("inputs", "variables"):  # the whole mapping is read
            kind: TargetKind = "input" if name == "inputs" else "variable"
            self.read.update((kind, other.name) for other in self.scope.targets.values() if other.kind == kind)
        elif name == "steps":
            self.unknown.append((place, reference))
        if name in self.shared:
            self.read.update((("input", name), ("variable", name)))

    def read_block(
        self, kind: BlockKind, specs: Sequence[StepSpec], scope: Scope, owner: StepParts | None = None
    ) -> BlockParts:
        """Read the steps of a block into `scope`, which becomes theirs, and all blocks within it."""
        return blocks.read_block(self, kind, specs, scope, owner)

    def check_block(self, block: BlockParts) -> None:
        """Report what is wrong with the steps of a block, and find their types."""
        blocks.check_block(self, block)

    def plan_block(self, block: BlockParts) -> Block:
        """Build the plan of a block without errors."""
        return blocks.plan_block(self, block)

    def plan_item(self, step: StepParts, work: Construct, on_failure: OnFailure) -> StepPlan:
        """Build the plan of the one step that is done for each item of a loop."""
        return blocks.plan_item(self, step, work, on_failure)

    def open(self) -> None:
        """Read all steps, and find the files that they call."""
        declare_inputs(self)
        declare_variables(self)
        scope = Scope(self.scope, {"step": STEP})
        self.block = blocks.read_block(self, "pipeline", self.spec.steps, scope)
        at_end = Scope(scope, {"run": ENDED_RUN, "error": or_null(HANDLED_ERROR)})
        if self.spec.finally_:
            self.finally_ = blocks.read_block(self, "finally", self.spec.finally_, at_end)
        if self.spec.error_handlers:
            self.handlers = read_handlers(self, self.spec.error_handlers, scope)

    def check(self) -> None:
        """Find every mistake of the file. The files that it calls have been checked before."""
        if self.block is not None:
            blocks.check_block(self, self.block)
        if self.finally_ is not None:
            blocks.check_block(self, self.finally_)
        check_handlers(self, self.handlers)
        check_retry(child(self.spec.node, "defaults", "retry"), self.findings)
        check_outputs(self)
        self.models.check()
        report_unknown_reads(self)
        report_usage(self)
        if self.autos is not None:
            self.autos.report()

    def plan(self) -> Plan:
        """Build the plan of a file without errors, without those that it calls."""
        spec, defaults = self.spec, self.spec.defaults
        if self.block is None:
            raise OrchestratorError(f"`{self.document.source.name}` was not checked")
        return Plan(
            id=spec.id or "pipeline",
            name=spec.name or spec.id or "pipeline",
            description=spec.description or "",
            version=str(spec.version or ""),
            source_name=self.key or self.document.source.name,
            source_text=self.document.source.text,
            directory=self.library.directory,
            digest="",
            steps=blocks.plan_block(self, self.block).steps,
            inputs=dict(spec.inputs),
            variables=self.variables,
            outputs=self.outputs,
            finally_=blocks.plan_block(self, self.finally_) if self.finally_ is not None else None,
            error_handlers=plan_handlers(self, self.handlers),
            max_parallel=defaults.max_parallel if defaults else None,
            budget=budget_of(spec.budget),
            timeout=spec.timeout,
            orchestrator=_named(spec.orchestrator or spec.model),
            metadata=spec.metadata or {},
            autos=tuple(self.autos.values) if self.autos is not None else (),
            lock=self.autos.lock if self.autos is not None else None,
        )

    def claim(self, kind: str, name: str, span: Span, scope: Scope, *, within: str = "") -> bool:
        """Whether a name can be given to something; if it already means something else in `scope`, report that.

        `within` is the id of the step that it is part of.
        """
        if name in RESERVED:
            self.findings.add(
                codes.INVALID_NAME,
                span,
                f"`{name}` cannot be the name of {with_article(kind)}: it has a meaning of its own",
                label="reserved",
                help=f"choose another name, for example `my_{name}`",
            )
            return False
        taken = scope.find(name)
        if taken is None:
            return True
        self.shared.add(name)
        other = taken.word if taken.kind == "local" else taken.kind
        if taken.block is not None:
            place: Span | None = taken.block.steps[taken.block.ids[name]].id_span
        else:
            place = taken.node.span if taken.node is not None else None
        inside = f" in `{within}`" if within else ""
        outside = " outside of it" if within and taken.block is not None else ""
        self.findings.add(
            codes.AMBIGUOUS_NAME,
            span,
            f"the {kind} `{name}`{inside} has the same name as {with_article(other)}{outside}, so "
            f"`{{{{ {name} }}}}` could mean either",
            label="the same name",
            help="rename one of them",
            related=[(f"the {other} is here", place)] if place is not None else [],
        )
        return False

    def declare_within(self, scope: Scope, word: str, name: str, node: Node | None, step: str) -> None:
        """Give a name to something that is known inside of one step only."""
        scope.declare(name, ANY, node=node, word=word)
        if name not in RESERVED:
            self.within.setdefault(name, (word, step))


def _named(models: Models | None) -> tuple[str, ...]:
    return (models,) if isinstance(models, str) else tuple(models or ())


def _autos_of(unit: Unit) -> FileAutos | None:
    """What is known of the `<AUTO>` values of a file, None if it has none."""
    if not has_tag(unit.document.source.text):
        return None
    from orchestrator.compiler.auto.insertion import FileAutos  # few files have any

    return FileAutos(unit)


def _all_names(unit: Unit) -> Iterator[str]:
    """Every name that an expression of the file might read, wherever it stands."""
    yield from unit.spec.inputs
    yield from unit.spec.variables
    pending = [*unit.spec.steps, *(unit.spec.finally_ or ()), *_of_handlers(unit.spec.error_handlers)]
    while pending:
        step = pending.pop()
        yield step.id
        if step.kind in (None, "tool") and step.on_error is None:
            continue
        if step.as_:
            yield step.as_
        yield from step.initial or ()
        yield from step.update or ()
        pending += (*(step.steps or ()), *(step.parallel or ()), *(step.default or ()), *_of_handlers(step.on_error))
        for steps in (step.cases or {}).values():
            pending += steps


def _of_handlers(handlers: Iterable[HandlerSpec] | None) -> list[StepSpec]:
    return [step for handler in handlers or () for step in handler.steps or ()]
