"""What an expression can see at its place: names within names, each with its type and with what it stands for."""

from __future__ import annotations

from itertools import chain, filterfalse
from typing import TYPE_CHECKING, Literal, NamedTuple

from orchestrator.compiler.names import NAMESPACES
from orchestrator.diagnostics import Vocabulary
from orchestrator.expressions.types.environment import Environment
from orchestrator.expressions.types.value_types import Type
from orchestrator.plan.auto_values import is_auto

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.compiler.ir import BlockParts
    from orchestrator.expressions import Reference
    from orchestrator.language.yaml.nodes import Node

TargetKind = Literal["input", "variable", "step", "local"]


_SECTIONS: dict[str, TargetKind] = {"inputs": "input", "variables": "variable"}


class Target(NamedTuple):
    """What a reference reads: the kind of thing and its name; for a step its block, for a local name its scope.

    `node` is where the name was given, unless it is a step's; `word` says what a local name is.
    """

    kind: TargetKind
    name: str
    block: BlockParts | None = None
    scope: Scope | None = None
    node: Node | None = None
    word: str = ""


class Scope(Environment):
    """The names of one place with their types, as inference wants them; what is not here is looked up in `parent`.

    Steps that ask for the `<AUTO>` values of others are found, and not listed: the file does not hold them.

    `steps` are those of `block`; they may be replaced as more becomes known of their types. `names` are all others.
    """

    __slots__ = ("_vocabulary", "block", "names", "parent", "steps", "targets")

    def __init__(self, parent: Scope | None, names: Mapping[str, Type] | None = None) -> None:
        self.parent = parent
        self.block: BlockParts | None = None
        self.names: dict[str, Type] = {}
        self.steps: dict[str, Type] = {}
        self.targets: dict[str, Target] = {}
        self._vocabulary: Vocabulary | None = None
        for name, type_ in (names or {}).items():
            self.declare(name, type_)

    def declare(
        self, name: str, type_: Type, kind: TargetKind = "local", node: Node | None = None, word: str = "name"
    ) -> None:
        """Add a name that is known here and in the scopes within."""
        self.names[name] = type_
        self._vocabulary = None
        self.targets[name] = Target(kind, name, scope=self, node=node, word=word)

    def enter(self, block: BlockParts, ids: Iterable[str], unknown: Type) -> None:
        """Make this the scope of a block with steps of these ids, whose types are not known yet."""
        self.block = block
        self._vocabulary = None
        for id in ids:
            self.steps[id] = unknown
            self.targets[id] = Target("step", id, block=block)
        self.names["steps"] = Type("object", properties=_Steps(self))  # open: an unknown step has a code of its own

    def apart_from(self, *names: str) -> Scope:
        """The same scope without some of its own names."""
        other = Scope(self.parent)
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
        scope: Scope | None = self
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
        """The names that can be read here, to find near ones."""
        if self._vocabulary is None:
            around = self.parent.vocabulary if self.parent is not None else None
            self._vocabulary = Vocabulary(lambda: filterfalse(is_auto, chain(self.steps, self.names)), around)
        return self._vocabulary

    @property
    def step_vocabulary(self) -> Vocabulary | None:
        """The ids of the steps that can be read here, to find near ones; None where there are no steps."""
        steps = self.get("steps")
        return steps.properties.vocabulary if steps is not None and isinstance(steps.properties, _Steps) else None

    def chain(self) -> Iterator[Scope]:
        """This scope, and those around it from within."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def find(self, name: str) -> Target | None:
        """What a bare name stands for; None for a namespace and for what nobody knows."""
        scope: Scope | None = self
        while scope is not None:
            target = scope.targets.get(name)
            if target is not None:
                return target
            scope = scope.parent
        return None

    def step(self, name: str) -> Target | None:
        """The step of this id that can be seen from here."""
        for scope in self.chain():
            if name in scope.steps:
                return scope.targets[name]
        return None

    def target(self, reference: Reference) -> Target | None:
        """What a reference reads; None if that is no input, variable, step or local name."""
        name = reference.name
        scope: Scope | None = self
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
    """The steps that can be seen from a scope: the fields of `steps`."""

    __slots__ = ("_vocabulary", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._vocabulary: Vocabulary | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """The ids, to find near ones."""
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
    """The path below the thing that is read: `("status",)` for both `a.status` and `steps.a.status`."""
    return reference.path[1:] if reference.name in NAMESPACES else reference.path
