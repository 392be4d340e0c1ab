"""What a tool is: named actions with typed parameters and a typed result, and the context of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from msgspec import Struct, field

from orchestrator.expressions.types.assignability import explain_mismatch
from orchestrator.expressions.types.value_types import Type
from orchestrator.tools.sandbox.refusal import Refusal

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from orchestrator.tools.sandbox.permissions import Permissions

T = TypeVar("T")

Effects = Literal["none", "external", "once"]
"""What a call does in addition to computing its result.

`none`: nothing; it is quick and free, in this process. `once`: what must not happen twice, such as a mail.
"""


Makes = Literal["text", "embeddings", "images", "transcripts", "speech"]
"""What an action asks a model to make."""


class Parameter(Struct, frozen=True):
    """A parameter of an action. With `required` false, `default` is used if a step omits it.

    `convert` turns the JSON value into the type that the function expects (a `Path`, a model, a date); it raises
    ValueError for an invalid value. `check` raises a StepError for a value that the function will refuse; the compiler
    calls it with constant values.
    """

    name: str
    type: Type
    description: str = ""
    required: bool = True
    default: Any = None
    convert: Callable[[Any], Any] | None = None
    check: Callable[[Any], object] | None = None


def check_parameter(parameter: Parameter, value: Any) -> str | None:
    """Describe what is wrong with a value for a parameter; None if it is valid."""
    problem = explain_mismatch(value, parameter.type)
    if problem is None and parameter.convert is not None:
        try:
            parameter.convert(value)
        except ValueError as error:
            return str(error)
    return problem


class ToolContext(Protocol):
    """What a running action can use. A tool function receives it through a parameter annotated with `ToolContext`."""

    @property
    def run_id(self) -> str:
        """The run's id."""

    @property
    def step(self) -> str:
        """The step's path, such as `fetch` or `translate[2].draft`."""

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of one step of one run. Pass it to services that deduplicate requests.

        A step that was undone and begins again has another one.
        """

    @property
    def directory(self) -> Path:
        """The working directory, which relative paths in parameters are relative to."""

    @property
    def permissions(self) -> Permissions:
        """What this call may access."""

    def service(self, kind: type[T]) -> T:
        """Return a further service of the host by its type, such as a `ModelGateway`.

        Raises:
            StepError: The host does not provide it.
        """

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Report progress from 0 to 1 (None: unknown). Cheap; safe to call from any thread."""

    def log(self, message: str, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        """Record a line in the run's journal. Safe to call from any thread."""

    def wrote(self, path: str | os.PathLike[str]) -> None:
        """Record that the call has written a file, so that readers of the run find it. Safe to call from any thread.

        A relative path starts at the working directory. What is not a file is ignored.
        """


RefusalCheck = Callable[[Mapping[str, Any], "Permissions"], Refusal | None]
"""Decides from the known parameters whether a call is permitted."""


class Action(Struct, frozen=True):
    """One action of a tool.

    `function` is called with the parameters as keywords (and `context=` if `takes_context`). With `mode` "thread" it is
    a plain function that runs in a worker thread; with "async" it is a coroutine function. `primary` names the field of
    the result that `{{ step }}` refers to; None: the whole result. `accepts_extra`: unknown parameters are passed on.
    `refusal` decides from the known parameters whether the call is permitted: at compile time with the constant
    parameters, and before each attempt with all of them. `reads` are the parameters that name files which must exist;
    `files` returns further paths that a call reads. `one_of` are parameters of which a call needs one. `requires` are
    the extras (or other distributions) that must be installed. `example` is a step in YAML. `uses_model`: it calls
    models through a `ModelGateway`, chosen by its parameters `model`, `requires_model` and `selection`;
    `makes` is what they make. `result_type`
    returns the type of the result if it follows from the constant parameters and the defaults; parameters whose value
    is known only at run time are absent. With `effects` "none" a step that was lost in a crash is computed again, so
    what depends on it need not wait until its success is durable, unless that has effects itself. With "once" a call
    that was interrupted, by a crash, a timeout or a shutdown, is not made again by itself, unless its step says so.
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
    makes: Makes = "text"
    effects: Effects = "external"
    result_type: Callable[[Mapping[str, Any]], Type] | None = None
    prepared: Any = None  # set by `call_action` on first use


class Tool(Struct, frozen=True):
    """A named group of actions. A step needs no `action:` for a tool with a single action.

    `aliases` maps other names to action names.
    """

    name: str
    actions: Mapping[str, Action]
    description: str = ""
    version: str = "1"
    extras: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Action | None:
        """Return the action with this name or alias."""
        return self.actions.get(self.aliases.get(name, name))

    @property
    def only_action(self) -> Action | None:
        """The action of a step without `action:`, if there is exactly one action."""
        return next(iter(self.actions.values())) if len(self.actions) == 1 else None
