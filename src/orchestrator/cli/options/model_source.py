"""The source of model answers in a `run`: the models, recordings, or models that are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import ConfigurationError
from orchestrator.text.words import plural, quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.models.messages import ModelClient
    from orchestrator.models.recordings.clients import RecordingClient


def only_one(given: Mapping[str, object]) -> None:
    """Refuse options that exclude each other.

    Raises:
        ConfigurationError: More than one of them is given.
    """
    names = [name for name, value in given.items() if value]
    if len(names) > 1:
        listed = quoted_list(names, last="and")
        raise ConfigurationError(f"{listed} are mutually exclusive", help="give only one of them")


class ModelOptions:
    """Where answers come from: models, recorded in `record`; recordings in `replay`; in a dry run, nothing."""

    def __init__(self, record: Path | None, replay: Path | None, *, dry_run: bool) -> None:
        self._record = record
        self._replay = replay
        self._dry_run = dry_run
        self._hidden: Any = None
        self._recorder: RecordingClient | None = None

    def client(self) -> ModelClient | None:
        """Return the client that answers, or None for the models.

        Raises:
            ConfigurationError: The recordings, the settings or the keys are missing or cannot be read.
        """
        if self._dry_run:
            from orchestrator.models.clients.fake import FakeModel

            return FakeModel(otherwise="fail")
        if self._record is None and self._replay is None:
            return None
        from orchestrator.config.project_file import project_directory
        from orchestrator.testing.recordings import hiding, player, recorder

        self._hidden = hiding({})
        if self._replay is not None:
            return player(self._replay, self._hidden)
        if self._record is not None:
            self._recorder = recorder(self._record, project_directory(), self._hidden)
        return self._recorder

    def hide(self, specs: Mapping[str, InputSpec], values: Mapping[str, Any]) -> None:
        """Keep the secrets among the inputs out of recordings."""
        if self._hidden is not None:
            from orchestrator.testing.recordings import secret_inputs

            self._hidden.learn(secret_inputs(specs, values))

    def end(self, *, quiet: bool) -> None:
        """Report what was recorded or replayed, after a run."""
        from orchestrator.cli.terminal.output import say

        if self._replay is not None and not quiet:
            say(f"answers were replayed from {self._replay}: no model was called, and nothing was paid", "dim")
        if self._recorder is None:
            return
        self._recorder.remove_stale()
        if not quiet:
            count = len(self._recorder.written)
            say(f"recorded {plural(count, 'answer')} in {self._record}")

    @property
    def options(self) -> dict[str, object]:
        """The options that replace or record the answers of models, with their values."""
        return {"--record": self._record, "--replay": self._replay}

    def words(self) -> list[str]:
        """Return the same as command line words."""
        given = {"--record": self._record, "--replay": self._replay}
        return [word for option, path in given.items() if path is not None for word in (option, str(path))]
