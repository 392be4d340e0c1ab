"""Files whose text is included: `{{ file:prompts/critic.md }}` and `<< prompts/critic.md >>`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, literal, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.changes import DialectChanges
    from orchestrator.language.aliases.py_orc.names import DeclaredNames

_INCLUDE: Final = re.compile(r"\{\{\s*file:\s*[\"']?([^{}|\"']+?)[\"']?\s*\}\}|<<\s*([\w./-]*[./][\w./-]*)\s*>>")
_PROMPTS: Final = frozenset({"prompt", "system", "instruction"})
_NAME: Final = re.compile(r"[^A-Za-z0-9_]+")


class FileTexts:
    """The files that the texts of one file include. A prompt names its file; other texts read a step."""

    def __init__(self, names: DeclaredNames, changes: DialectChanges) -> None:
        self._names = names
        self._changes = changes
        self._ids: dict[str, str] = {}
        self.steps: list[Mapping] = []

    def included(self, scalar: Scalar, key: str) -> Node:
        """Return a text in which the files are included."""
        text = scalar.value
        if "file:" not in text and "<<" not in text:
            return scalar
        whole = _INCLUDE.fullmatch(text.strip())
        if whole is not None and key in _PROMPTS:
            path = whole[1] or whole[2]
            self._changes.add(scalar, whole[0], f"{{file: {path}}}")
            return Mapping(literal(scalar, {"file": path}).table, scalar.start, scalar.end, scalar.layout)  # type: ignore[union-attr]  # a mapping
        pieces: list[tuple[str, int, int]] = []
        position = 0
        for found in _INCLUDE.finditer(text):
            id = self._step(scalar, found[1] or found[2])
            self._changes.add(scalar, found[0], f"{{{{ {id} }}}}", found.span())
            pieces += [(text[position : found.start()], position, found.start())]
            pieces += [(f"{{{{ {id} }}}}", found.start(), found.end())]
            position = found.end()
        if not pieces:
            return scalar
        pieces.append((text[position:], position, len(text)))
        return scalar.made_of(piece for piece in pieces if piece[1] < piece[2])

    def _step(self, scalar: Scalar, path: str) -> str:
        """Return the id of the step that reads a file, and add the step."""
        if path in self._ids:
            return self._ids[path]
        name = _NAME.sub("_", PurePosixPath(path).stem).strip("_") or "file"
        id = wanted = f"text_of_{name}"
        number = 2
        while self._names.declares(id):
            id, number = f"{wanted}_{number}", number + 1
        self._names.steps.add(id)
        self._ids[path] = id
        step = literal(scalar, {"id": id, "tool": "filesystem", "action": "read", "parameters": {"path": path}})
        if isinstance(step, Mapping):
            self.steps.append(step)
        return id


def own_step(place: Node, id: str, parameters: dict[str, Node], condition: Node | None) -> Mapping:
    """Return a step that writes a file, located at the key that asks for it."""
    from orchestrator.language.aliases.canonical import mapping_at

    parts: dict[str, Node] = {"id": text_at(place, id)}
    if condition is not None:
        parts["condition"] = condition
    parts |= {"tool": text_at(place, "filesystem"), "action": text_at(place, "write")}
    return mapping_at(place, **parts, parameters=mapping_at(place, **parameters))
