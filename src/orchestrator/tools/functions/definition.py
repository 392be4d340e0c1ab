"""The `@tool` decorator, and the conversion of functions, classes and modules to tools."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar, get_args, overload

from msgspec import Struct
from msgspec.structs import replace

from orchestrator import codes
from orchestrator.errors import ConfigurationError
from orchestrator.expressions.types.value_types import ANY, Type
from orchestrator.text.words import quoted_list
from orchestrator.tools.contract import Action, Effects, Parameter, RefusalCheck, Tool, ToolContext, check_parameter
from orchestrator.tools.functions.annotations import annotation_name, describe_annotation
from orchestrator.tools.functions.docstrings import Docstring, parse_docstring
from orchestrator.tools.functions.results import json_result

T = TypeVar("T", bound=Callable[..., Any])


_MARK = "__orchestrator_tool__"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class _Options(Struct, frozen=True):
    name: str | None = None
    primary: str | None = None
    requires: tuple[str, ...] = ()
    refusal: RefusalCheck | None = None
    version: str = "1"
    reads: tuple[str, ...] = ()
    effects: Effects = "external"


@overload
def tool(function: T, /) -> T: ...
@overload
def tool(
    *,
    name: str | None = None,
    primary: str | None = None,
    requires: Iterable[str] = (),
    refusal: RefusalCheck | None = None,
    reads: Iterable[str] = (),
    version: str = "1",
    effects: Effects = "external",
) -> Callable[[T], T]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    primary: str | None = None,
    requires: Iterable[str] = (),
    refusal: RefusalCheck | None = None,
    reads: Iterable[str] = (),
    version: str = "1",
    effects: Effects = "external",
) -> Any:
    """Make a typed function or class a tool. It stays callable in Python.

    A function is a tool with one action. The actions of a class are its public methods, on an instance created without
    arguments. Parameters and the type of the result come from the signature, descriptions from the docstring.

    Args:
        function: The function or class, if the decorator is used without parentheses.
        name: The name of the tool (or action); by default that of the function, or of the class in `snake_case`.
        primary: The field of the result that `{{ step }}` refers to; by default the whole result.
        requires: Extras of Orchestrator, or other distributions, that must be installed.
        refusal: Decides from the known parameters and the permissions whether a call is permitted.
        reads: The parameters that name a file which must exist.
        version: Change it when the same parameters give another result.
        effects: "none" if the function only computes its result: it writes nothing, calls no service, costs nothing and
            takes little time. Steps without effects that depend on it then start before its success is durable.
            "once" if it does what must not happen twice: a call that was interrupted is not repeated by itself, and
            its step fails unless it has `on_resume`. Of a class: that of all its methods.

    Example:
        >>> @tool
        ... def shout(text: str, times: int = 1) -> str:
        ...     return text.upper() + "!" * times
        >>> shout("hello")
        'HELLO!'
    """

    def mark(target: T) -> T:
        needed = (requires,) if isinstance(requires, str) else tuple(requires)
        options = _Options(name, primary, needed, refusal, version, tuple(reads), effects)
        if effects not in get_args(Effects):
            raise _invalid_tool(
                _place(target), f"unknown `effects` {effects!r}", f"use {quoted_list(get_args(Effects))}"
            )
        try:
            setattr(target, _MARK, options)
        except (AttributeError, TypeError) as error:
            raise _invalid_tool(
                repr(target), "it is neither a function nor a class", "decorate a function or a class"
            ) from error
        return target

    return mark if function is None else mark(function)


def is_marked(obj: Any) -> bool:
    """Whether this object itself (not a base class) is decorated with `@tool`."""
    return _MARK in getattr(obj, "__dict__", {})


def to_tool(obj: Any, *, name: str | None = None) -> Tool:
    """Return the tool for a function, class, instance, module or `Tool`.

    Raises:
        ConfigurationError: It is not a valid tool; the message names the place and how to fix it.
    """
    if isinstance(obj, Tool):
        return obj
    if isinstance(obj, FunctionType | MethodType):
        action = to_action(obj)
        return Tool(name or action.name, {action.name: action}, action.description, _options(obj).version)
    if isinstance(obj, ModuleType):
        return _from_module(obj, name)
    if isinstance(obj, type):
        try:
            instance = obj()
        except TypeError as error:
            raise _invalid_tool(
                _place(obj),
                f"it cannot be created without arguments: {error}",
                "pass an instance instead of the class",
            ) from error
        return _from_instance(instance, name)
    if callable(obj) and not _public_methods(obj):
        raise _invalid_tool(repr(obj), "it is callable but has no typed signature", "wrap it in a typed function")
    return _from_instance(obj, name)


def to_action(function: Callable[..., Any]) -> Action:
    """Return the action for a typed function."""
    options, place = _options(function), _place(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _invalid_tool(place, "it is a generator", "return a list instead")
    documentation = parse_docstring(inspect.getdoc(function) or "")
    hints = _hints(function, place)
    parameters: dict[str, Parameter] = {}
    context_name, accepts_extra = None, False
    for given in inspect.signature(function).parameters.values():
        annotation = hints.get(given.name, inspect.Parameter.empty)
        if _is_context(annotation):
            context_name = given.name
        elif given.kind is inspect.Parameter.VAR_KEYWORD:
            accepts_extra = True
        elif given.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise _invalid_tool(place, f"`{given.name}` is positional-only", "make it a normal named parameter")
        else:
            parameters[given.name] = _parameter(given, annotation, documentation, place)
    returns = _returns(hints.get("return", inspect.Parameter.empty), place)
    _check_primary(options.primary, returns, place)
    name = _checked_name(options.name or function.__name__.rstrip("_"), place)
    return Action(
        name=name,
        function=_with_context(function, context_name) if context_name and context_name != "context" else function,
        mode="async" if inspect.iscoroutinefunction(function) else "thread",
        parameters=parameters,
        returns=returns,
        description=documentation.description,
        primary=options.primary,
        takes_context=context_name is not None,
        accepts_extra=accepts_extra,
        requires=options.requires,
        refusal=options.refusal,
        reads=options.reads,
        effects=options.effects,
        example=documentation.example,
    )


def _parameter(given: inspect.Parameter, annotation: Any, documentation: Docstring, place: str) -> Parameter:
    if annotation is inspect.Parameter.empty:
        raise _invalid_tool(
            place, f"the parameter `{given.name}` has no annotation", f"annotate it, for example `{given.name}: str`"
        )
    try:
        described = describe_annotation(annotation, "in")
    except TypeError as error:
        raise _invalid_tool(
            place, f"the parameter `{given.name}` has an unsupported type: {error}", _TYPES_HELP
        ) from error
    required = given.default is inspect.Parameter.empty
    default = None
    if not required:
        try:
            default = json_result(_field_default(given.default), "the default")
        except ValueError as error:
            raise _invalid_tool(
                place, f"the default of `{given.name}` is not JSON data: {error}", _TYPES_HELP
            ) from error
    description = described.description or documentation.parameters.get(given.name, "")
    parameter = Parameter(
        given.name, described.type, description, required, default, described.convert, described.check
    )
    if default is not None and (problem := check_parameter(parameter, default)) is not None:
        message = f"the default of `{given.name}` {problem.removeprefix('the value ')}"
        raise _invalid_tool(place, message, "change the default, or the annotation")
    return parameter


def _returns(annotation: Any, place: str) -> Type:
    if annotation is inspect.Parameter.empty:
        return ANY
    try:
        return describe_annotation(annotation, "out").type
    except TypeError as error:
        raise _invalid_tool(place, f"its result cannot be converted to JSON data: {error}", _TYPES_HELP) from error


def _field_default(default: Any) -> Any:
    """Return the default inside `= Field(default=..., description=...)`."""
    return default.get_default(call_default_factory=True) if type(default).__name__ == "FieldInfo" else default


def _check_primary(primary: str | None, returns: Type, place: str) -> None:
    if primary is not None and returns.closed and primary not in returns.properties:
        fields = quoted_list(returns.properties)
        raise _invalid_tool(
            place, f"its result has no field `{primary}`, the `primary` one", f"the fields are {fields}"
        )


def _hints(function: Callable[..., Any], place: str) -> dict[str, Any]:
    target = function.__func__ if isinstance(function, MethodType) else function
    try:
        return typing.get_type_hints(target, include_extras=True)
    except NameError as error:
        raise _invalid_tool(
            place,
            f"its annotation `{error.name}` is not defined",
            f"import `{error.name}` at the top of the module, not in `if TYPE_CHECKING` or inside a function",
        ) from error
    except TypeError as error:
        raise _invalid_tool(place, f"invalid annotations: {error}", "fix the annotation") from error


def _is_context(annotation: Any) -> bool:
    return annotation is ToolContext or ToolContext in typing.get_args(annotation)


def _with_context(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return the function with its context parameter renamed to `context`."""

    @wraps(function)
    def renamed(*, context: ToolContext, **parameters: Any) -> Any:
        return function(**{name: context}, **parameters)

    return renamed


def _from_instance(instance: Any, name: str | None) -> Tool:
    kind = type(instance)
    options, place = _options(kind), _place(kind)
    methods = _public_methods(instance)
    if not methods:
        raise _invalid_tool(place, "it has no public methods", "add a typed method for each action")
    actions = {action.name: action for action in map(to_action, methods)}
    if options.effects != "external":
        actions = {key: replace(action, effects=options.effects) for key, action in actions.items()}
    tool_name = _checked_name(name or options.name or _snake(kind.__name__), place)
    description = parse_docstring(inspect.cleandoc(kind.__doc__ or "")).description
    return Tool(tool_name, actions, description, options.version)


def _public_methods(instance: Any) -> list[Callable[..., Any]]:
    kind = type(instance)
    names = [name for name in dir(kind) if not name.startswith("_")]
    found = [getattr(instance, name) for name in names if not isinstance(inspect.getattr_static(kind, name), property)]
    methods = [item for item in found if isinstance(item, FunctionType | MethodType)]
    return sorted(methods, key=lambda method: method.__code__.co_firstlineno)


def _from_module(module: ModuleType, name: str | None) -> Tool:
    place = f"`{getattr(module, '__file__', None) or module.__name__}`"
    own = [
        item
        for key, item in vars(module).items()
        if isinstance(item, FunctionType) and _belongs_to(module, item) and not key.startswith("_")
    ]
    functions = [item for item in own if is_marked(item)] or own
    if not functions:
        raise _invalid_tool(place, "the module has no public functions", "add a typed function for each action")
    actions = {action.name: action for action in map(to_action, functions)}
    tool_name = _checked_name(name or module.__name__.rpartition(".")[2], place)
    description = parse_docstring(inspect.cleandoc(module.__doc__ or "")).description
    versions = {_options(function).version for function in functions}
    return replace(Tool(tool_name, actions, description), version="+".join(sorted(versions)))


def _belongs_to(module: ModuleType, function: FunctionType) -> bool:
    """Whether a module defines a function, or is a package that shows one of its own modules."""
    return f"{function.__module__}.".startswith(f"{module.__name__}.")


def _options(obj: Any) -> _Options:
    marked = vars(obj).get(_MARK) if isinstance(obj, type) else getattr(obj, _MARK, None)
    return marked if isinstance(marked, _Options) else _Options()


def _checked_name(name: str, place: str) -> str:
    if not _NAME.fullmatch(name):
        raise _invalid_tool(
            place, f"`{name}` is not a valid tool name", "use letters, digits, `_` and `-`; set it with `name=`"
        )
    return name


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _place(obj: Any) -> str:
    """Return where an object is defined: "`notify` (tools.py, line 12)"."""
    label = f"`{getattr(obj, '__qualname__', annotation_name(obj))}`"
    # `inspect` would search the source, which is slow and not thread-safe.
    code = getattr(obj, "__code__", None) or next(_codes(obj), None)
    if code is None:
        return label
    return f"{label} ({code.co_filename}, line {getattr(obj, '__firstlineno__', code.co_firstlineno)})"


def _codes(kind: Any) -> Iterator[CodeType]:
    """Return the code of the methods of a class, in order."""
    functions = (getattr(item, "__func__", item) for item in vars(kind).values()) if isinstance(kind, type) else ()
    return (
        item.__code__ for item in functions if isinstance(item, FunctionType) and item.__module__ == kind.__module__
    )


_TYPES_HELP = "use str, int, float, bool, list, dict, Literal, Path, a TypedDict, a dataclass or a model of these"


def _invalid_tool(place: str, problem: str, help: str) -> ConfigurationError:
    error = ConfigurationError(f"{place} is not a valid tool: {problem}", help=help)
    error.code = codes.INVALID_TOOL
    return error
