"""The commands that are suggested about a run: complete, so that they work when they are copied."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.remedies import advice, remedies_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.api.interfaces import AnyOrchestrator
    from orchestrator.errors import OrchestratorError
    from orchestrator.remedies import Remedy

EXECUTING: Final = ("resume", "answer", "retry", "fork")
"""The commands that execute a run, and so need its tools and permissions."""

STORELESS: Final = ("check", "filters", "import", "init", "keys", "models", "test", "tools")
"""The commands that use no store."""


OF_STORES: Final = ("lock", "prune", "store", "tokens")
"""The commands that need the database with the runs itself, not a server."""


class Hints(Struct, frozen=True):
    """The options of suggested commands: `--store` or `--server`, as they were given, and those that a run needs again.

    `words` are options that the run was started with in addition to `orchestrator.toml`; it cannot be resumed without
    them.
    """

    store: str | None = None
    server: str | None = None
    words: tuple[str, ...] = ()

    def about(self, orchestrator: AnyOrchestrator, run_id: str) -> Hints:
        """Return the hints for one run, with the options that it needs."""
        return Hints(self.store, self.server, orchestrator.start_words(run_id))

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
        """The options of a command; a store or server that the environment names will be found again."""
        places = {"store": self.store, "server": self.server if verb not in OF_STORES else None}
        places = places if verb not in STORELESS else {}
        named = [
            word
            for name, place in places.items()
            if place and place != os.environ.get(f"ORCHESTRATOR_{name.upper()}")
            for word in (f"--{name}", place)
        ]
        return [*named, *(self.words if verb in EXECUTING else ())]


def advice_on(error: OrchestratorError) -> str:
    """Return the help and the remedies of an error, as shell lines without options, in one text."""
    return Hints().advice(error.help, error.remedies)
