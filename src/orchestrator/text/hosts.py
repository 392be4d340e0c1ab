"""Hosts as permissions name them: `host`, `host:port`, an address, or a network such as `10.0.0.0/8`."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

from msgspec import Struct


class HostRule(Struct, frozen=True):
    """A host, an address or a network, at one port or at all."""

    name: str
    port: int | None = None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None


def parse_host(entry: str) -> HostRule:
    """Return the rule that an entry writes: `host`, `host:port`, an address, or a network such as `10.0.0.0/8`.

    Raises:
        ValueError: It is none of these.
    """
    text = entry.strip().lower()
    port: int | None = None
    if text.startswith("["):
        text, _, rest = text[1:].partition("]")
        port = int(rest[1:]) if rest.startswith(":") else None
    elif text.count(":") == 1:
        text, _, digits = text.partition(":")
        port = int(digits)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        if "/" in text:
            raise
        network = None
    return HostRule(host_name(text), port, network)


def host_name(host: str) -> str:
    """Return a host name as it is compared: in lower case, with IDNA decoded to Unicode."""
    name = host.strip("[]").rstrip(".").lower()
    if "xn--" in name:
        import idna

        with suppress(UnicodeError):
            return idna.decode(name)
    return name


def host_problem(entry: str) -> str | None:
    """Describe what is wrong with an entry of `hosts`; None if it is valid."""
    if "//" in entry or "*" in entry:
        return "it is not a host; write only the name, without `http://` and without `*`"
    try:
        named = bool(parse_host(entry).name)
    except ValueError:
        named = False
    return None if named else "it is not a host, `host:port`, address or network such as `10.0.0.0/8`"
