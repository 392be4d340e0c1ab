"""What a token permits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

from orchestrator.config.vocabulary import AccessScope
from orchestrator.diagnostics import suggest
from orchestrator.errors import ConfigurationError
from orchestrator.text.words import quoted_list

Scope = AccessScope

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

MEANINGS: Final[dict[Scope, str]] = {
    "read": "see pipelines, runs, results and events",
    "run": "start and control runs; includes `read`",
    "answer": "answer the questions of runs; includes `read`",
    "admin": "everything: also start pipelines that a request contains, and write the files of pipelines",
}

_INCLUDED: Final[dict[Scope, frozenset[Scope]]] = {
    "read": frozenset({"read"}),
    "run": frozenset({"run", "read"}),
    "answer": frozenset({"answer", "read"}),
    "admin": frozenset(SCOPES),
}


def parse_scopes(words: Iterable[str]) -> tuple[Scope, ...]:
    """Return the scopes that these words name, in their usual order.

    Raises:
        ConfigurationError: There is none, or an unknown one.
    """
    given = set(words)
    unknown = sorted(given.difference(SCOPES))
    if unknown:
        near = suggest(unknown[0], SCOPES)
        help = f"did you mean `{near}`?" if near else f"the scopes are {quoted_list(SCOPES)}"
        raise ConfigurationError(f"unknown scope `{unknown[0]}`", help=help)
    if not given:
        raise ConfigurationError("a token needs a scope", help=f"the scopes are {quoted_list(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in given)


def permitted(scopes: Iterable[str]) -> frozenset[Scope]:
    """Return everything that these scopes permit. Unknown ones, of a newer version, permit nothing."""
    return frozenset().union(*(_INCLUDED[scope] for scope in SCOPES if scope in set(scopes)))
