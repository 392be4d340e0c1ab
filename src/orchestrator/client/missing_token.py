"""What to do when a server does not accept the token of a client, by where the token is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes

if TYPE_CHECKING:
    from orchestrator.client.address import ServerAddress
    from orchestrator.errors import OrchestratorError

_GIVE = "give it as ORCHESTRATOR_TOKEN, or as `token=` of `orc.connect`"


def explained(error: OrchestratorError, address: ServerAddress) -> OrchestratorError:
    """Return an error with the help of a client, if it says that the server does not know who sent a request."""
    if error.code == codes.NOT_AUTHENTICATED:
        error.help = _help(address)
    return error


def _help(address: ServerAddress) -> str:
    if address.found_in is not None:
        return (
            f"the token is from {address.found_in}, and is probably that of another server: run it in the project of "
            f"the server; or, with another token, {_GIVE}"
        )
    if address.token is not None:
        return f"use another token, and {_GIVE}"
    if address.is_local:
        return f"run it in the project of the server, where its token is found by itself; or, with another one, {_GIVE}"
    return f"the server needs a token: {_GIVE}"
