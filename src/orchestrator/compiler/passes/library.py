"""The files of one compilation: the main pipeline and all that it calls. Each is read and checked once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.compiler.ir.context import CompilationContext, CompilationSession, PipelineCall
from orchestrator.compiler.ir.files import FileLocation, Unreadable

if TYPE_CHECKING:
    from orchestrator.language import Document
    from orchestrator.language.yaml.nodes import Node


def enter_file(document: Document, session: CompilationSession, *locations: FileLocation) -> CompilationContext:
    """Add a file to the compilation."""
    context = CompilationContext(document, session, locations)
    if context.key is not None:
        session.contexts[context.key] = context
    return context


def lock_of(context: CompilationContext) -> tuple[str, str] | None:
    """Return the key and the text of the lock of a file; None if it has none.

    Raises:
        OSError, ValueError: It cannot be read.
    """
    session = context.session
    return session.files.lock(context.locations) if session.uses_locks else None


def find_pipeline(caller: CompilationContext, written: str) -> CompilationContext | Unreadable:
    """Return the pipeline that `caller` names, and read it if necessary."""
    session = caller.session
    place = session.files.find(caller.locations, written)
    if isinstance(place, Unreadable):
        return place
    if place.key in session.contexts:
        return session.contexts[place.key]
    name = caller.document.source.name  # as the reader of the caller's name would write that of the other
    shown = place.key if name.startswith("<") else os.path.normpath(Path(name).parent / written)
    document = session.files.read(place, written, shown)
    return document if isinstance(document, Unreadable) else enter_file(document, session, place)


def record_call(
    caller: CompilationContext, called: CompilationContext, node: Node, *, limited: bool, detached: bool
) -> None:
    """Record that one file calls another; `limited`: only to a maximum depth, `detached`: as a run of its own."""
    if called.key is None:
        return
    session = caller.session
    session.called[called.key] = called
    if caller.key is not None:
        session.calls.setdefault(caller.key, {}).setdefault(called.key, None)
        if not limited:
            session.unlimited.setdefault(caller.key, {}).setdefault(called.key, PipelineCall(caller, node, detached))
