"""What the rounds of a loop record of its accumulators: their values, or only what was added at the end of a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from operator import eq, is_
from typing import Any, Final

from msgspec import Struct

from orchestrator.text.json_pieces import weight

WORTHWHILE: Final = 1_000
"""Characters of JSON from which on a value that has only grown is not recorded again as a whole."""

WHOLE_FROM: Final = 16_000
"""Characters of JSON that rounds record at least before all values are recorded again."""

_EMPTY: Final[Mapping[str, Any]] = {}


class RoundState(Struct, frozen=True):
    """What a round records: the values in `state`, and in `appended` what values have grown by since the round before.

    Nothing is `appended` where all values are in `state`: readers need no earlier round.
    """

    state: Mapping[str, Any]
    appended: Mapping[str, Any] = _EMPTY


class RoundStates:
    """Decides what each round of a loop records. The first one of a process records all values.

    All values are recorded again when the rounds since then have recorded as much as they did, so what is recorded in
    total stays proportional to what was added, and a reader never reads much more than the values themselves.
    """

    def __init__(self) -> None:
        self._before: Mapping[str, Any] | None = None
        self._size = 0
        self._since = 0

    def next(self, values: Mapping[str, Any], *, texts: bool) -> RoundState:
        """Return what a round records that ended with these values, which must not be changed in place.

        `texts`: whether a text may be recorded in parts. Where there are secrets, that could split one of them.
        """
        before, self._before = self._before, dict(values)
        if before is None or self._since >= max(self._size, WHOLE_FROM):
            return RoundState(self._before)
        appended = {}
        for name, value in values.items():
            more = self._addition(before.get(name), value, texts)
            if more is not None:
                appended[name] = more
        return RoundState({name: value for name, value in values.items() if name not in appended}, appended)

    def recorded(self, state: RoundState, size: int) -> None:
        """Note that a state was recorded, in so many characters of JSON."""
        if state.appended:
            self._since += size
        else:
            self._size, self._since = size, 0

    @staticmethod
    def _addition(before: Any, after: Any, texts: bool) -> Any:
        if type(before) is not type(after) or (isinstance(after, str) and not texts):
            return None
        return addition(before, after) if weight(before, WORTHWHILE) >= WORTHWHILE else None


def addition(before: Any, after: Any) -> Any:
    """Return what a text, a list or an object has in addition at its end; None if that is not all that has changed.

    Items are compared by identity, as equal ones can be different JSON: `1` and `1.0`.
    """
    if isinstance(after, str):
        return after[len(before) :] if after.startswith(before) else None
    if isinstance(after, list):
        same = after is before or (len(after) >= len(before) and _same(before, after))
        return after[len(before) :] if same else None
    if isinstance(after, dict):
        same = len(after) >= len(before) and all(map(eq, before, after)) and _same(before.values(), after.values())
        return dict(islice(after.items(), len(before), None)) if same else None
    return None


def _same(before: Any, after: Any) -> bool:
    return all(map(is_, before, after))


def folded(rounds: Sequence[RoundState]) -> dict[str, Any]:
    """Return the values after some rounds, of which the first one recorded all.

    Raises:
        TypeError, KeyError: Something was appended to what cannot have been there.
    """
    values: dict[str, Any] = {}
    parts: dict[str, list[Any]] = {}
    for each in rounds:
        for name, value in each.state.items():
            values[name] = value
            parts.pop(name, None)
        for name, more in each.appended.items():
            parts.setdefault(name, []).append(more)
    for name, more in parts.items():
        values[name] = _joined([values[name], *more])
    return values


def _joined(parts: Sequence[Any]) -> Any:
    kind = type(parts[0])
    if kind not in (str, list, dict) or any(type(part) is not kind for part in parts):
        raise TypeError("what was appended is of another type")
    if kind is str:
        return "".join(parts)
    if kind is list:
        return list(chain.from_iterable(parts))
    return dict(chain.from_iterable(part.items() for part in parts))
