"""Where runs are: in a store, or on a server. Every command that is about runs takes one of the two."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import OptionGroup
from orchestrator.errors import ConfigurationError
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api.interfaces import AnyOrchestrator
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.models.messages import ModelClient

TOKEN: Final = "ORCHESTRATOR_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable with the token of the server."""


class Place(OptionGroup, frozen=True):
    """The store or the server with the runs that a command is about; without either, the store of the project."""

    store: common.StoreOption = None
    server: common.ServerOption = None

    @property
    def is_server(self) -> bool:
        """Whether runs are executed by a server, and continue there when this command ends."""
        return self.server is not None

    @property
    def words(self) -> list[str]:
        """The same as command line words; what the environment names will be found again."""
        given = {"store": self.store, "server": self.server}
        return [
            word
            for name, url in given.items()
            if url is not None and url != os.environ.get(f"ORCHESTRATOR_{name.upper()}")
            for word in (f"--{name}", url)
        ]

    @property
    def hints(self) -> "Hints":
        """The hints that suggest commands about the same runs."""
        from orchestrator.cli.terminal.hints import Hints

        return Hints(self.store, self.server)

    def open(
        self,
        *,
        tools: list[str] | None = None,
        allow_path: list[Path] | None = None,
        allow_run: bool = False,
        allow_host: list[str] | None = None,
        models: "ModelClient | None" = None,
        only_here: "Mapping[str, object] | None" = None,
        **limits: Any,
    ) -> "AnyOrchestrator":
        """Return what runs are started and controlled through, as the options describe it.

        `limits` are `max_parallel`, `timeout`, `budget`, `no_cache` and `refresh`. `only_here` are further options that
        a server cannot apply, with their values.

        Raises:
            ConfigurationError: ORC918, an option is given that a server cannot apply.
        """
        if self.server is None:
            return common.open_orchestrator(
                store=self.store,
                models=models,
                tools=tools,
                allow_path=allow_path,
                allow_run=allow_run,
                allow_host=allow_host,
                **limits,
            )
        granted = {"--tools": tools, "--allow-path": allow_path, "--allow-run": allow_run, "--allow-host": allow_host}
        refuse_over_http({**granted, **(only_here or {})})
        return _connected(self.server, **limits)


def refuse_over_http(options: "Mapping[str, object]") -> None:
    """Refuse options that a server cannot apply.

    Raises:
        ConfigurationError: ORC918, one of them is given.
    """
    given = [option for option, value in options.items() if value]
    if given:
        raise ConfigurationError(
            f"{quoted_list(given, last='and')} cannot be used with a server, which executes the runs itself",
            code=codes.NOT_OVER_HTTP,
            help="leave it out, or use a store; the orchestrator.toml of the server says what it permits",
        )


def _connected(
    url: str,
    *,
    max_parallel: int | None = None,
    timeout: float | None = None,
    budget: list[str] | None = None,
    no_cache: bool = False,
    refresh: list[str] | None = None,
) -> "AnyOrchestrator":
    from orchestrator.client.address import ServerAddress
    from orchestrator.client.client import connect

    limits = None
    if budget:
        from orchestrator.cli.options.budgets import read_budget

        limits = read_budget(budget)
    token = os.environ.get(TOKEN) or None
    address = ServerAddress.of(url, token)
    if address.token is not None and not address.is_encrypted and not address.is_local:
        from orchestrator.cli.terminal.output import say

        say(f"warning: the token crosses the network to {address.url} in clear text; use https", "yellow")
    return connect(
        url,
        token=token,
        max_parallel=max_parallel,
        timeout=timeout,
        budget=limits,
        cache=False if no_cache else None,
        refresh=refresh or (),
    )
