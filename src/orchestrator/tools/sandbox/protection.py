"""What no step can change: the configuration and the store of the project, provider keys, and the code that runs.

Names are compared like on file systems that ignore case, Unicode form or trailing dots. Existing files are compared by
identity (device and inode), so that neither a link nor another spelling circumvents the protection.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from functools import lru_cache
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import Struct

from orchestrator.config.project_file import CONFIGURATION_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = ".orchestrator"
"""The directory of a project for its store and its logs."""

CODE_ADVICE = "tools could import it from there; use a directory that cannot be imported, such as `generated-code/`"
"""Help for writing a module where tools would import it."""

Identity = tuple[int, int]
"""Device and inode."""

_RESERVED = frozenset({CONFIGURATION_FILE, HOME})
_SHORT = re.compile(r"or(ches|[0-9a-f]{4})~\d+(\.tom)?", re.ASCII)  # their short names on Windows
_MODULE_ENDINGS = tuple({".py", ".pyc", ".pyw", *(ending.casefold() for ending in all_suffixes())})
_IGNORED = frozenset({"Cf", "Cc"})  # categories of characters that HFS+ ignores, and controls


def is_reserved(name: str) -> bool:
    """Whether some file system treats a name as `orchestrator.toml` or `.orchestrator`."""
    if name[:1] not in ".oO" and name.isascii() and name.isprintable():
        return False  # nearly all names; the full check takes ten times as long
    text = _folded(name)
    return text in _RESERVED or _SHORT.fullmatch(text) is not None


def _folded(name: str) -> str:
    """Return a name as the least strict file system compares it."""
    text = unicodedata.normalize("NFKC", name)
    text = "".join(sign for sign in text if unicodedata.category(sign) not in _IGNORED)
    return unicodedata.normalize("NFKC", text.casefold()).partition(":")[0].rstrip(". ")


class Guard(Struct, frozen=True):
    """What must not be accessed: files by identity, and for a change also names.

    `searched` are the directories where tools look for modules: a change must not put a module there, nor into a
    directory below that an import can name (`lib` for `import lib.x`, with or without an `__init__.py`).
    """

    identities: frozenset[Identity] = frozenset()
    names: bool = False
    searched: frozenset[Identity] = frozenset()

    def refuses_name(self, name: str) -> bool:
        """Whether files with this name must not be accessed."""
        return self.names and is_reserved(name)

    def refuses(self, status: os.stat_result) -> bool:
        """Whether an existing file must not be accessed."""
        return (status.st_dev, status.st_ino) in self.identities

    def refuses_module(self, path: str) -> bool:
        """Whether tools could import the file at an absolute path: a module, a package, or compiled code."""
        if not self.searched:
            return False
        directory, name = os.path.split(path)
        is_code = is_module(name) or "__pycache__" in (_folded(name), _folded(os.path.split(directory)[1]))
        return is_code and self.is_searched(directory)

    def is_searched(self, directory: str) -> bool:
        """Whether tools could import modules from a directory: they search it, or a parent that leads to it."""
        while self.searched:
            if not self.searched.isdisjoint(identities([directory])):
                return True
            above, name = os.path.split(directory)
            if not is_importable(name):
                return False
            directory = above
        return False


def is_module(name: str) -> bool:
    """Whether Python would load a file with this name: source, compiled code, or an extension."""
    return _folded(name).endswith(_MODULE_ENDINGS)


def is_importable(name: str) -> bool:
    """Whether an import can name a directory; a hyphen or a dot in its name prevents it."""
    return _folded(name).isidentifier()


def lies_in(path: str, directory: str) -> bool:
    """Whether an absolute path is a directory or below it, without resolving links."""
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


def identities(paths: Iterable[str]) -> frozenset[Identity]:
    """Return the identities of the existing paths, with links followed and not followed."""
    found = set()
    for path in paths:
        for follow in (True, False):
            try:
                status = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - called often, and a `Path` is slow
            except (OSError, ValueError):
                continue
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def store_files(url: str) -> tuple[Path, ...]:
    """Return the files of a store: those of SQLite with its journal files; none for a server."""
    kind, _, rest = url.partition("://")
    name = unquote(rest.partition("?")[0].removeprefix("/"))
    if kind.partition("+")[0] != "sqlite" or name in ("", ":memory:"):
        return ()
    path = Path(name).expanduser().absolute()
    return (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal")))


@lru_cache(1)
def running_code() -> tuple[str, ...]:
    """Return the directories of the running code: this package, and the virtual environment if there is one."""
    package = os.path.realpath(Path(__file__).parents[2])
    return (package, os.path.realpath(sys.prefix)) if sys.prefix != sys.base_prefix else (package,)
