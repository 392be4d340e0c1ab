"""The token that a server makes for its own machine, which commands there find by themselves."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from orchestrator.api.control import current_user
from orchestrator.config.server_token import read_token, token_file
from orchestrator.errors import ConfigurationError
from orchestrator.server.access.tokens import create_token, verified

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.journal.store.credential_store import CredentialStore

LOGIN_SECONDS: Final = 600.0
"""How long the link works with which a browser is logged in."""


def ensure_token(store: CredentialStore, directory: Path) -> str:
    """Return the token of this machine, made now if there is none that is valid.

    Raises:
        ConfigurationError: It cannot be written to its file.
    """
    known = read_token(directory)
    if known is not None and verified(store, known, "token") is not None:
        return known
    name = f"{current_user()}@{socket.gethostname()}"
    for credential in store.list("token"):
        if credential.name == name:  # its secret is lost
            store.remove(credential.id)
    token = create_token(store, name, ["admin"])
    path = token_file(directory)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{token}\n")
    except OSError as error:
        raise ConfigurationError(
            f"the token of this machine cannot be written to {path}: {error.strerror or error}",
            help="make the directory writable",
        ) from error
    return token


def login_token(store: CredentialStore, token: str) -> str:
    """Return a token that logs one browser in, once, as the owner of another token."""
    credential = verified(store, token, "token")
    if credential is None:
        raise ConfigurationError("the token of this machine was revoked", help="restart the server")
    return create_token(
        store, credential.name, credential.scopes, kind="login", lifetime=LOGIN_SECONDS, parent=credential.id
    )
