"""Secrets are taken out of everything before it is recorded, and put back where a resumed run reads its own record."""

from __future__ import annotations

import math
import re
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from orchestrator.runtime.values.secret_forms import forms
from orchestrator.text.json_text import read_json

_OURS = frozenset({
    "action", "as", "attempt", "code", "count", "dependencies", "digest", "done", "duration", "editable", "failed",
    "ends", "fraction", "handled", "id", "kind", "level", "mark", "max_depth", "max_length", "maximum", "min_length",
    "minimum", "of", "on_false", "on_limit", "on_resume", "on_success", "pipeline", "step", "succeeded", "target",
    "tool", "tool_version", "type", "until", "wait_for",
})  # fmt: skip
"""The fields of events, errors and plans that nothing from outside gets into but the names of steps and tools."""

_LETTERS_I = {ord("\u0130"): "i", ord("\u0131"): "i"}  # with a dot as a capital, and without one

_DIGITS = re.compile("[0-9a-f]+")

_REASONS = frozenset({"condition", "end", "human", "judge", "jump", "paused", "rate limit", "retry", "time"})
"""What we write as the `reason` of an event; what people write there is not ours."""

_WITHIN = frozenset({"answer", "error", "items", "on_failure", "on_item_failure", "question"})
"""Fields that have fields of ours in them."""

_LIMITS = frozenset({"max_iterations", "max_parallel", "min_success", "retry", "timeout"})
"""Fields of plans that are numbers, or templates of the file."""

_NAMED = frozenset(
    {"appended", "end", "initial", "limits", "matrix", "state", "undo", "update", "values", "variables", "zip"}
)
"""Fields whose values go by names of ours."""

_BLOCKS = frozenset({"cases", "error_handlers", "finally", "on_error", "steps", "undo"})


class Redactor:
    """Replaces the values of secret inputs by marks such as `[redacted:api_key#5f2a91]`.

    `secrets` maps the names of secret inputs to their values; `nonce` is the run's own random text, which keeps
    a text that merely looks like a mark from being taken for one. A secret is found inside longer texts, line by line,
    in letters of any case, and in the forms of `disguise`. A redactor without secrets is false and does nothing.
    """

    def __init__(self, secrets: Mapping[str, Any], nonce: str) -> None:
        self.nonce = nonce
        self._marks: dict[str, str] = {}
        self._numbers: dict[str, str] = {}  # by how they are written: 1, 1.0 and true are different values
        self._originals: dict[str, Any] = {}
        self._texts: list[tuple[int, str, str]] = []  # longest first, so that a secret in another does not break it
        self.learn(secrets)

    def learn(self, secrets: Mapping[str, Any], within: str = "") -> None:
        """Take further secrets, from now on. `within` is the path of the step that they are secrets of, if any."""
        for name, value in secrets.items():
            full = f"{within}.{name}" if within else name
            for index, leaf in enumerate(_leaves(value)):
                self._learn(f"{full}[{index}]" if isinstance(value, dict | list) else full, leaf)
                for number, part in enumerate(_parts(leaf)):
                    self._learn(f"{full}[{index}.{number}]", part)

    @cached_property
    def _mark(self) -> re.Pattern[str]:
        """What finds the marks. Compiled when it is needed, as most runs have no secrets."""
        return re.compile(rf"\[redacted:((?:(?!\[redacted:).)+?)#{re.escape(self.nonce)}\]")

    def __bool__(self) -> bool:
        return bool(self._originals)

    def mark(self, name: str) -> str:
        """Return the text that stands for the secret input `name` as a whole."""
        return f"[redacted:{name}#{self.nonce}]"

    def _learn(self, name: str, leaf: str | float) -> None:
        if isinstance(leaf, str):
            for form, text in forms(leaf):
                if text and text not in self._marks:
                    mark = self.mark(f"{name}:{form}" if form else name)
                    self._marks[text] = mark
                    self._originals[mark] = text
                    insort(self._texts, (-len(text), text, _folded(text)))
        else:
            self._learn(name, repr(leaf))
        for kind, number in _numbers(leaf):
            mark = self.mark(f"{name}:{kind}")
            self._numbers.setdefault(repr(number), mark)
            self._originals[mark] = number

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        pattern = self._pattern_for(text)
        return pattern.sub(lambda match: self._mark_of(match.group()), text) if pattern is not None else text

    def _pattern_for(self, text: str) -> re.Pattern[str] | None:
        """What finds the secrets that a text has. To look for each by itself is much faster where there is none."""
        folded = _folded(text)
        return _any_of([secret for _, secret, small in self._texts if small in folded])

    def _mark_of(self, found: str) -> str:
        """The mark of a secret as it was found. It tells the letters of another case, so that they can be restored."""
        mark = self._marks.get(found)
        if mark is not None:
            return mark
        known = next(text for _, text, _ in self._texts if re.fullmatch(re.escape(text), found, re.IGNORECASE))
        changed = sum(1 << at for at, (sign, other) in enumerate(zip(known, found, strict=True)) if sign != other)
        form = f"~{changed:x}" if _swapped(known, changed) == found else "~"  # some letters have more than two cases
        return f"{self._marks[known].removesuffix(f'#{self.nonce}]')}:{form}#{self.nonce}]"

    def safe_length(self, text: str) -> int:
        """Return how much of a partial text can be shown without secrets: the rest may be the beginning of one."""
        longest = max(map(len, self._marks), default=0)
        safe = max(0, len(text) - longest + 1)
        pattern = self._pattern_for(text)
        for match in pattern.finditer(text) if pattern is not None else ():
            if match.start() < safe < match.end():
                return match.end()
        return safe

    def scrub(self, value: Any) -> Any:
        """Return JSON data without secrets; the value itself where there is nothing to hide."""
        if not self._originals:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.scrub(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.scrub(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._numbers.get(repr(value), value)
        return value

    def scrub_fields(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of an event or an error without secrets.

        Our own words and numbers stay: a secret such as `1` or `state` must not make a record unreadable.
        """
        if not self._originals:
            return dict(data)
        return {key: self._field(key, value) for key, value in data.items()}

    def _field(self, key: str, value: Any) -> Any:
        if key in _OURS or (key == "reason" and value in _REASONS):
            return value
        if key in _LIMITS:
            return self._limit(value)
        if isinstance(value, Mapping):
            if key in _WITHIN:
                return self.scrub_fields(value)
            if key in _NAMED:
                return {name: self.scrub(item) for name, item in value.items()}
            if key == "properties":
                return {name: self.scrub_fields(spec) for name, spec in value.items()}
        return self.scrub(value)

    def _limit(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self._limit(item) for name, item in value.items()}
        return self.text(value) if isinstance(value, str) else value

    def scrub_plan(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return a plan as data, or the definition of a step in it, without secrets: its structure stays."""
        if not self._originals:
            return dict(definition)
        return {key: self._part(key, value, definition) for key, value in definition.items()}

    def _part(self, key: str, value: Any, around: Mapping[str, Any]) -> Any:
        kind = around.get("kind")
        if key in _BLOCKS or (key == "default" and kind == "switch"):
            return [self.scrub_plan(entry) for entry in value]
        if key == "step":
            return self.scrub_plan(value)
        if key == "pipelines":
            return {source: self.scrub_plan(called) for source, called in value.items()}
        if key in ("inputs", "outputs") and kind is None:
            return {name: self.scrub_fields(spec) for name, spec in value.items()}
        return self._field(key, value)

    def restore(self, value: Any) -> Any:
        """Return recorded JSON data with the secrets put back: the inverse of `scrub`."""
        if not self._originals:
            return value
        if isinstance(value, str):
            whole = self._originals.get(value)
            if whole is not None:
                return whole
            return self._mark.sub(self._original, value)
        if isinstance(value, Mapping):
            return {self.restore(key): self.restore(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.restore(item) for item in value]
        return value

    def _original(self, found: re.Match[str]) -> str:
        original = self._originals.get(found[0])
        changed = 0
        if original is None:
            name, _, digits = found[1].rpartition(":~")
            if _DIGITS.fullmatch(digits):
                original = self._originals.get(self.mark(name))
                changed = int(digits, 16)
        if not isinstance(original, str):
            return found[0]
        return _swapped(original, changed) if changed else original

    def lost(self, value: Any) -> str | None:
        """Return the name of a secret whose mark is left in restored data: it is not known any more."""
        if isinstance(value, str):
            found = self._mark.search(value)
            return found[1].partition(":")[0] if found else None
        if isinstance(value, Mapping):
            value = [*value, *value.values()]
        if isinstance(value, list):
            return next((name for item in value if (name := self.lost(item))), None)
        return None


def _any_of(texts: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(re.escape, texts)), re.IGNORECASE) if texts else None


def _folded(text: str) -> str:
    """The text with the case of letters removed, at least as far as `re.IGNORECASE` does."""
    return text.lower() if text.isascii() else text.translate(_LETTERS_I).casefold()


def _swapped(text: str, changed: int) -> str:
    """Change the case of those characters whose bit is set."""
    return "".join(sign.swapcase() if changed >> at & 1 else sign for at, sign in enumerate(text))


def _numbers(leaf: str | float) -> Iterator[tuple[str, float]]:
    """The numbers that a secret is, or that its text means, each as the value that it has to be again."""
    if isinstance(leaf, str):
        if len(leaf) > _MOST_DIGITS or not _NUMBER.fullmatch(leaf):
            return
        leaf = float(leaf) if _POINT.search(leaf) else int(leaf)
    if isinstance(leaf, int):
        yield "number", leaf
        if abs(leaf) < _LARGEST:
            yield "float", float(leaf)
    elif math.isfinite(leaf):
        yield "number", leaf
        if leaf.is_integer():
            yield "integer", int(leaf)


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_POINT = re.compile("[.eE]")
_MOST_DIGITS = 300
_LARGEST = 2**1023  # a larger integer does not fit a 64-bit float


def _parts(leaf: str | float, depth: int = 0) -> Iterator[str | float]:
    """The leaves of a secret whose text is a JSON object or list, as the keys of services are; not the short ones."""
    if not isinstance(leaf, str) or leaf.lstrip()[:1] not in ("{", "[") or depth > _DEEPEST:
        return
    try:
        value = read_json(leaf, unique=False)
    except ValueError:
        return
    for part in _leaves(value):
        if len(part if isinstance(part, str) else repr(part)) >= _SHORTEST:
            yield part
        yield from _parts(part, depth + 1)


_DEEPEST = 3
_SHORTEST = 4
"""A shorter part, such as a version or a flag, would hide words and numbers all over the record."""


def _leaves(value: Any) -> Iterator[str | float]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield value
