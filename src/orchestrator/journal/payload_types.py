"""The types that the fields of a recorded payload must have, closer than the annotations of the payloads say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - the types of the fields are evaluated
from functools import cache
from typing import Annotated, Any, Final, Literal, TypedDict, Union, get_args, get_type_hints

from msgspec import Meta, ValidationError, convert

from orchestrator.journal.payload import Json, Payload, QuestionKind

LARGEST: Final = 2**53
"""No number that the journal itself counts or measures is larger."""

END_OF_TIME: Final = 2**37
"""Seconds: the year 6325. Later times cannot be shown on all platforms."""


class _RecordedEscalation(TypedDict):
    """What is read of an escalation."""

    after: Annotated[float, Meta(gt=0, le=LARGEST)]
    to: Sequence[str]


class _RecordedQuestion(TypedDict, total=False):
    """What is read of a question."""

    kind: QuestionKind
    prompt: str
    answer: Json
    choices: Sequence[Any]
    questions: Sequence[str]
    assignee: Sequence[str]
    asked_at: Annotated[float, Meta(ge=0, le=END_OF_TIME)]
    remind: Annotated[float, Meta(gt=0, le=LARGEST)]
    reminded: Annotated[int, Meta(ge=0, le=LARGEST)]
    escalate: _RecordedEscalation
    escalated: Sequence[str]


class _RecordedOrigin(TypedDict, total=False):
    """What is read of where a run was started."""

    tools: Sequence[str]
    sources: Sequence[str]
    paths: Sequence[str]
    run: bool | Sequence[str]
    hosts: Sequence[str]
    replay: str | None


class _RecordedLimit(TypedDict):
    """What is read of how many runs may be executed at once."""

    key: str
    max: Annotated[int, Meta(ge=1, le=LARGEST)]
    on_full: Literal["queue", "skip", "cancel_oldest"]


class _RecordedOptions(TypedDict, total=False):
    """What is read of the options of a run."""

    max_parallel: Annotated[int, Meta(ge=1, le=LARGEST)] | None
    timeout: Annotated[float, Meta(ge=0, le=LARGEST)] | None
    cache: bool
    priority: Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]
    not_before: Annotated[float, Meta(ge=0, le=END_OF_TIME)] | None
    concurrency: _RecordedLimit | None
    runs_on: Sequence[str] | None
    origin: _RecordedOrigin | None


class _RecordedPlan(TypedDict):
    """What every plan has."""

    steps: Sequence[Json]


_ANYTHING: Final[tuple[frozenset[type], Any]] = (frozenset(), Any)
_PLAIN: Final[Mapping[Any, set[type]]] = {Json: {dict}, str: {str}, bool: {bool}, type(None): {type(None)}}
_RANGES: Final[Mapping[Any, Any]] = {
    int: Annotated[int, Meta(ge=-LARGEST, le=LARGEST)],
    float: Annotated[float, Meta(ge=-LARGEST, le=LARGEST)],
}
_INNER: Final[Mapping[str, Any]] = {"question": _RecordedQuestion, "options": _RecordedOptions, "plan": _RecordedPlan}
_TIMES: Final = frozenset({"now", "until"})
_TIME: Final = Annotated[float, Meta(ge=-END_OF_TIME, le=END_OF_TIME)]


@cache
def _field_types(payload: Any) -> Mapping[str, tuple[frozenset[type], Any]]:
    """Return for each field the types whose values are all allowed, and what other values must be."""
    hints = get_type_hints(payload)
    found: dict[str, tuple[frozenset[type], Any]] = {}
    for name in payload.fields:
        options = get_args(hints[name]) if type(None) in get_args(hints[name]) else (hints[name],)
        plain = set().union(*(_PLAIN.get(option, ()) for option in options))
        if name in _INNER or name in _TIMES:
            closer: list[Any] = [_INNER.get(name, _TIME)]
            plain.discard(dict)
        else:
            closer = [_RANGES.get(option, option) for option in options if option is not type(None)]
        optional = [None] if type(None) in options else []
        found[name] = (frozenset(plain), Union[(*closer, *optional)])
    return found


def payload_problem(payload: type[Payload], data: Json) -> str | None:
    """Return why JSON data are not such a payload, or None. Unknown keys and references to blobs are allowed."""
    allowed = _field_types(payload)  # type: ignore[arg-type]  # a class can be hashed, even if its instances cannot
    for name, value in data.items():
        plain, hint = allowed.get(name, _ANYTHING)
        if type(value) in plain or hint is Any or _is_reference(value):
            continue
        try:
            convert(value, hint)
        except (ValidationError, OverflowError):
            return f"`{name}` has the wrong type or is out of range"
    return None


def _is_reference(value: object) -> bool:
    return type(value) is dict and value.keys() == {"$blob", "size"}
