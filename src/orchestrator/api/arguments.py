"""Validation of arguments from Python: a misspelt or wrongly typed argument is an error and is never ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar, overload

from orchestrator.errors import ConfigurationError, InputError
from orchestrator.models.budget import Budget
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")

END_OF_TIME = 2**37
"""Seconds since the epoch: later times are mistakes, such as milliseconds."""


def word_among(name: str, value: T, words: Collection[T]) -> T:
    """Return the value of an argument that is one of a few words.

    Raises:
        ConfigurationError: It is another one; the nearest is suggested.
    """
    if value in words:
        return value
    from orchestrator.diagnostics import suggest

    known = [str(word) for word in words]
    near = suggest(str(value), known)
    listed = quoted_list(known)
    help = f"did you mean `{near}`?" if near else f"expected one of {listed}"
    raise ConfigurationError(f"`{name}` cannot be {value!r}", help=help)


def instance(name: str, value: T, kind: type, example: str) -> T:
    """Return the value of an argument that must be of a type.

    Raises:
        ConfigurationError: It is of another one.
    """
    if isinstance(value, kind):
        return value
    raise ConfigurationError(f"`{name}` cannot be {value!r}", help=f"write for example `{example}`")


def flag(name: str, value: Any) -> bool:
    """Return the value of an argument that must be true or false."""
    return bool(instance(name, value, bool, f"{name}=True"))


def positive(name: str, value: Any) -> Any:
    """Return the value of an option that must be a number above 0, if it is given."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
        raise ConfigurationError(f"`{name}` must be a number greater than 0, not {value!r}")
    return value


def checked_priority(value: Any) -> int:
    """Return the priority of a run."""
    if isinstance(value, bool) or not isinstance(value, int) or not -100 <= value <= 100:
        raise ConfigurationError(f"`priority` must be a whole number from -100 to 100, not {value!r}")
    return value


def moment(name: str, value: Any) -> float:
    """Return a time in seconds since the epoch, given as that or as a `datetime`."""
    if isinstance(value, datetime):
        value = value.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= END_OF_TIME:
        raise ConfigurationError(f"`{name}` must be seconds since the epoch, or a `datetime`, not {value!r}")
    return float(value)


def several(name: str, value: Any) -> tuple[str, ...]:
    """Return the value of an argument that names one thing or several."""
    named = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    for each in named:
        instance(name, each, str, f'{name}=["..."]')
    return named


@overload
def seconds_of(time: float | datetime) -> float: ...
@overload
def seconds_of(time: None) -> None: ...
def seconds_of(time: float | datetime | None) -> float | None:
    """Return a time in seconds since the epoch."""
    return time.timestamp() if isinstance(time, datetime) else time


def validate_budget(budget: Budget | None) -> Budget | None:
    """Return a budget that limits something, if one is given."""
    if budget is None:
        return None
    for name, limit in instance("budget", budget, Budget, "budget=Budget(usd=2)").to_dict().items():
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit < inf:
            raise ConfigurationError(f"`{name}` of a budget must be a number from 0, not {limit!r}")
        if name != "usd" and limit != int(limit):
            raise ConfigurationError(f"`{name}` of a budget must be a whole number, not {limit!r}")
    return budget


def not_picklable(what: str, help: str) -> ConfigurationError:
    """Return the error of pickling or copying a handle; `help` says what can be pickled instead."""
    return ConfigurationError(f"{what} cannot be pickled or copied: it has threads and connections", help=help)


def inputs_of(given: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a run: a mapping, keyword arguments, or both.

    Raises:
        InputError: The first is not a mapping with names.
    """
    if given is None:
        return dict(more)
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise InputError(
            f"the inputs of a run must be a mapping of names to values, not {type(given).__name__}",
            help='give keyword arguments, or {"name": value}',
        )
    return {**given, **more}
