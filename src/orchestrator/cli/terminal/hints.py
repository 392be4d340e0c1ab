"""The commands that are suggested about a run: complete, so that they work when they are copied."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.api import Orchestrator
    from orchestrator.errors import OrchestratorError

EXECUTING: Final = ("resume", "answer", "retry", "fork")
"""The commands that execute a run, and so need its tools and permissions."""

_COMMAND: Final = re.compile(
    r"\borchestrator (?:(?P<verb>[a-z]+) 1[0-9a-hjkmnp-tv-z]{19}|runs|run FILE)\b(?! --(?:store|tools|allow))"
)


@dataclass(frozen=True, slots=True)
class Hints:
    """What a suggested command must say besides the run: `store`, as `--store` was given, and what a run needs again.

    `words` are the options without which the run cannot be resumed, as it was started with more than
    `orchestrator.toml` gives.
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

    def command(self, verb: str, run_id: str, *words: str) -> str:
        """Return the command to give next about a run, such as `orchestrator resume <id>`."""
        return shlex.join(["orchestrator", verb, run_id, *words, *self._options(verb)])

    def completed(self, text: str) -> str:
        """Return a text in which the commands about a run have all the options that they need."""

        def complete(found: re.Match[str]) -> str:
            options = self._options(found["verb"] or "")
            return found[0] + (f" {shlex.join(options)}" if options else "")

        return _COMMAND.sub(complete, text)

    def complete(self, error: OrchestratorError) -> None:
        """Complete the commands that an error suggests."""
        if error.help:
            error.help = self.completed(error.help)

    def _options(self, verb: str) -> list[str]:
        """The options of a command; a store that the environment names will be found again."""
        named = self.store if self.store and self.store != os.environ.get("ORCHESTRATOR_STORE") else None
        return [*(("--store", named) if named else ()), *(self.words if verb in EXECUTING else ())]
