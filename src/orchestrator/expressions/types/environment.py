"""The names that a template can read, with their types, and what is near to a name that is not among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestrator.expressions.types.value_types import Type

if TYPE_CHECKING:
    from orchestrator.diagnostics import Vocabulary


class Environment(Mapping[str, Type]):
    """Names with their types. One that many templates see remembers what is near to the names that it lacks."""

    __slots__ = ()

    @property
    def vocabulary(self) -> Vocabulary:
        """The names, to find near ones."""
        raise NotImplementedError


def vocabulary_of(names: Mapping[str, Type]) -> Vocabulary:
    """The vocabulary of an environment, or a new one of any other mapping."""
    if isinstance(names, Environment):
        return names.vocabulary
    from orchestrator.diagnostics import Vocabulary  # only where something is wrong, and it draws in the rendering

    return Vocabulary(lambda: names)
