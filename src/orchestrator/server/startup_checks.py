"""What a server refuses at its start: settings that could only fail, or never match anything, later."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from orchestrator.config.tables.serve import ServeTable


def check_settings(project: Path, settings: ServeTable) -> None:
    """Refuse settings of a server that cannot work.

    Raises:
        ConfigurationError: A directory is missing, or a name, a site or a proxy is not one.
    """
    for text in settings.pipelines:
        _check_directory(project / text, "pipelines", "create it, or name another directory")
        if not os.access(project / text, os.R_OK | os.X_OK):
            raise _wrong("pipelines", f"the directory {project / text} cannot be read", "let the server's user read it")
    for text in settings.outputs:
        if (project / text).exists():
            _check_directory(project / text, "outputs", "name a directory; it may be missing until a run writes there")
    for text in settings.names:
        if not _is_name(text):
            raise _wrong("names", f"`{text}` is not the name of a server", "write for example `runs.example.com`")
    for text in settings.origins:
        if not _is_origin(text):
            help = "write its scheme and its name, such as `https://tools.example.com`"
            raise _wrong("origins", f"`{text}` is not the origin of a site", help)
    _check_proxies(settings.proxies)


def _check_directory(path: Path, setting: str, help: str) -> None:
    if not path.exists():
        raise _wrong(setting, f"there is no directory {path}", help)
    if not path.is_dir():
        raise _wrong(setting, f"{path} is not a directory", help)


def _check_proxies(proxies: Iterable[str]) -> None:
    for text in proxies:
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            help = "write the address of the proxy, or its network, such as `10.0.0.1` or `172.16.0.0/12`"
            raise _wrong("proxies", f"`{text}` is not an address", help) from None
        if network.prefixlen == 0:
            raise _wrong(
                "proxies",
                f"`{text}` is every address: any client could say that it has another one",
                "write the address or the network of the proxy",
            )


def _is_name(text: str) -> bool:
    try:
        parts = urlsplit(f"//{text}")
        return bool(parts.hostname) and parts.netloc == text and "@" not in text and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_origin(text: str) -> bool:
    """Whether a browser can send a text as the origin of a page."""
    scheme, separator, name = text.partition("://")
    return bool(separator) and scheme.isalnum() and scheme.islower() and name == name.lower() and _is_name(name)


def _wrong(setting: str, message: str, help: str) -> ConfigurationError:
    return ConfigurationError(f"`{setting}` of [serve]: {message}", help=help)
