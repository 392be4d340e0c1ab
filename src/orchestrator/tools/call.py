"""Calls one action: checks the parameters and permissions, runs the function, and returns JSON data."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import force_setattr

from orchestrator import codes
from orchestrator.errors import ConfigurationError, StepError
from orchestrator.expressions.types.assignability import explain_mismatch
from orchestrator.expressions.types.integers import with_integers
from orchestrator.expressions.types.schema import to_json_schema
from orchestrator.text.json_pieces import LARGE, weight
from orchestrator.text.words import quoted_list
from orchestrator.tools.contract import Parameter
from orchestrator.tools.extras import missing_requirement
from orchestrator.tools.functions.results import NotJson, json_result
from orchestrator.tools.functions.task_guard import ToolCallGuard
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.functions.tracebacks import exception_message, innermost_line

if TYPE_CHECKING:
    from orchestrator.expressions.types.value_types import Type
    from orchestrator.tools.contract import Action, ToolContext
    from orchestrator.tools.sandbox.permissions import Permissions


async def call_action(action: Action, parameters: Mapping[str, Any], context: ToolContext) -> Any:
    """Call an action with JSON values and return its result as JSON data.

    Raises:
        StepError: ORC708 a parameter is missing, unknown or of the wrong type; ORC705 the result is not JSON data;
            ORC701 the tool raised an exception (the `__cause__`); any other code that the tool raised itself.
        PermissionDenied: The call is not permitted.
        MissingExtra: A requirement of the action is not installed.
    """
    prepared: _Prepared = action.prepared or _prepare(action)
    values = _bound(action, prepared, parameters)
    refuse_unpermitted(action, parameters, context.permissions)
    if prepared.convert:
        _convert(action, prepared, values)
    if action.takes_context:
        values["context"] = context
    if prepared.is_ours:
        return await _called(action, values)
    with ToolCallGuard():
        return await _called(action, values)


async def _called(action: Action, values: dict[str, Any]) -> Any:
    if action.mode == "thread":
        return await run_in_thread(partial(_run, action, values))
    try:
        result = await action.function(**values)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise StepError(f"`{action.name}` cancelled itself", help="raise an ordinary error instead") from None
    except _PASSED_ON:
        raise
    except BaseException as error:
        if isinstance(error, GeneratorExit) or is_from_keyboard(error):
            raise  # the loop is closing, or the process is stopping
        raise _failed(action, error) from error
    if weight(result, LARGE) >= LARGE:
        return await run_in_thread(partial(_checked_result, action, result))
    return _checked_result(action, result)


def is_from_keyboard(error: BaseException) -> bool:
    """Whether an exception may come from Ctrl-C: only in the main thread, and if nothing else handles Ctrl-C.

    `asyncio.run` and the command handle Ctrl-C themselves, so there a `KeyboardInterrupt` comes from the tool.
    """
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def refuse_unpermitted(action: Action, parameters: Mapping[str, Any], permissions: Permissions) -> None:
    """Raise PermissionDenied for a call that is not permitted; also used before a cached result is returned."""
    if action.refusal is None:
        return
    prepared: _Prepared = action.prepared or _prepare(action)
    refusal = action.refusal({**prepared.defaults, **parameters}, permissions)
    if refusal is not None:
        raise refusal.error()


class _Prepared(Struct, frozen=True):
    """What is computed once per action: `quick` maps a parameter to the Python types that are always valid.

    `is_ours`: the function is part of Orchestrator, and not that of a custom tool.
    """

    quick: Mapping[str, frozenset[type]]
    defaults: Mapping[str, Any]
    required: frozenset[str]
    mutable: bool
    convert: tuple[Parameter, ...]
    is_ours: bool


_QUICK: Mapping[str, frozenset[type]] = {
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "null": frozenset({type(None)}),
    "any": frozenset({str, bool, int, float, type(None), list, dict}),
}


def _quick_types(type: Type) -> frozenset[type]:
    if type.enum:
        return frozenset()
    if type.kind == "array" and (type.items is None or type.items.kind == "any"):
        return frozenset({list})
    if type.kind == "object" and not type.properties and not type.closed:
        return frozenset({dict})
    if type.kind == "union":
        return frozenset().union(*map(_quick_types, type.options))
    return _QUICK.get(type.kind, frozenset())


def _prepare(action: Action) -> _Prepared:
    error = missing_requirement(action)
    if error is not None:
        raise error
    parameters = action.parameters.values()
    defaults = {parameter.name: parameter.default for parameter in parameters if not parameter.required}
    prepared = _Prepared(
        quick={parameter.name: _quick_types(parameter.type) for parameter in parameters},
        defaults=defaults,
        required=frozenset(parameter.name for parameter in parameters if parameter.required),
        mutable=any(isinstance(default, list | dict) for default in defaults.values()),
        convert=tuple(parameter for parameter in parameters if parameter.convert is not None),
        is_ours=(getattr(action.function, "__module__", None) or "").startswith("orchestrator."),
    )
    force_setattr(action, "prepared", prepared)
    return prepared


def _bound(action: Action, prepared: _Prepared, parameters: Mapping[str, Any]) -> dict[str, Any]:
    values = deepcopy(dict(prepared.defaults)) if prepared.mutable else dict(prepared.defaults)
    quick = prepared.quick
    for name, value in parameters.items():
        fitting = quick.get(name)
        if fitting is None:
            if not action.accepts_extra:
                takes = quoted_list(action.parameters) or "none"
                raise _invalid(f"unknown parameter `{name}` of `{action.name}`", f"the parameters are {takes}")
        elif type(value) not in fitting:
            wanted = action.parameters[name].type
            problem = explain_mismatch(value, wanted)
            if problem is not None:
                raise _invalid(_about(name, action, problem), _FIX)
            value = with_integers(value, to_json_schema(wanted))  # 2.0 is valid, but the function expects an int
        values[name] = value
    if not prepared.required <= parameters.keys():
        missing = quoted_list(name for name in action.parameters if name in prepared.required - parameters.keys())
        raise _invalid(f"`{action.name}` requires {missing}", f"add {missing} to the parameters of the step")
    return values


def _convert(action: Action, prepared: _Prepared, values: dict[str, Any]) -> None:
    for parameter in prepared.convert:
        value = values[parameter.name]
        if parameter.convert is None or (value is None and not parameter.required and parameter.default is None):
            continue
        try:
            values[parameter.name] = parameter.convert(value)
        except ValueError as error:
            raise _invalid(_about(parameter.name, action, str(error)), _FIX) from error


_FIX = "fix the source of the value, or convert it, for example with `| int`, `| string` or `| list`"


def _about(name: str, action: Action, problem: str) -> str:
    """Return the problem as a sentence about one parameter."""
    subject = f"`{name}` of `{action.name}`"
    if problem.startswith("`"):
        return f"in {subject}, {problem}"
    return f"{subject} {problem.removeprefix('the value ')}"


def _invalid(message: str, help: str) -> StepError:
    return StepError(message, code=codes.INVALID_PARAMETER, help=help, retryable=False)


def _run(action: Action, values: dict[str, Any]) -> Any:
    """Run in the worker thread, which also converts the result, so that a large one does not block the loop."""
    try:
        result = action.function(**values)
    except _PASSED_ON:
        raise
    except BaseException as error:  # nothing else in the thread handles SystemExit or a panic of a library
        raise _failed(action, error) from error
    return _checked_result(action, result)


def _checked_result(action: Action, result: Any) -> Any:
    try:
        return json_result(result)
    except NotJson as error:
        raise StepError(f"`{action.name}`: {error}", code=codes.RESULT_NOT_JSON, retryable=False) from None
    except (
        Exception,
        SystemExit,
        KeyboardInterrupt,
    ) as error:  # raised by a property or a method of a user-defined class
        raise _failed(action, error) from error


_PASSED_ON = (StepError, ConfigurationError)
"""Errors that a tool raises on purpose."""


def _failed(action: Action, error: BaseException) -> StepError:
    where = innermost_line(error)
    message = f"`{action.name}` raised {type(error).__name__}: {exception_message(error) or 'no message'}"
    failure = StepError(message)
    if where is not None:
        failure = StepError(f"{message} ({where})", help="fix the tool or its parameters")
    failure.retryable = isinstance(error, Exception)  # the others request an exit
    return failure
