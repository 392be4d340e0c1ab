"""The answers that the lock of a file has for its questions, and what is wrong with them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.auto.lock_file import Lock, LockedValue, answer_problems, read_lock
from orchestrator.compiler.passes.library import lock_of
from orchestrator.diagnostics import Diagnostic, Related, Source, Span
from orchestrator.models.calls.lock_entries import KeptAnswer, has_mark, question_digest
from orchestrator.remedies import UpdateLock

if TYPE_CHECKING:
    from collections.abc import Container

    from orchestrator.compiler.auto.places import Schema
    from orchestrator.compiler.ir.context import CompilationContext


class LockAnswers:
    """Finds answers in the lock of one file, which is read for the first question.

    `content` is its key and its text, if it exists; `diagnostics` are those of the lock itself.
    """

    def __init__(self, context: CompilationContext) -> None:
        self._context = context
        self.content: tuple[str, str] | None = None
        self.diagnostics: list[Diagnostic] = []

    @cached_property
    def _lock(self) -> Lock:
        """The lock of the file; empty if it does not exist or cannot be read."""
        name = self._context.document.source.name
        try:
            self.content = lock_of(self._context)
        except (OSError, ValueError) as error:
            source = Source.of(f"{name}.lock", "")
            reason = (getattr(error, "strerror", None) or "it is not UTF-8 text").lower()
            help = "check its permissions, or remove it"
            message = f"the lock `{source.name}` cannot be read: {reason}"
            self.diagnostics.append(
                Diagnostic(codes.LOCK_MISMATCH, message, source, Span.at(1, 1), severity="error", help=help)
            )
            return Lock(source)
        if self.content is None:
            return Lock(Source.of(f"{name}.lock", ""))
        lock = read_lock(self.content[1], f"{name}.lock")
        self.diagnostics += lock.problems
        return lock

    def find(self, at: str, text: str, schema: Schema, span: Span, *, secret: bool) -> tuple[KeptAnswer, ...]:
        """Return the answers that the lock has for a question, and report those that are invalid."""
        found = self._lock.values.get(at)
        if found is None:
            return ()
        if secret:
            message = "this question reads a secret, so its answer is not stored and a model is asked in every run"
            self._stale(span, message, found, "reads a secret", "remove the answer from the lock")
            return ()
        if found.text != text or found.schema != schema:
            what = "question" if found.text != text else "type of answer"
            self._stale(
                span, f"the lock has an answer for a different {what} here, so a model is asked in every run", found
            )
            return ()
        if not varies(text):
            answer = found.find(question_digest(text, schema))
            if answer is None:
                self._stale(span, "the lock has no answer to this question, so a model is asked in every run", found)
                return ()
            return (answer,) if self._fits(answer, schema, found) else ()
        return tuple(answer for answer in found.answers if self._fits(answer, schema, found))

    def _fits(self, answer: KeptAnswer, schema: Schema, found: LockedValue) -> bool:
        reasons = answer_problems(answer.answer, schema)
        what, label = f"does not have the expected type: {'; '.join(reasons)}", "wrong type"
        marked = has_mark(answer.answer)
        if marked:
            what, label = "contains the redaction mark of a secret instead of the secret", "no value"
        if reasons or marked:
            source = self._lock.source
            self.diagnostics.append(
                Diagnostic(
                    codes.LOCK_MISMATCH,
                    f"the answer for `{found.at}` in the lock {what}",
                    source,
                    found.span,
                    severity="error",
                    label=label,
                    help="fix it, or remove it and ask again",
                    remedies=(UpdateLock(source.name.removesuffix(".lock")),),
                )
            )
        return not reasons and not marked

    def _stale(
        self,
        span: Span,
        message: str,
        found: LockedValue,
        label: str = "not in the lock",
        help: str = "ask a model, and store its answer",
    ) -> None:
        self._context.diagnostics.add(
            codes.LOCK_MISMATCH,
            span,
            message,
            label=label,
            help=help,
            remedies=(UpdateLock(self._context.document.source.name),),
            related=[Related("the answer is here", self._lock.source, found.span)],
        )

    def report_unasked(self, places: Container[str]) -> None:
        """Report the answers for places where the file has no question."""
        for value in self._lock.values.values():
            if value.at not in places:
                self.diagnostics.append(
                    Diagnostic(
                        codes.LOCK_MISMATCH,
                        f"the lock has an answer for `{value.at}`, but the file has no question there",
                        self._lock.source,
                        value.span,
                        severity="warning",
                        label="no longer asked",
                        help="remove it from the lock",
                        remedies=(UpdateLock(self._context.document.source.name),),
                    )
                )


def varies(text: str) -> bool:
    """Return whether a question reads values of the run, so that it may differ in each."""
    return "{{" in text or "{%" in text
