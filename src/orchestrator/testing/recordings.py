"""What plays recordings, and what makes them: for a directory, with the secrets that are to be hidden."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.models.recordings.clients import RecordingClient, ReplayClient
from orchestrator.remedies import RecordAgain
from orchestrator.runtime.values.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.remedies import Remedy

_MARK: Final = "recorded"
"""The same for each run, so that what was recorded of one is found by the next."""


def replay(directory: str | Path, *, secrets: Mapping[str, Any] | None = None, again: str = "") -> ReplayClient:
    """Return a client for `Orchestrator(models=...)` that replays recordings and calls no model.

    Args:
        directory: where the recordings are.
        secrets: values of secret inputs, by name, if they were hidden when it was recorded.
        again: the command that replaces the recordings, for messages.

    Raises:
        ConfigurationError: The directory does not exist, or a file in it is not a recording.
    """
    return player(Path(directory), hiding(secrets or {}), again=RecordAgain(again) if again else None)


def record(
    directory: str | Path, *, secrets: Mapping[str, Any] | None = None, project: str | Path = "."
) -> RecordingClient:
    """Return a client for `Orchestrator(models=...)` that calls the models, and records their answers.

    Args:
        directory: where the recordings are written.
        secrets: values that are hidden in them, by name; the keys of providers are hidden in any case.
        project: the directory of `orchestrator.toml`.

    Raises:
        ConfigurationError: The settings or the keys cannot be read.
    """
    return recorder(Path(directory), Path(project), hiding(secrets or {}))


def hiding(secrets: Mapping[str, Any]) -> Redactor:
    """Return what hides secrets in recordings; `learn` gives it further ones."""
    return Redactor(secrets, _MARK)


def secret_inputs(specs: Mapping[str, InputSpec], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the secret inputs among those of a run."""
    return {name: value for name, value in values.items() if name in specs and specs[name].secret}


def player(directory: Path, hidden: Redactor, *, again: Remedy | None = None, missing_ok: bool = False) -> ReplayClient:
    """As `replay`, with a redactor. With `missing_ok` the directory may be missing if no model is called."""
    return ReplayClient(directory, scrub=hidden.scrub, again=again, missing_ok=missing_ok)


def recorder(directory: Path, project: Path, hidden: Redactor) -> RecordingClient:
    """As `record`, with what hides secrets."""
    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.clients.router import provider_client

    catalogue, keys = Catalogue.load(project), Keys.load()
    found = {name: keys.find(provider) for name, provider in catalogue.providers.items()}
    hidden.learn({f"key of {name}": key.value for name, key in found.items() if key is not None and key.value})
    return RecordingClient(provider_client(catalogue, keys, project), directory, scrub=hidden.scrub)
