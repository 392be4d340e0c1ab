"""What differs between a request and the recording that is most like it, in few words."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final

from orchestrator.models.recordings.format import plain_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.models.recordings.format import Recording

_CANDIDATES: Final = 200
_COMPARED: Final = 4_000  # characters of a request; more make it slow, and not better
_MOST_WORDS: Final = 5_000
_AROUND: Final = 5  # words next to a difference
_SHOWN: Final = 24  # words of one difference
_PLACES: Final = 3  # differences in one text
_WORD: Final = re.compile(r"\s+|\w+|[^\w\s]")


def nearest(request: Mapping[str, Any], step: str, recordings: Sequence[Recording]) -> Recording | None:
    """Return the recording whose request is most like this one; one of the same step is nearer than others."""
    kind = _kind(request)
    candidates = [each for each in recordings if _kind(each.request) == kind]
    candidates.sort(key=lambda each: each.step != step)
    wanted = _text(request)
    best: Recording | None = None
    likest = -1.0
    for each in candidates[:_CANDIDATES]:
        text = _text(each.request)
        likeness = SequenceMatcher(None, text, wanted, autojunk=False).quick_ratio() + (each.step == step)
        if likeness > likest:
            best, likest = each, likeness
    return best


def _kind(request: Mapping[str, Any]) -> str:
    return next((name for name in ("embed", "search", "make") if name in request), "messages")


def difference(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return a line for each part of a request that differs: `[-recorded-]`, `{+requested+}`."""
    before, after = dict(_parts(recorded)), dict(_parts(asked))
    lines = []
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        if old != new:
            lines.append(f"{name}: {words_that_differ(old or '', new or '')}".rstrip())
    if lines:
        return lines
    # What reads the same may still be built in another way, such as a text in two parts.
    return [
        f"{name}: {_change([_shown(recorded.get(name))], [_shown(asked.get(name))])}"
        for name in sorted({*recorded, *asked})
        if recorded.get(name) != asked.get(name)
    ]


def _text(request: Mapping[str, Any]) -> str:
    return json.dumps(request, ensure_ascii=False)[:_COMPARED]


def _parts(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the parts of a request that are compared, each with its text."""
    for name, value in plain_json(request).items():
        if name == "messages":
            for number, message in enumerate(value, start=1):
                yield from _of_message(f"message {number} ({message.get('role', '?')})", message)
        elif name == "embed":
            for number, text in enumerate(value, start=1):
                yield f"text {number}", str(text)
        elif name == "search":
            yield from ((part, _shown(text)) for part, text in value.items())
        elif name == "tools":
            for tool in value:
                yield f"tool {tool.get('name', '?')}", json.dumps(tool, ensure_ascii=False, sort_keys=True)
        else:
            yield name, _shown(value)


def _of_message(name: str, message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    content = message.get("content", "")
    rest = {key: value for key, value in message.items() if key not in ("role", "content")}
    if rest:
        yield f"{name}, its tools", _shown(rest)
    if isinstance(content, str):
        yield name, content
        return
    for number, part in enumerate(content, start=1):
        if "text" in part:
            yield f"{name}, part {number}", part["text"]
        else:
            media = f"{part.get('media')} {part.get('name', '')} of {part.get('bytes')} bytes, SHA-256 "
            yield f"{name}, part {number}", media + str(part.get("sha256", ""))[:12]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def words_that_differ(old: str, new: str) -> str:
    """Compare two texts word by word; names and numbers as a whole."""
    if not any(letter.isspace() for letter in old + new):
        return _change([old], [new])
    before, after = _WORD.findall(old), _WORD.findall(new)
    if len(before) > _MOST_WORDS or len(after) > _MOST_WORDS:
        begin = next(
            (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
        )
        return _clipped(before[max(0, begin - _AROUND) : begin], last=True) + _change(before[begin:], after[begin:])
    shown: list[str] = []
    places = 0
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, i1, i2, j1, j2 in _joined(matcher.get_opcodes(), before):
        if kind == "equal":
            shown.append(_context(before[i1:i2], first=i1 == 0, last=i2 == len(before)))
            continue
        if places == _PLACES:
            shown.append("and more")
            break
        places += 1
        shown.append(_change(before[i1:i2], after[j1:j2]))
    return " ".join("".join(shown).split())


def _joined(
    opcodes: Sequence[tuple[str, int, int, int, int]], before: Sequence[str]
) -> list[tuple[str, int, int, int, int]]:
    """Take differences together that have nothing but a space between them."""
    joined: list[tuple[str, int, int, int, int]] = []
    for kind, i1, i2, j1, j2 in opcodes:
        if joined and joined[-1][0] != "equal":
            blank = kind == "equal" and not "".join(before[i1:i2]).strip()
            if kind != "equal" or blank:
                _, a1, _, b1, _ = joined[-1]
                joined[-1] = ("replace", a1, i2, b1, j2)
                continue
        joined.append((kind, i1, i2, j1, j2))
    return joined


def _change(old: Sequence[str], new: Sequence[str]) -> str:
    removed, added = _clipped(old), _clipped(new)
    return (f"[-{removed}-]" if removed else "") + (f"{{+{added}+}}" if added else "")


def _clipped(words: Sequence[str], *, last: bool = False) -> str:
    text = "".join(words[-_SHOWN:] if last else words[:_SHOWN])
    return text if len(words) <= _SHOWN else f"… {text}" if last else f"{text} …"


def _context(words: Sequence[str], *, first: bool, last: bool) -> str:
    """Return the text next to differences: the end of what is before, the beginning of what is behind."""
    most = 2 * _AROUND
    if len(words) <= 2 * most and not first and not last:
        return "".join(words)
    head = "" if first else "".join(words[:most])
    tail = "" if last else "".join(words[-most:])
    if first:
        return tail if len(words) <= most else f"… {tail}"
    if last:
        return head if len(words) <= most else f"{head} …"
    return f"{head} … {tail}"
