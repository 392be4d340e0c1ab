"""Addresses of stored objects: `s3://bucket/key`, `gs://`, `az://`, `file:///directory/name`, `storage://NAME/key`."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

Scheme: TypeAlias = Literal["s3", "gs", "az", "file"]
SCHEMES: Final[tuple[Scheme, ...]] = get_args(Scheme)

NAMED: Final = "storage"
"""The scheme of an address that begins with the name of a table `[storage.NAME]`."""

_OTHER_NAMES: Final = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "azure": "az", "abfs": "az", "adl": "az"}
_ADDRESS: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<container>[^/]*)(?P<key>/.*)?\Z", re.DOTALL)
_MOST_BYTES: Final = 1024
"""The longest key that all stores accept."""


class AddressProblem(ValueError):
    """A text is not the address of an object; the message is the end of a sentence about it."""


class StorageUrl(Struct, frozen=True):
    """The parts of an address. `container` is a bucket, or the name of a table; a directory's is empty."""

    scheme: str
    container: str
    key: tuple[str, ...]


def is_address(text: str) -> bool:
    """Whether a text is meant as the address of a stored object, and not as the path of a file."""
    scheme = text.partition("://")[0] if "://" in text[:20] else ""
    return scheme in SCHEMES or scheme == NAMED or scheme in _OTHER_NAMES


def parse_address(text: str, *, folder: bool = False) -> StorageUrl:
    """Read an address. A key is taken as it is written: nothing in it is decoded, and no part leads upwards.

    Args:
        text: The address.
        folder: Whether it may end in `/`, or have no key at all.

    Raises:
        AddressProblem: It is not an address, or its key is not one that every store keeps apart from others.
    """
    found = _ADDRESS.match(text)
    if found is None:
        raise AddressProblem("is not an address such as `s3://bucket/key` or `storage://NAME/key`")
    scheme, container, rest = found["scheme"], found["container"], (found["key"] or "").removeprefix("/")
    if scheme in _OTHER_NAMES:
        raise AddressProblem(f"has the scheme `{scheme}`; write `{_OTHER_NAMES[scheme]}://`")
    if scheme not in (*SCHEMES, NAMED):
        raise AddressProblem(f"has the unknown scheme `{scheme}`; known are `s3`, `gs`, `az`, `file` and `storage`")
    if (scheme == "file") != (not container):
        raise AddressProblem("is not of the form `file:///directory/name`" if scheme == "file" else "names no bucket")
    if "@" in container or not container.isprintable():
        raise AddressProblem("has a bucket with characters that no bucket has")
    if folder:
        rest = rest.removesuffix("/")
    key = tuple(rest.split("/")) if rest else ()
    if not key and not folder:
        raise AddressProblem("names no object")
    problem = key_problem(key)
    if problem is not None:
        raise AddressProblem(problem)
    return StorageUrl(scheme, container, key)


def key_problem(key: tuple[str, ...]) -> str | None:
    """Return why the parts of a key are refused; None if they are not."""
    for part in key:
        if part in ("", ".", ".."):
            what = {"": "an empty part (`//`)", ".": "the part `.`"}.get(part, "the part `..`")
            return f"has {what} in its key"
        if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in part):
            return "has a control character or half of a surrogate pair in its key"
    if len("/".join(key).encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        return f"has a key of more than {_MOST_BYTES:,} bytes"
    return None
