"""The URL of a store: read without its password, and refused where it names no database."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from orchestrator.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

BUSY_SECONDS = 5.0
"""How long a statement waits for another program's lock; `?timeout=` in the URL changes it."""


def parse_url(url: str) -> URL:
    """Parse the URL of a store.

    Raises:
        ConfigurationError: It is not a URL.
    """
    if not _is_unicode(url):
        raise invalid_url(_without_password(url).encode("utf-8", "replace").decode(), "its path is not valid Unicode")
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise invalid_url(_without_password(url), "it is not the URL of a database") from None


def shown_url(url: URL) -> str:
    """Return the URL without its password and its driver."""
    query = {key: value for key, value in url.query.items() if key != "password"}
    kind = url.get_backend_name() if "+" in url.drivername else url.drivername
    return url.set(drivername=kind, query=query).render_as_string(hide_password=True)


def lock_timeout(url: URL) -> float:
    """Return how many seconds a statement waits for a lock.

    Raises:
        ConfigurationError: `?timeout=` is not a number of seconds.
    """
    timeout = str(url.query.get("timeout", BUSY_SECONDS))
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise invalid_url(shown_url(url), f"its timeout `{timeout}` is not a number of seconds")
    return seconds


def invalid_url(url: str, reason: str) -> ConfigurationError:
    """Return the error of a URL that is safe to show."""
    return ConfigurationError(
        f"the store {url} cannot be opened: {reason}",
        help="write sqlite:///path/runs.db for a file, or postgresql://user@host/database for a server",
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_password(url: str) -> str:
    """Hide what could be a password in a text that cannot be parsed."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://***@{after}" if at else url
