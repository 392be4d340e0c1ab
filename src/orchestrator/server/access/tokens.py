"""Tokens: made, verified and revoked. The store has only digests of them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
import unicodedata
from typing import TYPE_CHECKING, Final

from orchestrator.errors import ConfigurationError
from orchestrator.journal.store.credential_store import Credential
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.journal.store.credential_store import CredentialKind, CredentialStore
    from orchestrator.server.access.scopes import Scope

PREFIX: Final = "orc"
"""How every token begins, so that it is recognized where it should not be, such as in a repository."""

PROVIDED: Final = "oidc:"
"""How the names of users begin whom an identity provider has named: no token can have such a name."""

OF_SERVER: Final = re.compile(
    r"(the\s+)?(server|orchestrator|trigger|schedule|webhook|its\s+schedule|a\s+delivery)(?![\w.-])", re.IGNORECASE
)
"""How the names begin that a server records for its own commands: `the server, after a restart`, `trigger nightly`."""

_LONGEST_NAME: Final = 100
_LONGEST_TOKEN: Final = 200


def create_token(
    store: CredentialStore,
    name: str,
    scopes: Sequence[str],
    *,
    kind: CredentialKind = "token",
    lifetime: float | None = None,
    parent: str | None = None,
) -> str:
    """Store a new credential and return its token, which is not stored and cannot be shown again.

    `lifetime` in seconds; None: until it is revoked.
    """
    now = time.time()
    id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    expires_at = None if lifetime is None else now + lifetime
    store.add(Credential(id, kind, name, _digest(secret), tuple(scopes), now, expires_at, parent))
    return f"{PREFIX}_{id}_{secret}"


def add_token(store: CredentialStore, name: str, scopes: Sequence[Scope], *, lifetime: float | None = None) -> str:
    """As `create_token`, for a person or a program; names are unique.

    Raises:
        ConfigurationError: The name is taken, empty, too long, or like that of a user of the identity provider, or
            like one that the server records for what it does by itself.
    """
    name = unicodedata.normalize("NFKC", name).strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ConfigurationError(
            "a token needs a name", help=f"use 1 to {_LONGEST_NAME} printable characters, such as `ci` or `ada`"
        )
    if name.casefold().startswith(PROVIDED):
        raise ConfigurationError(
            f"the name of a token cannot begin with `{PROVIDED}`, as those of users of the identity provider do",
            help=f"choose another name, such as `{name[len(PROVIDED) :].strip() or 'ada'}`",
        )
    if imitated := OF_SERVER.match(name):
        raise ConfigurationError(
            f"the name of a token cannot begin with `{imitated[0]}`, as those of the server's own commands do",
            help="choose the name of a person or a program, such as `ada` or `ci`",
        )
    store.remove_expired(time.time())
    if any(known.name == name for known in store.list("token")):
        raise ConfigurationError(f"there is a token `{name}` already", help="choose another name, or revoke that one")
    return create_token(store, name, scopes, lifetime=lifetime)


def revoke_token(store: CredentialStore, name: str) -> Credential:
    """Revoke a token by its name or id, and the sessions that were opened with it.

    Raises:
        ConfigurationError: There is no such token.
    """
    known = store.list("token")
    for credential in known:
        if name in (credential.name, credential.id):
            store.remove(credential.id)
            return credential
    names = quoted_list([credential.name for credential in known])
    raise ConfigurationError(
        f"unknown token `{name}`", help=f"the tokens are {names}" if known else "there are no tokens"
    )


def verified(store: CredentialStore, token: str, *kinds: CredentialKind) -> Credential | None:
    """Return the credential that a token proves; None if it is unknown, expired or of another kind."""
    found = proven(store, token)
    return found if found is not None and found.kind in kinds and not has_expired(found) else None


def proven(store: CredentialStore, token: str) -> Credential | None:
    """Return the credential whose secret a token has, also an expired one; None if there is none."""
    parts = token.split("_", 2) if len(token) <= _LONGEST_TOKEN else []
    if len(parts) != 3 or parts[0] != PREFIX:
        return None
    credential = store.find(parts[1])
    if credential is None or not hmac.compare_digest(credential.digest, _digest(parts[2])):
        return None
    return credential


def has_expired(credential: Credential) -> bool:
    """Whether a credential is no longer valid."""
    return credential.expires_at is not None and credential.expires_at <= time.time()


def _digest(secret: str) -> str:
    """Return the digest of a secret. It is as random as a key, so that it needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
