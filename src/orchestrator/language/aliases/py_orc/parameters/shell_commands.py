"""Templates in shell commands, whose values are quoted: their content never runs as a command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.yaml.nodes import Scalar

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.language.aliases.py_orc.draft import Draft

_TEMPLATE: Final = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_UNCLEAR: Final = re.compile(r"`|\$[('\"{]|<<|[<>]\(|\{[%#]")
_SIMPLE: Final = re.compile(r"[\w.$\[\]'\"-]+(?:\s*\|\s*\w+(?:\([^()]*\))?)*\Z")
_SAFE: Final = re.compile(r"\|\s*(?:quote|int|float|length|count)\s*\Z")
_HARMLESS: Final = frozenset(
    {"echo", "printf", "cd", "ls", "cat", "mkdir", "cp", "mv", "touch", "head", "tail", "wc", "grep", "test", "[", "du"}
    | {"stat", "basename", "dirname", "sleep", "date", "diff", "tee"}
)
"""Programs that run nothing, whatever their arguments are. A value after `sh -c`, `eval` or `ssh` would run."""


def quoted_values(call: Draft, variables: Collection[str]) -> None:
    """Quote the values of templates in the `command` of a call: `{{ x }}` is `{{ x | quote }}`.

    A template between quotes ends them for its value. Values of the file itself stay. A command is left as it is if it
    runs programs other than simple ones with a value, or contains `{%`, a here-document or a command within a command:
    what is in it is reported later.
    """
    names = ("action",) if str(call.plain("action")).startswith("!") else ("command", "cmd", "shell_command")
    name = next((key for key in names if key in call.table), "")
    command = call.value(name)
    if not isinstance(command, Scalar) or not isinstance(command.value, str) or "{{" not in command.value:
        return
    text = command.value
    pieces = _pieces(text, variables)
    if pieces is None or all(part == text[start:end] for part, start, end in pieces):
        return
    for part, start, end in pieces:
        if part != text[start:end]:
            call.changes.add(command, text[start:end], part, (start, end))
    call.set(name, command.made_of(pieces), command)


def _pieces(text: str, variables: Collection[str]) -> list[tuple[str, int, int]] | None:
    """Return the parts of a command with quoted values, each with its place; None if the command is not so simple."""
    if _UNCLEAR.search(_TEMPLATE.sub("", text)):
        return None
    pieces: list[tuple[str, int, int]] = []
    written = command = 1 if text.startswith("!") else 0
    if written:
        pieces.append((text[:1], 0, 1))
    quote, place = "", written
    while place < len(text):
        character, template = text[place], _TEMPLATE.match(text, place)
        if template is not None:
            new = _quoted(template[1].strip(), variables)
            if new is not None:
                words = text[command:place].split()
                if not words or words[0] not in _HARMLESS:
                    return None
                pieces += [(text[written:place], written, place), (f"{quote}{new}{quote}", place, template.end())]
                written = template.end()
            place = template.end()
            continue
        if character == "\\" and quote != "'":
            place += 2
            continue
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        elif not quote and character in "\n;&|()":
            command = place + 1
        elif not quote and character == "#" and (place == 0 or text[place - 1] in " \t\n;&|()"):
            end = text.find("\n", place)
            end = len(text) if end < 0 else end
            if "{{" in text[place:end]:
                return None
            place = end
            continue
        place += 1
    if quote:
        return None
    pieces.append((text[written:], written, len(text)))
    return [piece for piece in pieces if piece[1] < piece[2]]


def _quoted(inner: str, variables: Collection[str]) -> str | None:
    """Return a template with its value quoted; None if it is safe as it is, or a value of the file itself."""
    head = re.split(r"[.\[| (]", inner, maxsplit=1)[0]
    if _SAFE.search(inner) or head == "variables" or head in variables or inner[:1] in ("'", '"'):
        return None
    return f"{{{{ {inner if _SIMPLE.match(inner) else f'({inner})'} | quote }}}}"
