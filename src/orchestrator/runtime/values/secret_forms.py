"""The forms in which a secret is met in texts: as JSON, YAML, HTML, a part of an address, base64 and others."""

from __future__ import annotations

import base64
import json
import re
import shlex
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORTEST_ENCODED = 4  # bytes; the base64 text of fewer has too few characters that only the secret determines
_SHORTEST_LINE = 8  # characters; fewer are a brace or a word, which other texts have too

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_QUERY = "".join(sign for sign in _PRINTABLE if sign not in '"#<>')  # what httpx2 leaves as it is, by the WHATWG's sets
_PATH = "".join(sign for sign in _QUERY if sign not in "?`{}")
_USER = "".join(sign for sign in _PATH if sign not in "/:;=@[\\]^|")


def forms(secret: str) -> Iterator[tuple[str, str]]:
    """Yield the ways in which a secret is met in texts, each with a name; the plain one is named "".

    Letters may have another case in all of them, which is for the reader to allow for.
    """
    yield "", secret
    yield from _escaped(secret)
    yield from _addressed(secret)
    yield from _recased(secret)
    yield "stripped", secret.strip()
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
    yield "hex", raw.hex()


def _escaped(secret: str) -> Iterator[tuple[str, str]]:
    """How notations write a text between quotes."""
    for name, is_ascii in (("json", False), ("ascii", True)):
        once = json.dumps(secret, ensure_ascii=is_ascii)[1:-1]
        yield name, once
        yield f"{name}-2", json.dumps(once, ensure_ascii=is_ascii)[1:-1]  # JSON as a text in JSON: a tool's arguments
    yield "repr", repr(secret)[1:-1]
    yield "repr-ascii", ascii(secret)[1:-1]
    yield "bytes", repr(secret.encode("utf-8", "surrogatepass"))[2:-1]
    yield "single", secret.replace("'", "''")  # YAML, SQL
    yield "double", secret.replace('"', '""')  # CSV
    yield "html", escape(secret)
    yield "html-text", escape(secret, quote=False)
    yield "html-double", escape(secret, quote=False).replace('"', "&quot;")
    yield "html-numbers", escape(secret, quote=False).replace('"', "&#34;").replace("'", "&#39;")
    yield "shell", shlex.quote(secret).strip("'")
    yield "regex", re.escape(secret)


def _addressed(secret: str) -> Iterator[tuple[str, str]]:
    """How addresses hold a text: percent-encoded by several rules, or as a host's name."""
    text = secret.encode("utf-8", "surrogatepass")
    once = quote(text, safe="")
    yield "url", once
    yield "url-2", quote(once, safe="")
    yield "path", quote(text)
    yield "form", quote_plus(text)
    for name, safe in (("url-query", _QUERY), ("url-path", _PATH), ("url-user", _USER), ("url-user-info", _USER + ":")):
        yield name, quote(text, safe=safe)
    if not secret.isascii():
        with suppress(UnicodeError):  # it cannot stand in the name of a host
            yield "host", secret.encode("idna").decode()


def _recased(secret: str) -> Iterator[tuple[str, str]]:
    """Those changes of case that change more than the case of single letters: `ß` becomes `SS`."""
    for name, text in (("upper", secret.upper()), ("lower", secret.lower()), ("fold", secret.casefold())):
        if len(text) != len(secret):
            yield name, text
