"""What a tool is: named actions with typed parameters and a typed result, and the context that a call is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from orchestrator.expressions.types.value_types import Type
from orchestrator.tools.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.tools.sandbox.permissions import Permissions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named parameter of an action. With `required` false, `default` is used when it is not given.

    `convert` turns the JSON value into what the function asks for (a `Path`, a model, a date); it raises ValueError
    for a value that it cannot take.
    """

    name: str
    type: Type
    description: str = ""
    required: bool = True
    default: Any = None
    convert: Callable[[Any], Any] | None = None


class ToolContext(Protocol):
    """What a running action may use. A tool function receives it as a parameter annotated with `ToolContext`."""

    @property
    def run_id(self) -> str:
        """The run's id."""

    @property
    def step(self) -> str:
        """The step's path, such as `fetch` or `translate[2].draft`."""

    @property
    def attempt(self) -> int:
        """From 1."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of one step of one run; give it to services that deduplicate."""

    @property
    def directory(self) -> Path:
        """The working directory: relative paths in parameters start here."""

    @property
    def permissions(self) -> Permissions:
        """What this call may touch."""

    def service(self, kind: type[T]) -> T:
        """Return what the host offers besides, by its type: a `ModelGateway` for calls of models.

        Raises:
            StepError: The host offers none.
        """

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Report how far the work is, from 0 to 1 (None: not known). Cheap; safe to call from any thread."""

    def log(self, message: str, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        """Record a line in the run's journal. Safe to call from any thread."""


RefusalCheck = Callable[[Mapping[str, Any], "Permissions"], Refusal | None]
"""Decides, from the parameters that are known, whether a call is permitted."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a tool does.

    `function` is called with the parameters as keywords (and `context=` where `takes_context`). With `mode` "thread"
    it is a plain function, run in a worker thread; with "async" a coroutine function. `primary` names the field of
    the result that `{{ step }}` stands for; None: the whole result. `accepts_extra`: unknown parameters are passed on.
    `refusal` decides, from the parameters that are known (others are absent), whether the call is permitted; it is
    asked at compile time with the constant parameters, and again before each attempt with all of them.
    `reads` are the parameters that name files which must be there; `files` gives further paths that a call reads.
    `one_of` are parameters of which a call has to give one. `requires` are the extras (or other distributions) that
    must be installed. `example` is a step in YAML.
    `uses_model`: it asks models through a `ModelGateway`, and its parameters `model`, `requires_model` and `selection`
    say which. `result_type` gives the type of the result where that follows from the constant parameters: those
    that the step gives, and the defaults of those that it does not; one that is known in the run alone is absent.
    """

    name: str
    function: Callable[..., Any]
    mode: Literal["thread", "async"]
    parameters: Mapping[str, Parameter]
    returns: Type
    description: str = ""
    primary: str | None = None
    takes_context: bool = False
    accepts_extra: bool = False
    requires: tuple[str, ...] = ()
    refusal: RefusalCheck | None = None
    reads: tuple[str, ...] = ()
    files: Callable[[Mapping[str, Any]], Iterable[str]] | None = None
    one_of: tuple[str, ...] = ()
    example: str = ""
    uses_model: bool = False
    result_type: Callable[[Mapping[str, Any]], Type] | None = None
    prepared: Any = field(default=None, init=False, repr=False, compare=False)  # what `call` works out on first use


@dataclass(frozen=True, slots=True)
class Tool:
    """A named group of actions. A tool with one action needs no `action:` in a step.

    `aliases` are other names of actions, by the alias.
    """

    name: str
    actions: Mapping[str, Action]
    description: str = ""
    version: str = "1"
    extras: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Action | None:
        """Return the action of this name or alias."""
        return self.actions.get(self.aliases.get(name, name))

    @property
    def only_action(self) -> Action | None:
        """The action that a step without `action:` means, if there is exactly one."""
        return next(iter(self.actions.values())) if len(self.actions) == 1 else None
