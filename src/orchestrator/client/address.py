"""The address of a server, and the token that a client on the same machine finds by itself."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from orchestrator.config.project_file import project_directory
from orchestrator.config.server_token import read_token, token_file
from orchestrator.errors import ConfigurationError

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EXAMPLE: Final = "http://127.0.0.1:8420"


class ServerAddress(Struct, frozen=True):
    """A server: its URL without a slash at the end, and the token that is sent to it.

    `found_in` is the file that the token is from, if it was not given.
    """

    url: str
    token: str | None = None
    found_in: str | None = None

    @classmethod
    def of(cls, url: str, token: str | None = None) -> ServerAddress:
        """Read a URL. Without a token, that of this project's server is used if the server is on this machine.

        Raises:
            ConfigurationError: It is not the URL of a server, or the token cannot be sent.
        """
        found = cls(_checked(url), token)
        if token is None:
            project = project_directory()
            local = read_token(project) if found.is_local else None
            return cls(found.url, local, None if local is None else str(token_file(project)))
        if not token.strip() or not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError("the token of the server is not a token", help="give one that the server has made")
        return found

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine: no other one sees what is sent to it."""
        return urlsplit(self.url).hostname in _LOOPBACK

    @property
    def is_encrypted(self) -> bool:
        """Whether what is sent to it is encrypted."""
        return urlsplit(self.url).scheme == "https"


def _checked(url: str) -> str:
    help = f"write for example `{_EXAMPLE}`"
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except (ValueError, AttributeError):
        raise ConfigurationError(f"`{url}` is not the URL of a server", help=help) from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("the URL of a server contains no user or password", help="give the token by itself")
    if not valid or parts.query or parts.fragment:
        raise ConfigurationError(f"`{url}` is not the URL of a server", help=help)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
