"""The secrets of a run, as tools that keep values for later runs refuse them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Callable


class RunSecrets:
    """Finds the secrets of a run in values, in all the forms in which they are redacted."""

    def __init__(self, find: Callable[[Any], str | None] | None = None) -> None:
        """`find` returns the name of a secret that JSON data contain, None if there is none."""
        self._find = find or (lambda value: None)

    def refuse(self, where: str, value: Any) -> None:
        """Raise an error for a value that contains a secret: a later run has no way to hide it.

        Raises:
            StepError: ORC710, `where` would contain a secret, which is named.
        """
        secret = self._find(value)
        if secret is not None:
            raise StepError(
                f"{where} would contain the secret `{secret}`, which is not kept",
                code=codes.INVALID_TOOL_INPUT,
                help="leave it out: each run is given its secrets again",
                retryable=False,
            )
