"""Compiles a pipeline file to a plan, or reports every error in one pass."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator import codes
from orchestrator.compiler.file_compiler import FileCompiler
from orchestrator.compiler.ir.context import CompilationContext, CompilationSession
from orchestrator.compiler.ir.cycles import topological_order
from orchestrator.compiler.ir.files import PipelineFiles
from orchestrator.compiler.ir.model_references import ModelEnvironment
from orchestrator.compiler.passes.library import enter_file
from orchestrator.compiler.rules.recursive_pipeline import report_recursion
from orchestrator.compiler.steps import work_of
from orchestrator.diagnostics import Diagnostic, bounded_suggestions, sort_diagnostics
from orchestrator.language import Document, read_document
from orchestrator.plan.model import Plan
from orchestrator.plan.serialization import with_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from orchestrator.tools import Permissions, Registry


class Compilation(Struct, frozen=True):
    """The result of compiling a pipeline: all diagnostics, file by file, and the plan if none of them is an error.

    `document` is the file itself; called files are in `plan.pipelines`. `looked_at` are the other files that were read,
    or that were looked for and are missing: when one of them changes, the result may be another.
    """

    document: Document
    diagnostics: tuple[Diagnostic, ...]
    plan: Plan | None
    looked_at: tuple[Path, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the pipeline has no errors."""
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
    may_read: Callable[[Path], bool] | None = None,
    notice_targets: Collection[str] | None = None,
    waiting_targets: Collection[str] = (),
) -> Compilation:
    """Read, check and plan a pipeline and all pipelines that it calls. Has no side effects.

    Args:
        source: a path, YAML text, or a mapping.
        registry: the tools that steps can call.
        permissions: what those tools may do; calls with constant values that would be refused are reported.
        directory: where relative paths of the run start; default the permissions' directory.
        name: the name of the source in diagnostics; default the path, or `<text>`.
        sources: the texts of the called pipelines, from `Plan.sources`; then no other file is read.
        live_models: whether models will be called at their providers, so that keys and packages are required.
        locks: whether `<AUTO>` values are replaced by the answers in the lock of their file.
        may_read: which files may be called; by default all that steps may read.
        notice_targets: the configured targets of notices; by default they are not checked.
        waiting_targets: those that are notified of open questions, unless the pipeline says otherwise.
    """
    with _without_collection(), bounded_suggestions():
        directory = directory or permissions.directory
        session = CompilationSession(
            registry,
            permissions,
            directory,
            ModelEnvironment(directory, live=live_models),
            PipelineFiles(directory, permissions, sources, may_read, registry.has),
            uses_locks=locks,
            notice_targets=notice_targets,
        )
        document = read_document(source, name=name, is_known=registry.has)
        notify = document.spec.notify
        asked = notify.waiting if notify is not None else None
        session.waiting_targets = waiting_targets if asked is None else asked.to
        main = enter_file(document, session, *session.files.places(document.source.name))
        files = _check(main)
        diagnostics = tuple(sort_diagnostics(diagnostic for file in files.values() for diagnostic in _found(file)))
        wrong = any(diagnostic.severity == "error" for diagnostic in diagnostics)
        plan = None if wrong else _plan(main, files)
        for context in files:
            context.close()
        return Compilation(document, diagnostics, plan, tuple(session.files.looked_at))


def _check(main: CompilationContext) -> dict[CompilationContext, FileCompiler]:
    """Read and check all files, each after those that it calls, and return them, the main file first.

    Files that call one another recursively see only each other's declarations.
    """
    session = main.session
    files = {main: FileCompiler(main, work_of)}
    queue = [main]
    for context in queue:
        files[context].open()
        for called in session.called.values():
            if called not in files:
                files[called] = FileCompiler(called, work_of)
                queue.append(called)
    by_key = {context.key: file for context, file in files.items() if context.key is not None}
    for key in topological_order(session.calls, list(by_key)):
        by_key[key].check()
    if main.key is None:
        files[main].check()
    report_recursion(session)
    return files


def _found(file: FileCompiler) -> list[Diagnostic]:
    found = file.found()
    if file.context.document.partial:  # what seems missing may stand in the part that could not be read
        found = [diagnostic for diagnostic in found if diagnostic.code not in _ABOUT_ABSENCE]
    return found


def _plan(main: CompilationContext, files: Mapping[CompilationContext, FileCompiler]) -> Plan:
    pipelines = {key: with_digest(files[called].plan()) for key, called in main.session.called.items()}
    return with_digest(replace(files[main].plan(), pipelines=pipelines))


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the cyclic garbage collection: nearly everything that a compilation creates lives on in its plan.

    Collecting repeatedly took half of the time for 10,000 steps and grew faster than the number of steps. The objects
    go straight to the oldest generation, because otherwise the next allocation would scan all of them again.
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
