"""The intermediate representation of the steps of a file: blocks, scopes, templates and dependencies.

Names belong to blocks, blocks to steps, and templates see names: one structure, hence one module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain, filterfalse
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from msgspec import Struct, field

from orchestrator.compiler.ir.dependency import Flow
from orchestrator.compiler.ir.names import NAMESPACES
from orchestrator.compiler.ir.node_paths import child
from orchestrator.diagnostics import Vocabulary
from orchestrator.expressions import Template, Value
from orchestrator.expressions.types.environment import Environment
from orchestrator.expressions.types.value_types import Type
from orchestrator.language.spec.model_options import CheckSpec
from orchestrator.language.spec.pipeline import HandlerSpec, StepSpec
from orchestrator.language.yaml.nodes import Node, Scalar
from orchestrator.plan.auto_values import is_auto
from orchestrator.plan.undo import Read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from orchestrator.diagnostics import Span
    from orchestrator.expressions import Reference
    from orchestrator.language import Document
    from orchestrator.plan.policies import OnFailure
    from orchestrator.plan.steps import Block, StepPlan, Work
    from orchestrator.tools.contract import Action, Tool

BlockKind = Literal["pipeline", "for_each", "repeat", "case", "group", "parallel", "handler", "undo", "finally"]


TargetKind = Literal["input", "variable", "step", "local"]


_SECTIONS: dict[str, TargetKind] = {"inputs": "input", "variables": "variable"}


class Target(NamedTuple):
    """The target of a reference: its kind and name; of a step also its block, of a local name its scope.

    `node` is the place of the declaration, except of a step; `word` describes a local name.
    """

    kind: TargetKind
    name: str
    block: SourceBlock | None = None
    scope: NameScope | None = None
    node: Node | None = None
    word: str = ""


class NameScope(Environment):
    """The names that are visible at one place with their types; other names are looked up in `parent`.

    Inserted steps that ask for `<AUTO>` values can be looked up but are not listed.

    `steps` are those of `block`, whose types may become more precise. `names` are all other names.
    """

    __slots__ = ("_vocabulary", "block", "names", "parent", "steps", "targets")

    def __init__(self, parent: NameScope | None, names: Mapping[str, Type] | None = None) -> None:
        self.parent = parent
        self.block: SourceBlock | None = None
        self.names: dict[str, Type] = {}
        self.steps: dict[str, Type] = {}
        self.targets: dict[str, Target] = {}
        self._vocabulary: Vocabulary | None = None
        for name, type_ in (names or {}).items():
            self.declare(name, type_)

    def declare(
        self, name: str, type_: Type, kind: TargetKind = "local", node: Node | None = None, word: str = "name"
    ) -> None:
        """Declare a name that is visible here and in nested scopes."""
        self.names[name] = type_
        self._vocabulary = None
        self.targets[name] = Target(kind, name, scope=self, node=node, word=word)

    def enter(self, block: SourceBlock, ids: Iterable[str], unknown: Type) -> None:
        """Make this the scope of a block with these step ids, whose types are not known yet."""
        self.block = block
        self._vocabulary = None
        for id in ids:
            self.steps[id] = unknown
            self.targets[id] = Target("step", id, block=block)
        self.names["steps"] = Type("object", properties=_Steps(self))  # open: an unknown step has a separate code

    def close(self) -> None:
        """Let go of the names, which refer to this scope and to its block."""
        self.names.clear()
        self.steps.clear()
        self.targets.clear()
        self.block = None

    def without(self, *names: str) -> NameScope:
        """Return this scope without some of its names."""
        other = NameScope(self.parent)
        other.block, other.steps = self.block, self.steps
        other.names = {name: type_ for name, type_ in self.names.items() if name not in names}
        other.targets = {name: target for name, target in self.targets.items() if name not in names}
        return other

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def get(self, name: str, default: Type | None = None) -> Type | None:  # type: ignore[override]  # narrower
        """The type of a name."""
        scope: NameScope | None = self
        while scope is not None:
            found = scope.steps.get(name) or scope.names.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return default

    def __getitem__(self, name: str) -> Type:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        found: dict[str, Type] = {}
        for scope in self.chain():
            found |= scope.steps
            found |= scope.names
        return iter([name for name in found if not is_auto(name)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that can be read here, for suggestions."""
        if self._vocabulary is None:
            around = self.parent.vocabulary if self.parent is not None else None
            self._vocabulary = Vocabulary(lambda: filterfalse(is_auto, chain(self.steps, self.names)), around)
        return self._vocabulary

    @property
    def step_vocabulary(self) -> Vocabulary | None:
        """The ids of the steps that can be read here, for suggestions; None if there are no steps."""
        steps = self.get("steps")
        return steps.properties.vocabulary if steps is not None and isinstance(steps.properties, _Steps) else None

    def chain(self) -> Iterator[NameScope]:
        """Yield this scope and the enclosing ones, the innermost first."""
        scope: NameScope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def find(self, name: str) -> Target | None:
        """Return the target of a bare name; None for namespaces and unknown names."""
        scope: NameScope | None = self
        while scope is not None:
            target = scope.targets.get(name)
            if target is not None:
                return target
            scope = scope.parent
        return None

    def step(self, name: str) -> Target | None:
        """Return the visible step with this id, if any."""
        for scope in self.chain():
            if name in scope.steps:
                return scope.targets[name]
        return None

    def target(self, reference: Reference) -> Target | None:
        """Return the target of a reference; None if it is not an input, variable, step or local name."""
        name = reference.name
        scope: NameScope | None = self
        while scope is not None:
            target = scope.targets.get(name)
            if target is not None:
                return target
            if scope.parent is None:
                break
            scope = scope.parent
        if not reference.path or not isinstance(member := reference.path[0], str):
            return None
        if name == "steps":
            return self.step(member)
        target = scope.targets.get(member) if scope else None
        return target if target is not None and target.kind == _SECTIONS.get(name) else None


class _Steps(Environment):
    """The steps that are visible from a scope: the fields of `steps`."""

    __slots__ = ("_vocabulary", "scope")

    def __init__(self, scope: NameScope) -> None:
        self.scope = scope
        self._vocabulary: Vocabulary | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """The ids, for suggestions."""
        if self._vocabulary is None:
            around = self.scope.parent.step_vocabulary if self.scope.parent is not None else None
            self._vocabulary = Vocabulary(lambda: filterfalse(is_auto, self.scope.steps), around)
        return self._vocabulary

    def __getitem__(self, name: str) -> Type:
        for scope in self.scope.chain():
            if name in scope.steps:
                return scope.steps[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter({name: None for scope in self.scope.chain() for name in scope.steps if not is_auto(name)})

    def __len__(self) -> int:
        return sum(1 for _ in self)


def fields_read(reference: Reference) -> tuple[str | int, ...]:
    """Return the path below the target: `("status",)` for both `a.status` and `steps.a.status`."""
    return reference.path[1:] if reference.name in NAMESPACES else reference.path


class PlacedTemplate(Struct, frozen=True):
    """A template, the scalar that contains it, and the names that it can read."""

    template: Template
    scalar: Scalar
    scope: NameScope

    def references(self) -> Iterator[tuple[Reference, Scalar]]:
        """Yield each read of a free name, with the scalar that contains it."""
        for reference in self.template.references:
            yield reference, self.scalar


class Carried(Struct, eq=False):
    """The values that a loop carries from round to round: `scope` has their names.

    `tests` are the templates of the condition, which a `while` evaluates first; `changes` are those of `update`.
    """

    scope: NameScope
    is_tested_first: bool
    initial: dict[str, Value] = field(default_factory=dict)
    update: dict[str, Value] = field(default_factory=dict)
    tests: list[PlacedTemplate] = field(default_factory=list)
    changes: list[PlacedTemplate] = field(default_factory=list)


class SourceWork(ABC):
    """The work of one step while it is checked. It is created when the step is read, with all its templates parsed.

    `places` are the templates of the step itself, not those of the steps inside it.
    """

    def __init__(self) -> None:
        self.places: list[PlacedTemplate] = []
        self.outcomes: list[PlacedTemplate] = []
        """Those of `places` that a loop collects."""
        self.item_scope: NameScope | None = None
        """The scope of the step's attempts, if they are made for each item of a loop."""
        self.handler_scope: NameScope | None = None
        """The scope of the handlers of the step's errors, if it is not that of its attempts."""
        self.called: Document | None = None
        """The file of the pipeline that the step calls."""
        self.calls_tool = False
        """Whether the step is a single tool call, so that the default timeout applies to its attempts."""
        self.call: tuple[Tool, Action] | None = None
        """The tool and the action that it calls, if both are known."""
        self.item_work: SourceWork | None = None
        """The call that is made for each item, if the step is a loop over its own call."""
        self.result_type: Type | None = None
        """The type of the step, if it is known once the step has been read."""
        self.carried: Carried | None = None
        """The values that a loop carries from round to round."""
        self.offers_pipelines = False
        """Whether the model of the step can call pipelines, whose steps are then inside the step."""
        self.makes_attempts = False
        """Whether the step's `retry`, `on_resume` and `cache` apply to its calls."""
        self.asks_models = False
        """Whether it calls models."""
        self.model: Value | None = None
        """The models that its call names, if any. Known once the step has been checked."""
        self.item_type: Type | None = None
        """The type of the result of each attempt, if attempts are made for each item of a loop."""

    @abstractmethod
    def check(self) -> Type:
        """Report errors, and return the type of the step. The steps that it reads must have been checked."""

    def files_read(self) -> list[Node]:
        """Return the nodes that name files which the step reads."""
        return []

    def possible_calls(self) -> list[tuple[str, str]]:
        """Return the tools and actions that the step itself may call, once it has been checked."""
        return [] if self.call is None else [(self.call[0].name, self.call[1].name)]

    def items_of(self, scope: NameScope) -> Value | None:
        """Return the items of the loop whose item names are those of `scope`, None if it is another."""
        return None

    @abstractmethod
    def plan(self) -> Work:
        """Build the work of a step without errors."""


class SourceHandler(Struct, eq=False):
    """One handler of errors."""

    spec: HandlerSpec
    block: SourceBlock | None = None
    fallback: Value | None = None
    places: list[PlacedTemplate] = field(default_factory=list)


class SourceCheck(Struct, eq=False):
    """The `check` of a step. `scope` is that of the step, with `output`."""

    spec: CheckSpec
    scope: NameScope
    conditions: list[Template] = field(default_factory=list)
    rubric: Value | None = None
    model: Value | None = None
    schema: Mapping[str, Any] | None = None
    places: list[PlacedTemplate] = field(default_factory=list)


class SourceFiles(Struct, eq=False):
    """The files that a step produces. `scope` is that of the step, with `output`."""

    scope: NameScope
    paths: list[Value] = field(default_factory=list)
    places: list[PlacedTemplate] = field(default_factory=list)


class SourceUndo(Struct, eq=False):
    """The `undo` of a step. `scope` is that of the step's attempts, with `output`; `reads` are the values it needs."""

    scope: NameScope
    block: SourceBlock
    reads: tuple[Read, ...] = ()


class SourceStep(Struct, eq=False):
    """One step. `templates` are evaluated if it runs, `guards` decide whether it runs.

    `limits` are its limits that are templates, by the names of `plan.limits`.
    """

    spec: StepSpec
    block: SourceBlock
    work: SourceWork | None = None
    condition: Template | None = None
    fallback: Value | None = None
    cache_key: Value | None = None
    handlers: list[SourceHandler] = field(default_factory=list)
    check: SourceCheck | None = None
    produces: SourceFiles | None = None
    undo: SourceUndo | None = None
    templates: list[PlacedTemplate] = field(default_factory=list)
    guards: list[PlacedTemplate] = field(default_factory=list)
    limits: dict[str, Value] = field(default_factory=dict)
    limit_places: list[PlacedTemplate] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id, "" if it has none."""
        return self.spec.id

    @property
    def id_span(self) -> Span:
        """The place of the id."""
        return (child(self.spec.node, "id") or self.spec.node).span

    def places(self) -> Iterator[PlacedTemplate]:
        """All templates of the step itself."""
        yield from self.guards
        yield from self.templates
        yield from self.limit_places
        if self.work is not None:
            yield from self.work.places
        for handler in self.handlers:
            yield from handler.places
        if self.check is not None:
            yield from self.check.places
        if self.produces is not None:
            yield from self.produces.places

    def ancestors(self) -> Iterator[SourceStep]:
        """Yield the step and the steps that contain it, the innermost first."""
        step: SourceStep | None = self
        while step is not None:
            yield step
            step = step.block.owner

    def undoes(self, id: str, block: SourceBlock) -> bool:
        """Return whether this is part of the `undo` of a step of `block`, which has succeeded then."""
        owners = (part.block.owner for part in self.ancestors() if part.block.kind == "undo")
        return any(owner is not None and owner.id == id and owner.block is block for owner in owners)

    def within(self, block: SourceBlock) -> SourceStep | None:
        """Return the step of `block` that is or contains this one, None if there is none."""
        return next((step for step in self.ancestors() if step.block is block), None)


class SourceBlock(Struct, eq=False):
    """Steps with their own scope. `owner` is the step that contains them, None for those of the file itself."""

    kind: BlockKind
    scope: NameScope
    owner: SourceStep | None = None
    steps: list[SourceStep] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    flow: Flow = field(default_factory=Flow)
    conditions: dict[str, str | None] = field(default_factory=dict)
    """The steps that may be skipped, with the text of the condition, None if a jump skips the step."""

    def close(self) -> None:
        """Let go of the steps and their work, which refer to the block and to each other."""
        for step in self.steps:
            step.work = None
        self.steps.clear()
        self.scope.close()

    @property
    def last(self) -> SourceStep | None:
        """The step whose value is the block's."""
        return self.steps[-1] if self.steps else None

    def value_type(self) -> Type | None:
        """The type of the block's value; None if it has no steps."""
        return self.scope.steps.get(self.steps[-1].id) if self.steps else None


class BlockPasses(Protocol):
    """The passes over a block, for the kinds of work that have blocks inside."""

    def read(
        self, kind: BlockKind, specs: Sequence[StepSpec], scope: NameScope, owner: SourceStep | None = None
    ) -> SourceBlock:
        """Read the steps of a block into `scope`, which becomes theirs, and all blocks within it."""

    def check(self, block: SourceBlock) -> None:
        """Report the errors of the steps of a block, and determine their types."""

    def plan(self, block: SourceBlock) -> Block:
        """Build the plan of a block without errors."""

    def plan_item(self, step: SourceStep, work: SourceWork, on_failure: OnFailure) -> StepPlan:
        """Build the plan of the single step that runs for each item of a loop."""
