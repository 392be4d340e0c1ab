"""Templates in shell commands, whose values are quoted: their content never runs as a command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.yaml.nodes import Scalar

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.language.aliases.py_orc.draft import Draft

_TOKEN: Final = re.compile(r"\{\{-?(?P<inner>.*?)-?\}\}|\\.|[\"'`]|\$\(|<<|\{%", re.DOTALL)
_SIMPLE: Final = re.compile(r"[\w.$\[\]'\"-]+(?:\s*\|\s*\w+(?:\([^()]*\))?)*\Z")
_SAFE: Final = re.compile(r"\|\s*(?:quote|int|float|length|count)\s*\Z")


def quoted_values(call: Draft, variables: Collection[str]) -> None:
    """Quote the values of templates in the `command` of a call: `{{ x }}` is `{{ x | quote }}`.

    A template between quotes ends them for its value. Values of the file itself stay, and so does a command with
    `{% %}`, a here-document or a command within a command: what is in it is reported later.
    """
    name = next((key for key in ("command", "cmd", "shell_command") if key in call.table), "")
    command = call.value(name)
    if not isinstance(command, Scalar) or not isinstance(command.value, str) or "{{" not in command.value:
        return
    text = command.value
    if text.strip().startswith("{{") and text.strip().endswith("}}") and text.count("{{") == 1:
        return  # the whole command is a value
    pieces = _pieces(text, variables)
    if pieces is None or all(part == text[start:end] for part, start, end in pieces):
        return
    for part, start, end in pieces:
        if part != text[start:end]:
            call.changes.add(command, text[start:end], part, (start, end))
    call.set(name, command.made_of(pieces), command)


def _pieces(text: str, variables: Collection[str]) -> list[tuple[str, int, int]] | None:
    pieces: list[tuple[str, int, int]] = []
    quote, position = "", 0
    for token in _TOKEN.finditer(text):
        found = token[0]
        if found in ("$(", "`", "<<", "{%"):
            return None
        if token["inner"] is None:
            if found in ("'", '"'):
                quote = "" if quote == found else quote or found
            continue
        inner = token["inner"].strip()
        head = re.split(r"[.\[| (]", inner, maxsplit=1)[0]
        if _SAFE.search(inner) or head == "variables" or head in variables or inner[:1] in "'\"":
            continue
        inner = inner if _SIMPLE.match(inner) else f"({inner})"
        pieces += [(text[position : token.start()], position, token.start())]
        pieces += [(f"{quote}{{{{ {inner} | quote }}}}{quote}", token.start(), token.end())]
        position = token.end()
    if quote:
        return None
    pieces.append((text[position:], position, len(text)))
    return [piece for piece in pieces if piece[1] < piece[2]]
