"""The parts of a Google-style docstring that describe an action to the users of a pipeline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from textwrap import dedent

from msgspec import Struct, field

_SECTION = re.compile(r"(Args|Arguments|Returns|Raises|Yields|Examples?|Notes?):\s*")
_ARGUMENT = re.compile(r"( *)\*{0,2}(\w+)(?: *\([^)]*\))?: *(.*)")


class Docstring(Struct, frozen=True):
    """The parts of a docstring: the description, that of each parameter, and the example."""

    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    example: str = ""


def parse_docstring(text: str) -> Docstring:
    """Parse a dedented docstring."""
    sections: dict[str, list[str]] = {"": []}
    current = sections[""]
    for line in text.splitlines():
        title = _SECTION.fullmatch(line)
        if title:
            current = sections.setdefault(title[1].removesuffix("s"), [])
        else:
            current.append(line)
    return Docstring(
        description="\n".join(sections[""]).strip(),
        parameters=_arguments(dedent("\n".join(sections.get("Arg", sections.get("Argument", [])))).splitlines()),
        example=dedent("\n".join(sections.get("Example", []))).strip(),
    )


def _arguments(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        start = _ARGUMENT.fullmatch(line)
        if start and not start[1]:
            name = start[2]
            found[name] = start[3].strip()
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
