"""`sessions`: which browsers are logged in to a server, and logging them out."""

import enum
from typing import TYPE_CHECKING, Annotated, cast

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place
from orchestrator.cli.options.usage_errors import choice_metavar, choice_parser

if TYPE_CHECKING:
    from orchestrator.api.interfaces import AnyOrchestrator
    from orchestrator.client.client import Client
    from orchestrator.journal.store.credential_store import BrowserSession


class SessionAction(enum.StrEnum):
    """What `sessions` does."""

    LIST = "list"
    REVOKE = "revoke"


@with_groups
def sessions(
    action: Annotated[
        SessionAction,
        typer.Argument(
            metavar=choice_metavar(SessionAction),
            parser=choice_parser("orchestrator sessions", SessionAction),
            help="What to do.",
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A user, such as `oidc:ada`, or the id of one session.")
    ] = None,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """List the sessions of browsers on a server, or end them.

    `revoke` takes effect at once. The tokens with which sessions were opened stay valid: see `orchestrator tokens`.
    Users of an identity provider can log in again, unless its groups no longer permit it.
    """
    from orchestrator.cli.terminal.output import emit, emit_json, say
    from orchestrator.text.words import plural

    with place.open() as orchestrator:
        if action is SessionAction.LIST:
            found = _open_sessions(orchestrator)
        else:
            found = _ended(orchestrator, _required(name))
    if json:
        emit_json([_data(session) for session in found])
    elif action is SessionAction.REVOKE:
        emit(f"ended {plural(len(found), 'session')} of `{found[0].name}`")
    elif found:
        emit(_table(found))
    else:
        say("no browser is logged in")


def _open_sessions(orchestrator: "AnyOrchestrator") -> "list[BrowserSession]":
    import time

    from orchestrator.api.orchestrator import Orchestrator

    if isinstance(orchestrator, Orchestrator):
        return orchestrator.backend.store.credentials.sessions(time.time())
    return cast("Client", orchestrator).sessions()


def _ended(orchestrator: "AnyOrchestrator", which: str) -> "list[BrowserSession]":
    from orchestrator.api.orchestrator import Orchestrator

    if isinstance(orchestrator, Orchestrator):
        from orchestrator.server.access.sessions import end_sessions

        return end_sessions(orchestrator.backend.store.credentials, which)
    return cast("Client", orchestrator).end_sessions(which)


def _required(name: str | None) -> str:
    from orchestrator.errors import ConfigurationError

    if name is None:
        raise ConfigurationError(
            "`orchestrator sessions revoke` needs a name",
            help="write for example `orchestrator sessions revoke oidc:ada`",
        )
    return name


def _table(found: "list[BrowserSession]") -> str:
    from orchestrator.cli.terminal.output import moment, table

    rows = [
        (
            session.id,
            session.name,
            ", ".join(session.scopes),
            moment(session.created_at),
            "never" if session.expires_at is None else moment(session.expires_at),
        )
        for session in found
    ]
    return table(("ID", "NAME", "SCOPES", "OPENED", "EXPIRES"), rows)


def _data(session: "BrowserSession") -> dict[str, object]:
    from msgspec.structs import asdict

    return {**asdict(session), "scopes": list(session.scopes)}
