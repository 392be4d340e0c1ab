"""The places of a file that name models, what is asked of them, and what is known of models where it is compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from orchestrator.compiler.ir.nodes import SourceStep
from orchestrator.language.yaml.nodes import Node, Scalar, Sequence

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys

Purpose = Literal["text", "embeddings"]


class ModelEnvironment:
    """What is known of models, and the keys at hand. `live`: providers are asked, and no stand-in for them."""

    def __init__(self, directory: Path, *, live: bool = True) -> None:
        self._directory = directory
        self.live = live

    @cached_property
    def catalogue(self) -> Catalogue:
        """What is known of models."""
        from orchestrator.models.catalog.entries import Catalogue

        return Catalogue.load(self._directory)

    @cached_property
    def keys(self) -> Keys:
        """The keys of providers."""
        from orchestrator.models.catalog.keys import Keys

        return Keys.load()


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A step that asks the models named at some place, or a judge of its output: what for, and what limits the cost.

    `needs` are capabilities, each with the place that asks for it.
    """

    step: SourceStep
    purpose: Purpose = "text"
    needs: dict[str, Scalar] = field(default_factory=dict)
    action: str = ""


@dataclass(slots=True)
class ModelReference:
    """A place that names models, and all that ask them. `steps` itself name them, or go by what the file says."""

    node: Node
    given: bool
    uses: list[ModelUse] = field(default_factory=list)

    def names(self) -> list[tuple[str, Scalar]]:
        """The names with their places; templates are known when they run."""
        nodes = self.node.items if isinstance(self.node, Sequence) else [self.node]
        return [
            (node.value, node)
            for node in nodes
            if isinstance(node, Scalar) and isinstance(node.value, str) and "{" not in node.value and node.value.strip()
        ]
