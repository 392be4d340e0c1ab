"""What no step may change: the configuration and the store of the project, providers' keys, and the code that runs it.

Names are compared as file systems do that ignore case, Unicode form or trailing dots, and files that exist by their
identity (device and inode), so that neither a link nor another spelling leads around the rule.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from orchestrator.config.project_file import CONFIGURATION_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = ".orchestrator"
"""The directory of a project that holds its store and its logs."""

CODE_ADVICE = "tools could import it from there: write code to a directory that no import can name: `generated-code/`"
"""What to do instead of putting a module where tools look for one."""

Identity = tuple[int, int]
"""Device and inode."""

_RESERVED = frozenset({CONFIGURATION_FILE, HOME})
_SHORT = re.compile(r"or(ches|[0-9a-f]{4})~\d+(\.tom)?", re.ASCII)  # what Windows calls them where names are short
_MODULE_ENDINGS = tuple({".py", ".pyc", ".pyw", *(ending.casefold() for ending in all_suffixes())})
_IGNORED = frozenset({"Cf", "Cc"})  # categories of characters that HFS+ leaves out of a comparison, and controls


def is_reserved(name: str) -> bool:
    """Whether some file system takes a name for `orchestrator.toml` or `.orchestrator`, wherever they stand."""
    if name[:1] not in ".oO" and name.isascii() and name.isprintable():
        return False  # nearly all names; the rest takes ten times as long
    text = _folded(name)
    return text in _RESERVED or _SHORT.fullmatch(text) is not None


def _folded(name: str) -> str:
    """A name as the least exact of the file systems compares it."""
    text = unicodedata.normalize("NFKC", name)
    text = "".join(sign for sign in text if unicodedata.category(sign) not in _IGNORED)
    return unicodedata.normalize("NFKC", text.casefold()).partition(":")[0].rstrip(". ")


@dataclass(frozen=True, slots=True)
class Guard:
    """What an access must not reach: files by identity, and for a change also names.

    `searched` are the directories in which tools look for modules: a change must not put one there, nor into any
    directory below that an import could name (`lib` for `import lib.x`, with or without an `__init__.py`).
    """

    identities: frozenset[Identity] = frozenset()
    names: bool = False
    searched: frozenset[Identity] = frozenset()

    def refuses_name(self, name: str) -> bool:
        """Whether nothing of this name may be reached."""
        return self.names and is_reserved(name)

    def refuses(self, status: os.stat_result) -> bool:
        """Whether a file that exists may not be reached."""
        return (status.st_dev, status.st_ino) in self.identities

    def refuses_module(self, path: str) -> bool:
        """Whether tools could import what lies at an absolute path: a module, a package, or a compiled one."""
        if not self.searched:
            return False
        directory, name = os.path.split(path)
        is_code = is_module(name) or "__pycache__" in (_folded(name), _folded(os.path.split(directory)[1]))
        return is_code and self.is_searched(directory)

    def is_searched(self, directory: str) -> bool:
        """Whether tools could import modules from a directory: they look there, or in one that leads to it by names."""
        while self.searched:
            if not self.searched.isdisjoint(identities([directory])):
                return True
            above, name = os.path.split(directory)
            if not is_importable(name):
                return False
            directory = above
        return False


def is_module(name: str) -> bool:
    """Whether Python would load a file of this name: as source, compiled, or as an extension."""
    return _folded(name).endswith(_MODULE_ENDINGS)


def is_importable(name: str) -> bool:
    """Whether an import can name a directory: with a hyphen or a dot in its name none can."""
    return _folded(name).isidentifier()


def lies_in(path: str, directory: str) -> bool:
    """Whether an absolute path is that of a directory or below it, as they are written."""
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


def identities(paths: Iterable[str]) -> frozenset[Identity]:
    """Return the identities of those paths that exist, after symbolic links and before."""
    found = set()
    for path in paths:
        for follow in (True, False):
            try:
                status = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - asked often, and a `Path` is slow
            except (OSError, ValueError):
                continue
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def store_files(url: str) -> tuple[Path, ...]:
    """Return the files of a store: SQLite's with those that it keeps next to it; none for a server's."""
    kind, _, rest = url.partition("://")
    name = unquote(rest.partition("?")[0].removeprefix("/"))
    if kind.partition("+")[0] != "sqlite" or name in ("", ":memory:"):
        return ()
    path = Path(name).expanduser().absolute()
    return (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal")))


@lru_cache(1)
def running_code() -> tuple[str, ...]:
    """Return where the code lies that runs everything: this package, and the virtual environment if there is one."""
    package = os.path.realpath(Path(__file__).parents[2])
    return (package, os.path.realpath(sys.prefix)) if sys.prefix != sys.base_prefix else (package,)
