"""The pipelines of one compilation: the one that is compiled and all that it calls. Each is read and checked once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.context import Unit
from orchestrator.compiler.files import Files, Place, Unreadable
from orchestrator.compiler.flow import circles, in_order
from orchestrator.compiler.models import Here
from orchestrator.diagnostics import Related
from orchestrator.language.yaml.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.language import Document
    from orchestrator.tools import Permissions, Registry


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of another file, which stands at `node`."""

    unit: Unit
    node: Node


class Library:
    """The units of a compilation, by their keys. `called` are those that a step calls."""

    def __init__(
        self,
        registry: Registry,
        permissions: Permissions,
        directory: Path,
        sources: Mapping[str, str] | None = None,
        *,
        live_models: bool = True,
        locks: bool = True,
    ) -> None:
        self.registry = registry
        self.permissions = permissions
        self.directory = directory
        self.models = Here(directory, live=live_models)
        self.units: dict[str, Unit] = {}
        self.called: dict[str, Unit] = {}
        self._locks = locks
        self._files = Files(directory, permissions, sources)
        self._places: dict[Unit, tuple[Place, ...]] = {}
        self._calls: dict[str, dict[str, None]] = {}
        self._unlimited: dict[str, dict[str, _Call]] = {}

    def main(self, document: Document) -> Unit:
        """Enter the pipeline that is compiled."""
        places = self._files.places(document.source.name)
        return self._enter(document, *places)

    def _enter(self, document: Document, *places: Place) -> Unit:
        key = places[0].key if places else None
        unit = Unit(document, self, key)
        self._places[unit] = places
        if key is not None:
            self.units[key] = unit
        return unit

    def lock_of(self, unit: Unit) -> tuple[str, str] | None:
        """Return the key and the text of the lock of a file; None if it has none.

        Raises:
            OSError, ValueError: It cannot be read.
        """
        return self._files.lock(self._places[unit]) if self._locks else None

    def find(self, caller: Unit, written: str) -> Unit | Unreadable:
        """Return the pipeline that `caller` names, read if it has not been."""
        place = self._files.find(self._places[caller], written)
        if isinstance(place, Unreadable):
            return place
        if place.key in self.units:
            return self.units[place.key]
        name = caller.document.source.name  # as the reader of the caller's name would write that of the other
        shown = place.key if name.startswith("<") else os.path.normpath(Path(name).parent / written)
        document = self._files.read(place, written, shown)
        return document if isinstance(document, Unreadable) else self._enter(document, place)

    def call(self, caller: Unit, called: Unit, node: Node, *, limited: bool) -> None:
        """Note that one file calls another; `limited`: only to some depth."""
        if called.key is None:
            return
        self.called[called.key] = called
        if caller.key is not None:
            self._calls.setdefault(caller.key, {}).setdefault(called.key, None)
            if not limited:
                self._unlimited.setdefault(caller.key, {}).setdefault(called.key, _Call(caller, node))

    def check(self, main: Unit) -> list[Unit]:
        """Read and check all files, each after those that it calls, and return them with the first one first.

        What files call one another in a circle know of each other is what they declare.
        """
        units = [main]
        known = {main}
        for unit in units:
            unit.open()
            found = [called for called in self.called.values() if called not in known]
            units += found
            known.update(found)
        keys = {unit.key: unit for unit in units if unit.key is not None}
        for key in in_order(self._calls, list(keys)):
            keys[key].check()
        if main.key is None:
            main.check()
        self._report_recursion()
        return units

    def _report_recursion(self) -> None:
        """Report every pipeline that reaches itself without a limit, once, with the whole path."""
        for circle in circles(self._unlimited, list(self.units)):
            calls = [self._unlimited[one][other] for one, other in zip(circle, [*circle[1:], circle[0]], strict=True)]
            first, *others = calls
            path = " -> ".join(f"`{key}`" for key in [*circle, circle[0]])
            first.unit.findings.add(
                codes.RECURSIVE_PIPELINE,
                first.node.span,
                f"the pipeline calls itself without an end: {path}",
                label="calls itself" if len(circle) == 1 else "leads back here",
                help="add `max_depth:` to the step, or do not call it; a loop repeats steps without it",
                related=[Related("and this call", call.unit.document.source, call.node.span) for call in others],
            )
