"""`tokens`: who may use the server of a store."""

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.usage_errors import choice_metavar, choice_parser, duration

if TYPE_CHECKING:
    from orchestrator.journal.store.credential_store import Credential, CredentialStore


class TokenAction(enum.StrEnum):
    """What `tokens` does."""

    ADD = "add"
    LIST = "list"
    REVOKE = "revoke"


def tokens(
    action: Annotated[
        TokenAction,
        typer.Argument(
            metavar=choice_metavar(TokenAction),
            parser=choice_parser("orchestrator tokens", TokenAction),
            help="What to do.",
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Who uses the token, such as `ci` or `ada`.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="read, run, answer or admin. Repeatable. Default: read"),
    ] = None,
    expires: Annotated[
        float | None,
        typer.Option(
            "--expires",
            parser=duration("--expires"),
            metavar="DURATION",
            help="How long it is valid, such as 90d. Default: until it is revoked",
        ),
    ] = None,
    json: common.JsonOption = False,
    store: common.StoreOption = None,
) -> None:
    """Add, list or revoke the tokens of a server.

    `add` prints the new token once: the store has only its digest. Its scopes are `read` (see pipelines and runs),
    `run` (start and control them), `answer` (answer questions) and `admin` (everything). `revoke` takes effect at once,
    also for browsers that are logged in with the token.
    """
    from orchestrator.cli.terminal.output import emit, emit_json, say
    from orchestrator.server.access.scopes import parse_scopes
    from orchestrator.server.access.tokens import add_token, revoke_token

    with common.open_orchestrator(store=store) as orchestrator:
        credentials = orchestrator.backend.store.credentials
        match action:
            case TokenAction.ADD:
                scopes = parse_scopes(scope or ["read"])
                token = add_token(credentials, _required(name, action), scopes, lifetime=expires)
                if json:
                    emit_json({"name": name, "scopes": list(scopes), "token": token})
                else:
                    emit(token)
                    say("store it now: it cannot be shown again", "yellow")
            case TokenAction.LIST:
                _list(credentials, as_json=json)
            case TokenAction.REVOKE:
                revoked = revoke_token(credentials, _required(name, action))
                if json:
                    emit_json(_data(revoked))
                else:
                    emit(f"revoked the token `{revoked.name}`")


def _required(name: str | None, action: TokenAction) -> str:
    from orchestrator.errors import ConfigurationError

    if name is None:
        raise ConfigurationError(
            f"`orchestrator tokens {action}` needs a name", help=f"write for example `orchestrator tokens {action} ci`"
        )
    return name


def _list(credentials: "CredentialStore", *, as_json: bool) -> None:
    from orchestrator.cli.terminal.output import emit, emit_json, moment, say, table

    found = credentials.list("token")
    if as_json:
        emit_json([_data(credential) for credential in found])
    elif not found:
        say("no tokens; make one with: orchestrator tokens add NAME")
    else:
        rows = [
            (
                credential.name,
                ", ".join(credential.scopes),
                moment(credential.created_at),
                "never" if credential.expires_at is None else moment(credential.expires_at),
            )
            for credential in found
        ]
        emit(table(("NAME", "SCOPES", "CREATED", "EXPIRES"), rows))


def _data(credential: "Credential") -> dict[str, object]:
    return {
        "name": credential.name,
        "scopes": list(credential.scopes),
        "created_at": credential.created_at,
        "expires_at": credential.expires_at,
    }
