"""Addresses of mail, and the patterns that say who may receive it."""

from __future__ import annotations

import re
from contextlib import suppress
from email.headerregistry import Address
from typing import Final

LONGEST: Final = 254
"""Characters that an address may have (RFC 5321)."""

_ATOM: Final = r"[^\x00-\x20\x7f-\x9f()<>@,;:\\\"\[\].]+"
_ADDRESS: Final = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_ATOM}(?:\.{_ATOM})*)")
_NAMED: Final = re.compile(r'"?([^<>"]*?)"?\s*<([^<>]+)>')
_PATTERN: Final = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+|\*")


def mail_address(text: str) -> Address:
    """Return an address that is written as `ada@example.com` or `Ada Lovelace <ada@example.com>`.

    Raises:
        ValueError: It is not one address.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("an address cannot contain line breaks or control characters")
    named = _NAMED.fullmatch(text.strip())
    name, bare = (named[1], named[2]) if named else ("", text)
    found = _ADDRESS.fullmatch(bare.strip())
    if found is None or len(bare) > LONGEST:
        raise ValueError("it is not one mail address, such as `ada@example.com` or `Ada <ada@example.com>`")
    return Address(name.strip(), found[1], found[2])


def plain_address(address: Address) -> str:
    """Return an address as it is compared and given to a server: without a name, the domain in ASCII."""
    return f"{address.username}@{_domain(address.domain)}"


def pattern_problem(pattern: str) -> str | None:
    """Describe what is wrong with a pattern of addresses; None if it is valid."""
    if _PATTERN.fullmatch(pattern):
        return None
    return "write an address, `*@example.com` for all of a domain, or `*` for every address"


def is_permitted(address: Address, patterns: tuple[str, ...]) -> bool:
    """Whether an address matches a pattern. `*` stands for any characters of a name or a domain."""
    name, _, domain = plain_address(address).lower().rpartition("@")
    for pattern in patterns:
        local, at, host = pattern.lower().rpartition("@")
        if not at or (_matches(local, name) and _matches(_domain(host), domain)):
            return True
    return False


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


def _domain(domain: str) -> str:
    if domain.isascii():
        return domain
    import idna

    with suppress(UnicodeError):
        return idna.encode(domain, uts46=True).decode()
    return domain
