"""The spec of a step that fails on purpose."""

from __future__ import annotations

from pydantic import Field

from orchestrator.language.spec.base import Spec


class FailSpec(Spec):
    """A failure on purpose. It is not retried. Short form: the message alone."""

    message: str = Field(description="Why it fails; it may contain templates.")
    code: str | None = Field(
        default=None,
        description="A name of the failure, which `error_types` of error handlers can list: `OutOfStock`.",
        json_schema_extra={"pattern": "^[A-Z][A-Za-z0-9]*$"},
    )
