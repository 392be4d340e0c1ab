"""The names that a template can read, with their types, and suggestions for unknown names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestrator.expressions.types.value_types import Type

if TYPE_CHECKING:
    from orchestrator.diagnostics import Vocabulary


class Environment(Mapping[str, Type]):
    """Names with their types. It caches suggestions for unknown names, as many templates may share it."""

    __slots__ = ()

    @property
    def vocabulary(self) -> Vocabulary:
        """The names, for suggestions."""
        raise NotImplementedError


def vocabulary_of(names: Mapping[str, Type]) -> Vocabulary:
    """Return the vocabulary of an environment, or a new one for any other mapping."""
    if isinstance(names, Environment):
        return names.vocabulary
    from orchestrator.diagnostics import Vocabulary  # imported only for a problem: it loads the rendering

    return Vocabulary(lambda: names)
