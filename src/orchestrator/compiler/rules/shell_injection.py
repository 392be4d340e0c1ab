"""Reports values from outside the file in shell commands, where the shell would run their content."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.rules.outside_values import is_from_file
from orchestrator.language.yaml.nodes import Node, Scalar, Sequence

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate, SourceStep

_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish"})
_TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_UNQUOTED: Final = re.compile(r"\s*\|\s*quote\s*\}\}$")
_SYNTAX: Final = re.compile(r"[|&;<>()$`*?\[\]#~!\\\n=]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./+@-]+")
_JOINED: Final = re.compile(r"(?P<items>[\w.\[\]]+(\s*\|\s*\w+(\([^()]*\))?)*?)\s*\|\s*join\((' +'|\" +\")\)")


def check_shell(context: CompilationContext, step: SourceStep, places: list[PlacedTemplate]) -> None:
    """Report unquoted values from outside the file in the shell command of a step."""
    command = child(step.spec.node, "parameters", "command")
    texts = {id(node) for node in _texts(command)}
    for place in places:
        if id(place.scalar) in texts and not place.template.problems:
            _check_text(context, step, place)


def _texts(command: Node | None) -> list[Node]:
    """Return the texts of a command that a shell reads: all of it, or the argument after `sh -c`."""
    if isinstance(command, Scalar):
        return [command]
    if not isinstance(command, Sequence):
        return []
    words = [item.value if isinstance(item, Scalar) else None for item in command.items]
    shell = str(words[0]).rsplit("/", 1)[-1] if words else ""
    for place, word in enumerate(words[:-1]):
        if shell in _SHELLS and isinstance(word, str) and re.fullmatch(r"-[a-z]*c", word):
            return [command.items[place + 1]]
    return []


def _check_text(context: CompilationContext, step: SourceStep, place: PlacedTemplate) -> None:
    text, scalar = place.template.text, place.scalar
    whole = place.template.is_expression
    if whole and place.template.infer(place.scope).type.kind == "array":  # a list, which no shell reads
        return
    reported = set()
    for start, end in place.template.shell_injections(
        place.scope, lambda read: is_from_file(context, step, place.scope, read)
    ):
        written = text[start:end]
        quotes = _quotes_before(text, start)
        help = f"quote it: `{{{{ {_quoted(written)} }}}}`"
        if quotes:
            help = f"remove the quotes around it and write `{{{{ {_quoted(written)} }}}}`, which adds its own"
        if (arguments := _arguments(text)) and isinstance(child(step.spec.node, "parameters", "command"), Scalar):
            help = f"pass a list, which runs without a shell: `command: {arguments}`; or {help}"
        if whole:
            help = (
                "take the program and its arguments as a list, which runs without a shell (`type: array` for an input)"
            )
        context.diagnostics.add(
            codes.SHELL_INJECTION,
            scalar.span_of(start, end),
            f"`{written}` comes from outside the file, and the shell would run its content",
            label="read by the shell",
            help=help,
            replacement=None if quotes or whole else _quoted(written),
        )
        reported.add(start)
    for start, end in place.template.shell_quoted():
        if start not in reported and (sign := _quotes_before(text, start)):
            context.diagnostics.add(
                codes.SHELL_INJECTION,
                scalar.span_of(start, end),
                f"`quote` has no effect inside `{sign}`: the shell ends its quotes there",
                label="quoted twice",
                help="remove the quotes around it: `quote` adds its own",
            )


def _quoted(written: str) -> str:
    if joined := _JOINED.fullmatch(written):  # `quote` makes a word of each item, and not one of all
        return f"{joined['items']} | quote"
    simple = re.fullmatch(r"[\w.]+(\[[^\]]*\])?", written) is not None
    return f"{written} | quote" if simple else f"({written}) | quote"


def _quotes_before(text: str, end: int) -> str:
    """Return the shell quote that is open at a position of a template; "" if there is none."""
    open_, escaped = "", False
    for character in _TAG.sub("", text[: text.rfind("{{", 0, end)]):
        if escaped:
            escaped = False
        elif character == "\\" and open_ != "'":
            escaped = True
        elif character in "'\"" and open_ in ("", character):
            open_ = "" if open_ else character
    return open_


def _arguments(text: str) -> str | None:
    """Return the command as a YAML list; None if it needs a shell."""
    tags = _TAG.findall(text)
    if any(not tag.startswith("{{") for tag in tags) or _SYNTAX.search(_TAG.sub("", text)):
        return None
    numbers = iter(range(len(tags)))
    try:
        words = shlex.split(_TAG.sub(lambda _: f"\ue000{next(numbers)}\ue001", text))
    except ValueError:
        return None
    items = [
        re.sub("\ue000(\\d+)\ue001", lambda found: _UNQUOTED.sub("}}", tags[int(found[1])]), word) for word in words
    ]
    return f"[{', '.join(item if _PLAIN.fullmatch(item) else json.dumps(item, ensure_ascii=False) for item in items)}]"
