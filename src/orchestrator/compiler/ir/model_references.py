"""The places of a file that name models, what the models are used for, and what is known about models."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.compiler.ir.nodes import SourceStep
from orchestrator.errors import ModelMissing
from orchestrator.language.yaml.nodes import Node, Scalar, Sequence
from orchestrator.models.catalog.names import AUTO_MODEL
from orchestrator.tools.contract import Makes

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.messages import ModelName


class ModelEnvironment:
    """The model catalogue and the API keys that are set. `live`: providers are called, not a fake or a recording."""

    def __init__(self, directory: Path, *, live: bool = True) -> None:
        self._directory = directory
        self.live = live

    @cached_property
    def catalogue(self) -> Catalogue:
        """The model catalogue."""
        from orchestrator.models.catalog.entries import Catalogue

        return Catalogue.load(self._directory)

    @cached_property
    def keys(self) -> Keys:
        """The keys of providers."""
        from orchestrator.models.catalog.keys import Keys

        return Keys.load()

    @cached_property
    def default(self) -> ModelName | ModelMissing | None:
        """The model that `auto` stands for, or why there is none; None: one that a running Ollama has.

        Raises:
            ConfigurationError: The file of keys cannot be used.
        """
        from orchestrator.models.selection.default_model import default_model, ollama_is_running

        try:
            return default_model(self.catalogue, self.keys)[0]
        except ModelMissing as error:
            is_named = self.catalogue.settings.default is not None
            return None if not is_named and ollama_is_running(self.catalogue, self.keys) else error


class ModelUse(Struct, frozen=True):
    """A use of the models named at some place: by a step, or by the judge of its output.

    `needs` are the required capabilities, each with the place that requires it.
    """

    step: SourceStep
    purpose: Makes = "text"
    needs: dict[str, Scalar] = field(default_factory=dict)
    action: str = ""


class ModelReference(Struct):
    """A place that names models, and all that ask them. `given`: the step itself names them, not the file.

    `unnamed`: nothing is named, and the default model is asked for what stands at `node`.
    """

    node: Node
    given: bool
    uses: list[ModelUse] = field(default_factory=list)
    unnamed: bool = False

    def names(self) -> list[tuple[str, Scalar]]:
        """Return the names with their places; templates are resolved at run time."""
        if self.unnamed:
            return [(str(AUTO_MODEL), self.node)] if isinstance(self.node, Scalar) else []
        nodes = self.node.items if isinstance(self.node, Sequence) else [self.node]
        return [
            (node.value, node)
            for node in nodes
            if isinstance(node, Scalar) and isinstance(node.value, str) and "{" not in node.value and node.value.strip()
        ]
