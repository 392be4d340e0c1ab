"""Checks a pipeline file and turns it into a plan: every mistake is reported in one pass."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.compiler.library import Library
from orchestrator.diagnostics import Diagnostic, bounded_suggestions, sort
from orchestrator.language import Document, read
from orchestrator.plan.model import Plan
from orchestrator.plan.serialization import with_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.compiler.context import Unit
    from orchestrator.tools import Permissions, Registry


@dataclass(frozen=True, slots=True)
class Compilation:
    """The outcome of checking a pipeline: all diagnostics, file by file, and the plan if none of them is an error.

    `document` is the file itself; those that it calls are in `plan.pipelines`.
    """

    document: Document
    diagnostics: tuple[Diagnostic, ...]
    plan: Plan | None

    @property
    def ok(self) -> bool:
        """Whether the pipeline can run."""
        return self.plan is not None


_ABOUT_ABSENCE = frozenset(
    {
        codes.STEP_WITHOUT_WORK,
        codes.UNDEFINED_NAME,
        codes.UNKNOWN_STEP,
        codes.UNKNOWN_JUMP_TARGET,
        codes.NAME_OUT_OF_SCOPE,
        codes.MISSING_PARAMETER,
        codes.MISSING_PIPELINE_INPUT,
        codes.UNUSED_INPUT,
        codes.UNUSED_VARIABLE,
    }
)


def compile_pipeline(
    source: str | Path | Mapping[str, Any],
    *,
    registry: Registry,
    permissions: Permissions,
    directory: Path | None = None,
    name: str | None = None,
    sources: Mapping[str, str] | None = None,
    live_models: bool = True,
    locks: bool = True,
) -> Compilation:
    """Read, check and plan a pipeline and all that it calls. Has no side effects, and never raises for a wrong one.

    Args:
        source: a path, YAML text, or a mapping.
        registry: the tools that steps can call.
        permissions: what those tools may do; calls that would be refused are reported where their values are known.
        directory: where the run's relative paths will start; default the permissions' directory.
        name: the name of the source in diagnostics; default the path, or `<text>`.
        sources: the texts of the pipelines that it calls, as `Plan.sources` gave them; then no other file is read.
        live_models: whether models will be asked at their providers, so that keys and packages must be there.
        locks: whether answers of models stand for `<AUTO>` values that are in the lock of their file.
    """
    with _without_collection(), bounded_suggestions():
        library = Library(
            registry, permissions, directory or permissions.directory, sources, live_models=live_models, locks=locks
        )
        main = library.main(read(source, name=name))
        units = library.check(main)
        diagnostics = tuple(sort(diagnostic for unit in units for diagnostic in _found(unit)))
        wrong = any(diagnostic.severity == "error" for diagnostic in diagnostics)
        return Compilation(main.document, diagnostics, None if wrong else _plan(main, library))


def _found(unit: Unit) -> list[Diagnostic]:
    found = unit.findings.diagnostics
    if unit.autos is not None:
        found += unit.autos.diagnostics
    if unit.document.partial:  # what seems missing may stand in the part that could not be read
        found = [diagnostic for diagnostic in found if diagnostic.code not in _ABOUT_ABSENCE]
    return found


def _plan(main: Unit, library: Library) -> Plan:
    pipelines = {key: with_digest(unit.plan()) for key, unit in library.called.items()}
    return with_digest(replace(main.plan(), pipelines=pipelines))


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the search for garbage in cycles: nearly all that a compilation makes lives on in its plan.

    Searching it again and again took half of the time of 10,000 steps, and made it grow faster than the steps do. What
    was made goes straight to the oldest generation, or the next object made would have all of it searched once more.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()
        gc.enable()
