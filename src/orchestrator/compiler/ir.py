"""What is known of the steps of a file and of the blocks that they stand in, while the file is checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.compiler.flow import Flow
from orchestrator.compiler.scopes import Scope
from orchestrator.compiler.templates import PlacedTemplate, child
from orchestrator.expressions import Template, Value
from orchestrator.language.spec.pipeline import CheckSpec, HandlerSpec, StepSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.context import Unit
    from orchestrator.diagnostics import Span
    from orchestrator.expressions import Type
    from orchestrator.language.yaml.nodes import Node
    from orchestrator.plan.steps import Work

BlockKind = Literal["pipeline", "for_each", "repeat", "case", "group", "parallel", "handler", "finally"]


class Construct(ABC):
    """The work of one step while it is checked. It is made when the step is read: all its templates are parsed then.

    `places` are the templates of the step itself, not those of the steps within.
    """

    def __init__(self) -> None:
        self.places: list[PlacedTemplate] = []
        self.outcomes: list[PlacedTemplate] = []
        """Those of `places` that make what a loop collects."""
        self.item_scope: Scope | None = None
        """What the attempts of the step can see, where they are made for each item of a loop."""
        self.called: Unit | None = None
        """The other pipeline that the step runs."""
        self.makes_attempts = False
        """Whether the step's `retry`, `on_resume` and `cache` are those of its calls."""
        self.asks_models = False
        """Whether its calls are of models."""
        self.model: Value | None = None
        """The models that its call asks, if it is a call of models and names some. Known when it has been checked."""
        self.item_type: Type | None = None
        """The type of what each attempt gives, where attempts are made for each item of a loop."""

    @abstractmethod
    def check(self, unit: Unit) -> Type:
        """Report what is wrong, and return the type of the step. What it reads has been checked before."""

    def files_read(self) -> list[Node]:
        """Where the step names files that it reads, if they are constants."""
        return []

    def items_of(self, scope: Scope) -> Value | None:
        """What it repeats for each item of, if the names of the item are those of `scope`."""
        return None

    @abstractmethod
    def plan(self, unit: Unit) -> Work:
        """Build the work of a step without errors."""


@dataclass(slots=True, eq=False)
class HandlerParts:
    """One handler of errors."""

    spec: HandlerSpec
    block: BlockParts | None = None
    fallback: Value | None = None
    places: list[PlacedTemplate] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class CheckParts:
    """What the output of a step must be. `scope` is what the step sees, with `output`."""

    spec: CheckSpec
    scope: Scope
    conditions: list[Template] = field(default_factory=list)
    rubric: Value | None = None
    model: Value | None = None
    schema: Mapping[str, Any] | None = None
    places: list[PlacedTemplate] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class StepParts:
    """One step. `templates` are those that are evaluated if it runs, `guards` those that decide whether it does."""

    spec: StepSpec
    block: BlockParts
    work: Construct | None = None
    condition: Template | None = None
    fallback: Value | None = None
    cache_key: Value | None = None
    handlers: list[HandlerParts] = field(default_factory=list)
    check: CheckParts | None = None
    templates: list[PlacedTemplate] = field(default_factory=list)
    guards: list[PlacedTemplate] = field(default_factory=list)

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
        if self.work is not None:
            yield from self.work.places
        for handler in self.handlers:
            yield from handler.places
        if self.check is not None:
            yield from self.check.places

    def outwards(self) -> Iterator[StepParts]:
        """The step, the one that it is part of, and so on."""
        step: StepParts | None = self
        while step is not None:
            yield step
            step = step.block.owner

    def within(self, block: BlockParts) -> StepParts | None:
        """The step of `block` that this one is, or is part of."""
        return next((step for step in self.outwards() if step.block is block), None)


@dataclass(slots=True, eq=False)
class BlockParts:
    """Steps with a scope of their own. `owner` is the step that they are part of, None for those of the file itself."""

    kind: BlockKind
    scope: Scope
    owner: StepParts | None = None
    steps: list[StepParts] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    flow: Flow = field(default_factory=Flow)
    conditions: dict[str, str | None] = field(default_factory=dict)
    """Of each step that may be skipped: the text of its condition, None if a jump skips it."""

    @property
    def last(self) -> StepParts | None:
        """The step whose value is the block's."""
        return self.steps[-1] if self.steps else None

    def value_type(self) -> Type | None:
        """The type of the block's value; None if it has no steps."""
        return self.scope.steps.get(self.steps[-1].id) if self.steps else None
