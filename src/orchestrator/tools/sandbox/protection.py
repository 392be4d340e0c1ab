"""What no step can change: the configuration and the store, provider keys, the code that runs, served pipelines.

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

PIPELINE_ADVICE = (
    "the server would run it as a pipeline; write it below a directory of `outputs` in [serve] of orchestrator.toml, "
    "or set `protect_pipelines = false` there"
)
"""Help for writing a pipeline where a server offers it."""

Identity = tuple[int, int]
"""Device and inode."""

_RESERVED = frozenset({CONFIGURATION_FILE, HOME})
_SHORT = re.compile(r"or(ches|[0-9a-f]{4})~\d+(\.tom)?", re.ASCII)  # their short names on Windows
_MODULE_ENDINGS = tuple({".py", ".pyc", ".pyw", *(ending.casefold() for ending in all_suffixes())})
_PIPELINE_ENDINGS = (".yaml", ".yml", ".yaml.lock", ".yml.lock")
_IGNORED = frozenset({"Cf", "Cc"})  # categories of characters that HFS+ ignores, and controls


def is_reserved(name: str) -> bool:
    """Whether some file system treats a name as `orchestrator.toml` or `.orchestrator`."""
    if name[:1] not in ".oO" and name.isascii() and name.isprintable():
        return False  # nearly all names; the full check takes ten times as long
    text = _folded(name)
    return text in _RESERVED or _SHORT.fullmatch(text) is not None


def is_home(name: str) -> bool:
    """Whether some file system treats a name as `.orchestrator`."""
    return is_reserved(name) and not _folded(name).endswith((".toml", ".tom"))


def _folded(name: str) -> str:
    """Return a name as the least strict file system compares it."""
    text = unicodedata.normalize("NFKC", name)
    text = "".join(sign for sign in text if unicodedata.category(sign) not in _IGNORED)
    return unicodedata.normalize("NFKC", text.casefold()).partition(":")[0].rstrip(". ")


class Directories(Struct, frozen=True):
    """Directories by their names and by their identities: also those that are missing, or that have other names."""

    paths: frozenset[str] = frozenset()
    identities: frozenset[Identity] = frozenset()

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Directories:
        """Return these directories, as they are now."""
        given = [os.path.normpath(path) for path in paths]
        return cls(frozenset((*given, *map(os.path.realpath, given))), identities(given)) if given else cls()

    def include(self, path: str) -> bool:
        """Whether an absolute path is that of one of them."""
        return path in self.paths or not self.identities.isdisjoint(identities([path]))


class Guard(Struct, frozen=True):
    """What must not be accessed: files by identity, directories named `.orchestrator`, and for a change more names.

    `searched` are the directories where tools look for modules: a change must not put a module there, nor into a
    directory below that an import can name (`lib` for `import lib.x`, with or without an `__init__.py`). `offered` are
    the directories of which a server offers the pipelines, with those below except `outputs`: a change must not put a
    pipeline there, nor a lock file.
    """

    identities: frozenset[Identity] = frozenset()
    names: bool = False
    searched: frozenset[Identity] = frozenset()
    offered: Directories = Directories()
    outputs: frozenset[str] = frozenset()

    def refuses_name(self, name: str) -> bool:
        """Whether files with this name must not be accessed."""
        return is_reserved(name) if self.names else is_home(name)

    def refuses(self, status: os.stat_result) -> bool:
        """Whether an existing file must not be accessed."""
        return (status.st_dev, status.st_ino) in self.identities

    def advice(self, path: str) -> str | None:
        """Return what to do instead of creating or changing the file at an absolute path; None if that is allowed."""
        if self.refuses_module(path):
            return CODE_ADVICE
        return PIPELINE_ADVICE if self.refuses_pipeline(path) else None

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

    def refuses_pipeline(self, path: str) -> bool:
        """Whether a server could run the file at an absolute path as a pipeline, or take its answers from it."""
        if not self.offered.paths:
            return False
        directory, name = os.path.split(path)
        return _folded(name).endswith(_PIPELINE_ENDINGS) and self.is_offered(directory)

    def is_offered(self, directory: str) -> bool:
        """Whether a server offers the pipelines in a directory: the innermost of the given directories decides."""
        while self.offered.paths:
            if self.offered.include(directory):
                return True
            above = os.path.dirname(directory)  # noqa: PTH120 - called often
            if above == directory or directory in self.outputs:
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
    """Return the files of a store: those of SQLite with its journal files; none for a server, or a name of no file."""
    kind, _, rest = url.partition("://")
    name = unquote(rest.partition("?")[0].removeprefix("/"))
    if kind.partition("+")[0] != "sqlite" or name in ("", ":memory:") or not _can_be_a_file(name):
        return ()
    path = Path(name).expanduser().absolute()
    return (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal")))


def _can_be_a_file(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


@lru_cache(1)
def running_code() -> tuple[str, ...]:
    """Return the directories of the running code: this package, and the virtual environment if there is one."""
    package = os.path.realpath(Path(__file__).parents[2])
    return (package, os.path.realpath(sys.prefix)) if sys.prefix != sys.base_prefix else (package,)
