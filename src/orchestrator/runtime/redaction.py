"""Secrets are taken out of everything before it is recorded, and put back where a resumed run reads its own record."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

_SHORTEST_ENCODED = 4  # bytes; the base64 text of fewer has too few characters that only the secret determines
_SHORTEST_LINE = 8  # characters; fewer are a brace or a word, which other texts have too

_MOST_IN_A_PATTERN = 200
"""Texts that are looked for by one pattern. With more, to compile it takes longer than to look for each by itself."""

_OURS = frozenset({
    "action", "as", "attempt", "code", "count", "dependencies", "digest", "done", "duration", "editable", "failed",
    "fraction", "handled", "id", "kind", "level", "mark", "max_depth", "max_iterations", "max_length", "max_parallel",
    "maximum", "min_length", "min_success", "minimum", "of", "on_false", "on_limit", "on_resume", "on_success",
    "pipeline", "retry", "skips", "step", "succeeded", "target", "timeout", "tool", "tool_version", "type", "until",
    "wait_for",
})  # fmt: skip
"""The fields of events, errors and plans that nothing from outside gets into but the names of steps and tools."""

_REASONS = frozenset({"condition", "human", "jump", "paused", "rate limit", "retry", "time"})
"""What we write as the `reason` of an event; what people write there is not ours."""

_WITHIN = frozenset({"answer", "error", "items", "on_failure", "on_item_failure", "question"})
"""Fields that have fields of ours in them."""

_NAMED = frozenset({"initial", "state", "update", "values", "variables"})
"""Fields whose values go by names of ours."""

_BLOCKS = frozenset({"cases", "error_handlers", "finally", "on_error", "steps"})


class Redactor:
    """Replaces the values of secret inputs by marks such as `[redacted:api_key#5f2a91]`.

    `secrets` maps the names of secret inputs to their values; `nonce` is the run's own random text, which keeps
    a text that merely looks like a mark from being taken for one. A secret is found inside longer texts, line
    by line, and in JSON-escaped, URL-encoded and base64 form. A redactor without secrets is false and does nothing.
    """

    def __init__(self, secrets: Mapping[str, Any], nonce: str) -> None:
        self.nonce = nonce
        self._marks: dict[str, str] = {}
        self._numbers: dict[float, str] = {}
        self._originals: dict[str, Any] = {}
        self._texts: list[str] = []
        self._pattern: re.Pattern[str] | None = None
        self._mark = re.compile(rf"\[redacted:((?:(?!\[redacted:).)+?)#{re.escape(nonce)}\]")
        self.learn(secrets)

    def learn(self, secrets: Mapping[str, Any], within: str = "") -> None:
        """Take further secrets, from now on. `within` is the path of the step that they are secrets of, if any."""
        known = len(self._originals)
        for name, value in secrets.items():
            full = f"{within}.{name}" if within else name
            for index, leaf in enumerate(_leaves(value)):
                self._learn(f"{full}[{index}]" if isinstance(value, dict | list) else full, leaf)
        if known == len(self._originals):
            return
        # Longest first, so that a secret that contains another is replaced as a whole.
        self._texts = sorted(self._marks, key=lambda text: (-len(text), text))
        self._pattern = _any_of(self._texts) if len(self._texts) <= _MOST_IN_A_PATTERN else None

    def __bool__(self) -> bool:
        return bool(self._originals)

    def mark(self, name: str) -> str:
        """Return the text that stands for the secret input `name` as a whole."""
        return f"[redacted:{name}#{self.nonce}]"

    def _learn(self, name: str, leaf: str | float) -> None:
        if isinstance(leaf, str):
            for form, text in _forms(leaf):
                if text and text not in self._marks:
                    mark = self.mark(f"{name}:{form}" if form else name)
                    self._marks[text] = mark
                    self._originals[mark] = text
            return
        mark = self.mark(f"{name}:number")
        self._numbers.setdefault(leaf, mark)
        self._originals[mark] = leaf
        self._learn(name, repr(leaf))

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        pattern = self._pattern
        if pattern is None:
            pattern = _any_of([secret for secret in self._texts if secret in text])
        return pattern.sub(lambda match: self._marks[match.group()], text) if pattern is not None else text

    def safe_length(self, text: str) -> int:
        """Return how much of a text that goes on can be shown without secrets: the rest may be the first of one."""
        longest = max(map(len, self._marks), default=0)
        safe = max(0, len(text) - longest + 1)
        pattern = self._pattern or _any_of([secret for secret in self._texts if secret in text])
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
            return self._numbers.get(value) or self._marks.get(repr(value), value)
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
        if isinstance(value, Mapping):
            if key in _WITHIN:
                return self.scrub_fields(value)
            if key in _NAMED:
                return {name: self.scrub(item) for name, item in value.items()}
            if key == "properties":
                return {name: self.scrub_fields(spec) for name, spec in value.items()}
        return self.scrub(value)

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
            original = self._originals.get(value)
            if original is not None:
                return original
            return self._mark.sub(self._original, value)
        if isinstance(value, Mapping):
            return {self.restore(key): self.restore(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.restore(item) for item in value]
        return value

    def _original(self, found: re.Match[str]) -> str:
        original = self._originals.get(found[0])
        return original if isinstance(original, str) else found[0]

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
    return re.compile("|".join(map(re.escape, texts))) if texts else None


def _leaves(value: Any) -> Iterator[str | float]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield value


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    """Yield the ways in which a secret is met in texts, each with a name; the plain one is named ""."""
    yield "", secret
    yield "json", json.dumps(secret, ensure_ascii=False)[1:-1]
    yield "ascii", json.dumps(secret)[1:-1]
    yield "repr", repr(secret)[1:-1]
    yield "url", quote(secret, safe="")
    yield "path", quote(secret)
    yield "form", quote_plus(secret)
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:  # a key of many lines is often shown in part: the last line of a program's output
        for number, line in enumerate(lines):
            if len(line) >= _SHORTEST_LINE:
                yield f"line-{number + 1}", line
    raw = secret.encode("utf-8", "surrogatepass")
    if len(raw) < _SHORTEST_ENCODED:
        return
    # In base64 a text looks different at each of the three places it can have in a group of three bytes.
    for offset in range(3):
        start = -(-offset * 8 // 6)
        end = (offset + len(raw)) * 8 // 6
        padded = b"\0" * offset + raw
        yield f"base64-{offset}", base64.b64encode(padded).decode()[start:end]
        yield f"base64url-{offset}", base64.urlsafe_b64encode(padded).decode()[start:end]
