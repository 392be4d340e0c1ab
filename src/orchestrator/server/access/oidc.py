"""Logins with an identity provider: OpenID Connect, the authorization code flow with PKCE (RFC 7636).

Everything that a login needs between its two requests follows from a secret in the browser's cookie: the `state`, the
`nonce` and the verifier are digests of it. The store has the digest of the secret until the login ends, so that each
one is finished once, by any server on the store.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import httpx2
import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import ConfigurationError, RequestError
from orchestrator.server.access.request_guard import is_loopback
from orchestrator.server.access.scopes import SCOPES, permitted
from orchestrator.server.access.tokens import PROVIDED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.config.tables.oidc import OidcTable
    from orchestrator.server.access.scopes import Scope

CALLBACK: Final = "/login/oidc/callback"

_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
"""Those with a public key. `none`, and those with a shared secret, are refused."""

_SECONDS: Final = 10.0
_LONGEST: Final = 1_000_000
_METADATA_SECONDS: Final = 3_600.0
_KEYS_PAUSE: Final = 30.0
_LEEWAY: Final = 60
_LONGEST_NAME: Final = 255


class LoggedIn(Struct, frozen=True):
    """Who has logged in: the name that the journal records, and what the groups permit."""

    name: str
    scopes: tuple[Scope, ...]


class OidcLogin:
    """Logins with one provider. Safe to share between threads."""

    def __init__(self, settings: OidcTable) -> None:
        """Check the settings; the provider is asked when a person logs in.

        Raises:
            ConfigurationError: One is missing, or an address is not encrypted.
        """
        self.settings = settings
        self.issuer = _required(settings.issuer, "issuer")
        self.client_id = _required(settings.client_id, "client_id")
        self.url = _required(settings.url, "url").rstrip("/")
        if not settings.groups:
            _required(None, "groups")
        for address in (self.issuer, self.url):
            _require_encrypted(address)
        self._secret = _secret(settings.client_secret_env)
        self._provider = _Provider(self.issuer)

    @property
    def redirect(self) -> str:
        """The address to which the provider sends the browser back."""
        return self.url + CALLBACK

    def address_for(self, secret: str) -> str:
        """Return the address of the provider at which a browser with this secret logs in.

        Raises:
            RequestError: ORC916, the provider does not answer as it must.
        """
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect,
            "scope": " ".join(dict.fromkeys(("openid", *self.settings.scopes))),
            "state": _derived(secret, "state"),
            "nonce": _derived(secret, "nonce"),
            "code_challenge": _encoded(hashlib.sha256(_derived(secret, "verifier").encode()).digest()),
            "code_challenge_method": "S256",
        }
        endpoint = self._provider.metadata()["authorization_endpoint"]
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    def finish(self, secret: str, state: str, code: str) -> LoggedIn:
        """Return who has logged in, by what the provider sent back with the browser that has the secret.

        Raises:
            RequestError: ORC916, the provider does not confirm the login; ORC912, the user is in no group that may.
        """
        if not hmac.compare_digest(state.encode(), _derived(secret, "state").encode()):
            raise login_failed("the login was begun by another browser, or is over")
        claims = self._claims(self._token(code, _derived(secret, "verifier")), _derived(secret, "nonce"))
        name = _name(claims, self.settings.name_claim)
        scopes = self._scopes(claims.get(self.settings.groups_claim))
        if not scopes:
            raise RequestError(
                f"`{name}` is in no group that may use this server",
                status=403,
                code=codes.SCOPE_MISSING,
                help="the groups are in [serve.oidc] of orchestrator.toml",
            )
        return LoggedIn(name, scopes)

    def _scopes(self, groups: Any) -> tuple[Scope, ...]:
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        given = {scope for group in named if isinstance(group, str) for scope in self.settings.groups.get(group, ())}
        return tuple(scope for scope in SCOPES if scope in given and permitted([scope]))

    def _token(self, code: str, verifier: str) -> str:
        """Exchange a code for the token that says who the user is."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "client_id": self.client_id,
            "code_verifier": verifier,
        }
        if self._secret is not None:
            form["client_secret"] = self._secret
        found = _asked("POST", self._provider.metadata()["token_endpoint"], data=form)
        token = found.get("id_token")
        if not isinstance(token, str):
            raise login_failed("the provider sent no ID token")
        return token

    def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        """Return what a token says, if the provider signed it for this server and this login."""
        try:
            claims = jwt.decode(token, self._provider.keys_for(token), algorithms=_ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise login_failed(f"the ID token is not valid: {type(error).__name__}") from None
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self.client_id:
            raise login_failed("the ID token is for another client")
        return claims


class _Provider:
    """What a provider publishes of itself: its addresses and its keys."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._metadata_until = 0.0
        self._keys: KeySet | None = None
        self._keys_at = float("-inf")

    def metadata(self) -> Mapping[str, Any]:
        """Return its addresses."""
        with self._lock:
            if time.monotonic() >= self._metadata_until:
                found = _asked("GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self._issuer:
                    raise login_failed(f"the provider calls itself `{found.get('issuer')}`, not `{self._issuer}`")
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    _require_encrypted(str(found.get(name, "")))
                self._metadata, self._metadata_until = found, time.monotonic() + _METADATA_SECONDS
            return self._metadata

    def keys_for(self, token: str) -> KeySet:
        """Return its keys; they are read again if the one that signed a token is not among them."""
        address = self.metadata()["jwks_uri"]
        with self._lock:
            known = self._keys
            missing = known is None or _key_id(token) not in [key.kid for key in known.keys]
            if known is None or (missing and time.monotonic() >= self._keys_at + _KEYS_PAUSE):
                known = self._keys = KeySet.import_key_set(_asked("GET", address))  # type: ignore[arg-type]
                self._keys_at = time.monotonic()
            return known


def _key_id(token: str) -> str | None:
    """Return the key that signed a token, as its header names it."""
    header = jws.extract_compact(token.encode()).headers()
    return header.get("kid")


def _asked(method: str, address: str, *, data: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object that a provider answers with."""
    try:
        with (
            httpx2.Client(timeout=_SECONDS, follow_redirects=False) as client,
            client.stream(method, address, data=data, headers={"accept": "application/json"}) as response,
        ):
            content = b""
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _LONGEST:
                    raise login_failed("the response of the provider is too long")
            if response.status_code != 200:
                raise login_failed(f"the provider answers with the status {response.status_code}")
        return msgspec.json.decode(content, type=dict[str, Any])
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise login_failed(f"the provider does not answer as it must: {type(error).__name__}") from None


def _name(claims: Mapping[str, Any], wanted: str) -> str:
    """Return the name of a user: the claim that the settings name, else the id that the provider gave.

    It has a prefix, so that it is not the name of a token.
    """
    for claim in (wanted, "sub"):
        name = claims.get(claim)
        if isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= _LONGEST_NAME:
            return PROVIDED + name.strip()
    raise login_failed("the ID token has no name")


def _derived(secret: str, purpose: str) -> str:
    """Return what only the browser with the secret can know; it tells nothing of the secret."""
    return _encoded(hmac.digest(secret.encode(), purpose.encode(), "sha256"))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _require_encrypted(address: str) -> None:
    found = urlsplit(address)
    if found.scheme != "https" and not (found.scheme == "http" and is_loopback(found.hostname or "")):
        raise ConfigurationError(
            f"`{address}` in [serve.oidc] must begin with `https://`",
            help="tokens must not cross a network in clear text",
        )


def _secret(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (secret := os.environ.get(variable)):
        raise ConfigurationError(
            f"the environment variable `{variable}`, which [serve.oidc] names, is not set",
            help="set it to the secret that the provider gave this server",
        )
    return secret


def _required(value: str | None, name: str) -> str:
    if value is None:
        raise ConfigurationError(
            f"[serve.oidc] of orchestrator.toml needs `{name}`",
            help="it needs `issuer`, `client_id`, `url` and `groups`",
        )
    return value


def login_failed(message: str) -> RequestError:
    """Return the error of a login that the provider does not confirm."""
    return RequestError(message, status=401, code=codes.LOGIN_FAILED, help="log in again")
