"""`serve`: share the runs of a project over HTTP."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.usage_errors import duration, whole_number

if TYPE_CHECKING:
    from orchestrator.config.tables.serve import ServeTable


def serve(
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="The address to listen at. Default: 127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            parser=whole_number("--port", least=0, most=65_535),
            metavar="N",
            help="The port; 0 takes a free one. Default: 8420",
        ),
    ] = None,
    pipelines: Annotated[
        list[Path] | None,
        typer.Option("--pipelines", metavar="DIR", help="Offer the pipelines in this directory. Repeatable."),
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Open the page in a browser, logged in.")] = False,
    drain: Annotated[
        float | None,
        typer.Option(
            "--drain",
            parser=duration("--drain"),
            metavar="DURATION",
            help="How long to wait for runs when the server is stopped. Default: 30s",
        ),
    ] = None,
    no_triggers: Annotated[
        bool, typer.Option("--no-triggers", help="Fire no triggers, and accept no deliveries to webhooks.")
    ] = False,
    tools: common.ToolsOption = None,
    allow_path: common.AllowPathOption = None,
    allow_run: common.AllowRunOption = False,
    allow_host: common.AllowHostOption = None,
    store: common.StoreOption = None,
) -> None:
    """Serve an HTTP API to start, watch and control runs.

    The server executes the runs that it is given. When it is stopped, it waits for them, then interrupts those that
    remain; the next server on the same store continues them.

    The first start makes a token for this machine, in a file that only you can read. `orchestrator tokens` makes
    others.
    """
    from orchestrator.errors import MissingExtra

    try:
        from orchestrator.server.connection_limit import limit_warning
        from orchestrator.server.http_server import Server, exposure, login_link
        from orchestrator.server.service import Service
        from orchestrator.server.sockets import listening_sockets
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in (
            "fastapi",
            "joserfc",
            "prometheus_client",
            "starlette",
            "uvicorn",
        ):
            raise
        raise MissingExtra(f"the server needs the package `{error.name}`", extra="server") from error
    from orchestrator.cli.terminal.output import emit, say

    with common.open_orchestrator(
        store=store, tools=tools, allow_path=allow_path, allow_run=allow_run, allow_host=allow_host
    ) as orchestrator:
        directories = tuple(str(path.absolute()) for path in pipelines or ()) or None
        triggers = False if no_triggers else None
        given = {"host": host, "port": port, "drain": drain, "pipelines": directories, "triggers": triggers}
        settings = _settings(orchestrator.directory)
        settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
        service = Service(orchestrator, settings)

        def announce(address: str) -> None:
            link = login_link(service, address)
            emit(f"serving {orchestrator.store_url} at {address}")
            emit(f"log in, once, with: {link}")
            sys.stdout.flush()
            if open:
                import webbrowser

                webbrowser.open(link)

        opened = listening_sockets(settings.host, settings.port)
        if (warning := exposure(service)) is not None:
            say(f"warning: {warning}", "yellow")
        server = Server(service, announce)
        if (warning := limit_warning(server.refusals.most, settings.max_connections)) is not None:
            say(f"warning: {warning}", "yellow")
        for number in (signal.SIGINT, signal.SIGTERM):  # the server raises them again when it has stopped
            signal.signal(number, lambda *_: setattr(server, "should_exit", True))
        server.run(opened)
    if not server.started:
        raise typer.Exit(1)


def _settings(directory: Path) -> "ServeTable":
    from orchestrator.config.project_file import ProjectFile
    from orchestrator.config.tables.serve import ServeSection

    return ProjectFile.load(directory).read(ServeSection).serve
