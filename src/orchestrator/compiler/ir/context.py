"""The data of one compilation and of one file in it, which all passes, kinds of steps and rules share."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.compiler.ir.diagnostics import Diagnostics
from orchestrator.compiler.ir.files import PipelineFiles
from orchestrator.compiler.ir.model_references import ModelEnvironment
from orchestrator.compiler.ir.names import RESERVED, step_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import (
    BlockPasses,
    NameScope,
    PlacedTemplate,
    SourceBlock,
    SourceHandler,
    SourceStep,
    TargetKind,
)
from orchestrator.compiler.ir.templates import TemplateReader
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY, Reference, Type, Value
from orchestrator.language.yaml.nodes import Node
from orchestrator.plan.auto_values import is_auto
from orchestrator.text.words import with_article
from orchestrator.tools import Permissions, Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.compiler.ir.files import FileLocation
    from orchestrator.compiler.ir.model_references import ModelReference
    from orchestrator.diagnostics import Span
    from orchestrator.language import Document
    from orchestrator.language.spec.pipeline import HandlerSpec, StepSpec
    from orchestrator.plan.concurrency import ConcurrencyPlan
    from orchestrator.plan.model import OutputPlan
    from orchestrator.tools.contract import Action


class CompilationSession(Struct, eq=False):
    """One compilation: its settings, and the files that it has read, by their keys.

    `step_types` are the types of steps by the identity of their action, where the action alone decides: most steps of a
    file share one. `called` are the files that a step calls; `calls` maps callers to called files; `unlimited` are the
    calls without a `max_depth`. `notice_targets` are the configured targets of notices, None if they are not checked;
    those in `waiting_targets` are notified of the questions of a run of the main file.
    """

    registry: Registry
    permissions: Permissions
    directory: Path
    models: ModelEnvironment
    files: PipelineFiles
    uses_locks: bool = True
    notice_targets: Collection[str] | None = None
    waiting_targets: Collection[str] = ()
    step_types: dict[int, Type] = field(default_factory=dict)
    contexts: dict[str, CompilationContext] = field(default_factory=dict)
    called: dict[str, CompilationContext] = field(default_factory=dict)
    calls: dict[str, dict[str, None]] = field(default_factory=dict)
    unlimited: dict[str, dict[str, PipelineCall]] = field(default_factory=dict)

    def step_type(self, action: Action | None, returns: Type | None) -> Type:
        """Return the type of a step that calls an action; `returns` is the type of the result of this call."""
        if action is None or returns is not action.returns:
            return step_type(action, returns)
        known = self.step_types.get(id(action))
        if known is None:
            known = self.step_types[id(action)] = step_type(action)
        return known


class PipelineCall(Struct, frozen=True):
    """A call of another file, at `node`; `detached`: as a run of its own."""

    context: CompilationContext
    node: Node
    detached: bool = False


class CompilationContext:
    """One file: its content, its diagnostics, and what the passes have found out.

    `key` identifies the file in the compilation, None if it has no path; `locations` are where it may be. `scope` has
    the names of the file itself, `block` its steps, `steps` those at every depth. `read` are the inputs and variables
    that are used, `within` the names that are known only inside one step: what they are, and the id of the step.
    """

    def __init__(self, document: Document, session: CompilationSession, locations: tuple[FileLocation, ...]) -> None:
        self.document = document
        self.spec = document.spec
        self.session = session
        self.locations = locations
        self.key = locations[0].key if locations else None
        self.diagnostics = Diagnostics(document.source, document.diagnostics)
        self.templates = TemplateReader(self.diagnostics, frozenset(n for n in _all_names(self) if "-" in n))
        self.model_references: dict[int, ModelReference] = {}
        """The nodes that name models which are called, by the identity of the node."""
        self.prompts: dict[str, str] = {}
        """The texts of the prompt files that the file uses, by their keys."""
        self.scope = NameScope(None)
        self.block: SourceBlock | None = None
        self.finally_: SourceBlock | None = None
        self.handlers: list[SourceHandler] = []
        self.steps: list[SourceStep] = []
        self.variables: dict[str, Value] = {}
        self.outputs: dict[str, OutputPlan] = {}
        self.output_types: dict[str, Type] = {}
        self.output_places: list[PlacedTemplate] = []
        self.labels: list[Value] = []
        self.concurrency: ConcurrencyPlan | None = None
        self.places_of_outputs: dict[str, list[PlacedTemplate]] = {}
        self.early_outputs: dict[str, list[Type]] = {}
        """The types of the values that steps with `end` give to outputs."""
        self.trigger_inputs: dict[str, Value] = {}
        self.notice_messages: dict[str, Value] = {}
        self.read: set[tuple[TargetKind, str]] = set()
        self.shared: set[str] = set()
        self.within: dict[str, tuple[str, str]] = {}
        self.unknown: list[tuple[PlacedTemplate, Reference]] = []
        self.refused_tools: dict[tuple[str, str], Span] = {}
        """The first place of each tool that does not exist, by the message and the help."""
        self.unknown_servers: set[str] = set()
        self._passes: BlockPasses | None = None
        self._inside: dict[str, list[SourceStep]] | None = None
        self._holders: dict[int, SourceStep] | None = None

    def close(self) -> None:
        """Let go of everything: its parts refer to each other, so they would wait for the garbage collector."""
        for step in self.steps:
            step.block.close()
        self.scope.close()
        vars(self).clear()

    @property
    def blocks(self) -> BlockPasses:
        """The passes over blocks, which must be set before a step is read."""
        if self._passes is None:
            raise OrchestratorError(f"`{self.document.source.name}` has no passes over blocks")
        return self._passes

    @blocks.setter
    def blocks(self, passes: BlockPasses) -> None:
        self._passes = passes

    @property
    def directory(self) -> Path:
        """The directory where relative paths of the run start."""
        return self.session.directory

    @property
    def is_declared(self) -> bool:
        """Whether all inputs and outputs are known: no error outside the steps hides some of them."""
        steps = child(self.spec.node, "steps")
        lines = range(steps.span.start.line, steps.span.end.line + 1) if steps is not None else ()
        wrong = (found.span.start.line for found in self.document.diagnostics if found.severity == "error")
        return not self.document.partial and all(line in lines for line in wrong)

    @property
    def inside(self) -> Mapping[str, list[SourceStep]]:
        """The steps inside other steps, in `finally` or in a handler, by id."""
        if self._inside is None:
            self._inside = {}
            for step in self.steps:
                if step.id and step.block is not self.block and not is_auto(step.id):
                    self._inside.setdefault(step.id, []).append(step)
        return self._inside

    def holder(self, place: PlacedTemplate) -> SourceStep | None:
        """Return the step that contains a template directly. All steps must have been read."""
        if self._holders is None:
            self._holders = {id(held): step for step in self.steps for held in step.places()}
        return self._holders.get(id(place))

    def value(self, node: Node, scope: NameScope, places: list[PlacedTemplate]) -> Value:
        """Build the value of a node whose templates see the names of `scope`."""
        return self.templates.value(node, scope, places)

    def value_at(
        self, node: Node | None, path: Iterable[str], scope: NameScope, places: list[PlacedTemplate]
    ) -> Value | None:
        """Build the value of the node at a path below a node; None if there is none."""
        found = child(node, *path)
        return None if found is None else self.value(found, scope, places)

    def record_read(self, place: PlacedTemplate, reference: Reference) -> None:
        """Record that an input or a variable is read, or an unknown step."""
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

    def claim(self, kind: str, name: str, span: Span, scope: NameScope, *, within: str = "") -> bool:
        """Return whether a name is free; report it if it already means something else in `scope`.

        `within` is the id of the step that contains it.
        """
        if name in RESERVED:
            self.diagnostics.add(
                codes.INVALID_NAME,
                span,
                f"`{name}` cannot be the name of {with_article(kind)}: the name is reserved",
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
        outside = " outside it" if within and taken.block is not None else ""
        self.diagnostics.add(
            codes.AMBIGUOUS_NAME,
            span,
            f"the {kind} `{name}`{inside} has the same name as {with_article(other)}{outside}, so "
            f"`{{{{ {name} }}}}` could mean either",
            label="the same name",
            help="rename one of them",
            related=[(f"the {other} is here", place)] if place is not None else [],
        )
        return False

    def declare_within(self, scope: NameScope, word: str, name: str, node: Node | None, step: str) -> None:
        """Declare a name that is known only inside one step."""
        scope.declare(name, ANY, node=node, word=word)
        if name not in RESERVED:
            self.within.setdefault(name, (word, step))


def _all_names(context: CompilationContext) -> Iterator[str]:
    """Yield every name that an expression anywhere in the file might read."""
    yield from context.spec.inputs
    yield from context.spec.variables
    pending = [*context.spec.steps, *(context.spec.finally_ or ()), *_of_handlers(context.spec.error_handlers)]
    while pending:
        step = pending.pop()
        yield step.id
        pending += step.undo or ()
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
