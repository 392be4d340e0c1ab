"""The commands that are suggested about a run: complete, so that they work when they are copied."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.remedies import advice, remedies_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.errors import OrchestratorError
    from orchestrator.remedies import Remedy

EXECUTING: Final = ("resume", "answer", "retry", "fork")
"""The commands that execute a run, and so need its tools and permissions."""

STORELESS: Final = ("check", "filters", "init", "keys", "models", "test", "tools")
"""The commands that use no store."""


class Hints(Struct, frozen=True):
    """The options of suggested commands: `store`, as `--store` was given, and those that a run needs again.

    `words` are options that the run was started with in addition to `orchestrator.toml`; it cannot be resumed without
    them.
    """

    store: str | None = None
    words: tuple[str, ...] = ()

    def about(self, orchestrator: Orchestrator, run_id: str) -> Hints:
        """Return the hints for one run, with the options that it needs."""
        from orchestrator.api.origin import Origin
        from orchestrator.api.settings import ProjectSettings
        from orchestrator.tools import Permissions

        directory = orchestrator.directory
        origin = Origin.of(orchestrator.get_run(run_id).record())
        if origin is None:
            return self
        lacking = origin.lacking(
            Permissions.load(directory), tools=ProjectSettings.load(directory).tools, project=directory
        )
        return Hints(self.store, tuple(lacking.words()))

    def command(self, verb: str, *words: str) -> str:
        """Return the command to give next about a run, such as `orchestrator resume <id>`."""
        return shlex.join(["orchestrator", verb, *words, *self._options(verb)])

    def line(self, remedy: Remedy) -> str:
        """Return the shell line of a remedy."""
        return self.command(*remedy.words) if remedy.words and not remedy.is_option else remedy.shell

    def advice(self, help: str | None, remedies: Iterable[Remedy]) -> str:
        """Return a help text and remedies, as shell lines, in one text."""
        return advice(help, remedies, self.line)

    def advice_of(self, error: Mapping[str, Any]) -> str:
        """Return the help and the remedies of a recorded error in one text."""
        return self.advice(str(error.get("help") or ""), remedies_from(error.get("remedies")))

    def complete(self, error: OrchestratorError) -> None:
        """Write the remedies of an error into its help, as shell lines."""
        error.help, error.remedies = self.advice(error.help, error.remedies) or None, ()

    def _options(self, verb: str) -> list[str]:
        """The options of a command; a store that the environment names will be found again."""
        named = self.store if self.store and self.store != os.environ.get("ORCHESTRATOR_STORE") else None
        named = None if verb in STORELESS else named
        return [*(("--store", named) if named else ()), *(self.words if verb in EXECUTING else ())]


def advice_on(error: OrchestratorError) -> str:
    """Return the help and the remedies of an error, as shell lines without options, in one text."""
    return Hints().advice(error.help, error.remedies)
