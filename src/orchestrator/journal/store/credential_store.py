"""The credentials of a server: tokens, and the sessions opened with them. Only digests of secrets are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from msgspec import Struct

from orchestrator.errors import ConfigurationError
from orchestrator.journal.retry import patient
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.tables import credentials

if TYPE_CHECKING:
    import builtins

    from sqlalchemy.engine import Row

    from orchestrator.journal.store.database import Database

CredentialKind = Literal["token", "session", "login", "oidc"]
"""`token`: given to a person or a program; `session`: in a browser's cookie; `login`: opens one session, once;
`oidc`: of a browser that is logging in with an identity provider."""


class Credential(Struct, frozen=True):
    """A proof of who sends a request: `name`, who may do what the `scopes` say. Times in seconds since the epoch.

    `id` is no secret. `parent` is the id of the credential that it was made with; revoking that one revokes both.
    """

    id: str
    kind: CredentialKind
    name: str
    digest: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    parent: str | None = None


class BrowserSession(Struct, frozen=True):
    """A session of a browser that has not expired. Times in seconds since the epoch.

    `token` is the name of the token that it was opened with; None: its user logged in with an identity provider.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None
    token: str | None


class CredentialStore:
    """The credentials in a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @patient(locks=True)
    def add(self, credential: Credential) -> None:
        """Store a credential. One with the same id is replaced by nothing: ids are random.

        Raises:
            ConfigurationError: The one that it was made with has been removed meanwhile.
        """
        row = {
            "id": credential.id,
            "kind": credential.kind,
            "name": storable(credential.name),
            "digest": credential.digest,
            "scopes": " ".join(credential.scopes),
            "created_at": credential.created_at,
            "expires_at": credential.expires_at,
            "parent": credential.parent,
        }
        with self._database.write() as connection:
            if credential.parent is not None:
                parent = sa.select(credentials.c.id).where(credentials.c.id == credential.parent)
                if connection.execute(parent.with_for_update(read=True)).first() is None:
                    raise ConfigurationError("the token was revoked", help="log in again with another token")
            connection.execute(credentials.insert().values(row))

    @patient(locks=True)
    def find(self, id: str) -> Credential | None:
        """Return the credential with this id, also one that has expired."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(credentials).where(credentials.c.id == storable(id))).first()
        return None if row is None else _credential(row)

    @patient(locks=True)
    def list(self, kind: CredentialKind) -> list[Credential]:
        """Return all credentials of a kind, by name."""
        query = sa.select(credentials).where(credentials.c.kind == kind).order_by(credentials.c.name)
        with self._database.read() as connection:
            return [_credential(row) for row in connection.execute(query)]

    @patient(locks=True)
    def remove(self, id: str) -> bool:
        """Remove a credential and those that were made with it; return whether this call removed it.

        Of several processes that remove the same one, exactly one receives true.
        """
        with self._database.write() as connection:  # in this order: what `add` adds meanwhile is removed too
            removed = connection.execute(credentials.delete().where(credentials.c.id == id)).rowcount == 1
            connection.execute(credentials.delete().where(credentials.c.parent == id))
        return removed

    def sessions(self, now: float) -> builtins.list[BrowserSession]:
        """Return the sessions that have not expired at a time, by name."""
        tokens = {token.id: token.name for token in self.list("token")}
        return [
            BrowserSession(
                each.id,
                each.name,
                each.scopes,
                each.created_at,
                each.expires_at,
                None if each.parent is None else tokens.get(each.parent, each.name),
            )
            for each in self.list("session")
            if each.expires_at is None or each.expires_at > now
        ]

    @patient(locks=True)
    def remove_expired(self, now: float) -> None:
        """Remove the credentials that expired before `now`."""
        with self._database.write() as connection:
            connection.execute(credentials.delete().where(credentials.c.expires_at < now))


def _credential(row: Row[Any]) -> Credential:
    return Credential(
        row.id, row.kind, row.name, row.digest, tuple(row.scopes.split()), row.created_at, row.expires_at, row.parent
    )
