"""The reference page of the tools of the older dialect, generated from the table of their meanings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.language.aliases.older_call import STEP_KINDS
from orchestrator.language.aliases.older_tools import OLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.language.aliases.older_call import OlderCall

_INTRODUCTION = """\
# Tools by their names in py-orc

A step that names a tool or an action as in py-orc is read as what it means here. Names are compared without regard to
case, `-` and `_`. A tool of the project with such a name keeps its meaning.

The older names of the fields of the result can be read after such a step, and only then: after `action: execute` the
exit status is `{{ step.exit_code }}`, after `action: execute_command` also `{{ step.return_code }}`. A parameter that
is in no row has the same name here, or is reported.

`action: "!ls -l"` is `terminal.execute` with the command after the `!`. An action in plain English is a model call in a
file with `prose_actions: true`, and an error in others.
"""


def older_tools_markdown() -> str:
    """Return a Markdown page with every older name, and what it means."""
    spellings: dict[int, list[str]] = {}
    for name, meanings in OLDER.items():
        spellings.setdefault(id(meanings), []).append(name)
    lines = [_INTRODUCTION]
    for spelled in spellings.values():
        meanings = OLDER[spelled[0]]
        lines += ["## " + ", ".join(f"`{name.replace('_', '-')}`" for name in spelled), ""]
        for meaning in meanings:
            lines += [*_meaning(meaning), ""]
    return "\n".join(lines)


def _meaning(meaning: OlderCall) -> Iterator[str]:
    kind = f"a step with `{meaning.meaning}:`" if meaning.meaning in STEP_KINDS else f"`{meaning.meaning}`"
    actions = [action for action in meaning.actions if action]
    listed = ", ".join(f"`{action}`" for action in actions)
    alone = "" not in meaning.actions
    yield f"{kind}" + (f", by the action{'s' if len(actions) > 1 else ''} {listed}" if alone else "") + _when(meaning)
    yield ""
    yield "| in py-orc | here |"
    yield "| --- | --- |"
    for name, older in _by_meaning(meaning.parameters).items():
        yield f"| {older} | `{name}` |"
    for name, value in meaning.constants.items():
        yield f"| always | `{name}: {json.dumps(value)}`, unless the step has `{name}` |"
    for name, older in _by_meaning(meaning.results).items():
        read = f"`{{{{ step.{name} }}}}`" if name else "`{{ step }}`"
        yield f"| {_read(older)} of the result | {read} |"
    for name, expression in meaning.computed.items():
        read = expression.replace("STEP", "step").replace("|", "\\|")
        yield f"| `.{name}` of the result | `{{{{ {read} }}}}` |"
    for name, words in meaning.words.items():
        for word, (parameter, value) in words.items():
            yield f"| `{name}: {word}` | `{parameter}: {json.dumps(value)}` |"
    for name, text in meaning.told.items():
        yield f"| `{name}` | a sentence of `{text}` |"
    for name, text in meaning.headings.items():
        yield f"| `{name}` | {'the first heading' if name == 'title' else 'headings'} of `{text}` |"
    for name, instead in meaning.without_effect.items():
        yield f"| `{name}` | no effect: {instead} |"
    for name, instead in meaning.instead.items():
        yield f"| `{name}` | not available: {instead.replace('|', chr(92) + '|')} |"


def _when(meaning: OlderCall) -> str:
    given = [name for name, values in meaning.when.items() if ... in values]
    absent = [name for name, values in meaning.when.items() if values == (None,)]
    equal = [(name, values) for name, values in meaning.when.items() if ... not in values and values != (None,)]
    parts = [f"with `{name}`" for name in given]
    parts += [
        f"with `{name}: {next(value for value in values if value)}`" for name, values in equal if None not in values
    ]
    parts += [f"without `{name}`" for name in absent]
    return ", " + ", ".join(parts) if parts else ""


def _by_meaning(names: Mapping[str, str]) -> dict[str, str]:
    """Return the older names of each name."""
    found: dict[str, list[str]] = {}
    for older, name in names.items():
        if older != name:
            found.setdefault(name, []).append(f"`{older}`")
    return {name: ", ".join(older) for name, older in found.items()}


def _read(older: str) -> str:
    return older.replace("`, `", "`, `.").replace("`", "`.", 1)
