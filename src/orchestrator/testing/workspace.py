"""The temporary copy of the project's directory in which a case runs, so that its writes change nothing else."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import ConfigurationError
from orchestrator.remedies import RunInPlace
from orchestrator.testing.stubs import own_work, steps_of
from orchestrator.tools.sandbox.protection import HOME, lies_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.plan.model import Plan
    from orchestrator.plan.steps import StepPlan
    from orchestrator.tools import Permissions

PREFIX: Final = "orchestrator-test-"
"""The prefix of the directories of cases in the system's temporary directory."""

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 256 * 1024 * 1024

_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - what is made there has a name of its own, and is private
_MAX_IN_MEMORY: Final = 32 * 1024 * 1024
_MIN_FREE: Final = 1024**3

_LEFT_OUT: Final = frozenset(
    {
        HOME,
        *(".git", ".hg", ".svn", ".jj"),
        *("node_modules", "__pycache__", ".cache", ".tox", ".nox", ".hypothesis", ".import_linter_cache"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"),
    }
)
_MARKS: Final = frozenset({"CACHEDIR.TAG", "pyvenv.cfg"})
"""The files by which caches and virtual environments are known, whatever they are called."""


_READ_ONLY: Final[Mapping[str, frozenset[str]]] = {
    "archive": frozenset({"list"}),
    "data": frozenset(
        {
            *("read", "convert", "filter", "select", "sort", "aggregate", "join", "pivot", "unpivot", "deduplicate"),
            *("sql", "profile", "validate", "window", "sample"),
        }
    ),
    "email": frozenset({"send"}),
    "filesystem": frozenset({"read", "list", "glob", "exists"}),
    "http": frozenset({"request", "get", "post"}),
    "json": frozenset({"query", "merge", "validate"}),
    "log": frozenset({"write"}),
    "memory": frozenset({"set", "append", "get", "list", "search", "delete", "clear"}),
    "sleep": frozenset({"wait"}),
    "sql": frozenset({"query"}),
    "storage": frozenset({"read", "list", "exists"}),
    "text": frozenset({"template", "split", "regex", "replace"}),
    "vector": frozenset({"chunk", "query", "collections"}),
    "web": frozenset({"search", "read"}),
}
"""The built-in actions that change no file. Any other may."""

_BUILTIN: Final = "orchestrator.tools.builtin."
_STUB: Final = "orchestrator.testing.stubs"


def may_change_files(plan: Plan) -> bool:
    """Whether a step of a plan, or a tool of an agent in it, may change files: any that is not known to change none."""
    return any(_may_change_files(step) for step in steps_of(plan).values())


def _may_change_files(step: StepPlan) -> bool:
    from orchestrator.plan.steps import Agent, ToolCall

    work = own_work(step)
    if isinstance(work, Agent):
        return bool(work.servers)  # its tools are steps of the plan too
    if not isinstance(work, ToolCall) or work.action.uses_model:
        return False
    module = getattr(work.action.function, "__module__", "")
    if module == _STUB:
        return False
    builtin = f"{module}.".startswith(f"{_BUILTIN}{work.tool.name}.")
    return not builtin or work.action.name not in _READ_ONLY.get(work.tool.name, ())


class Workspace(Struct, frozen=True):
    """A copy of a project's folder: `folder` as it was given, `original` without links, `directory` holds the copy.

    `root` stands for the root of the file system: `directory` has the path in it that `original` has in the system's,
    so that relative paths that leave the folder find what `allow` lists.
    """

    folder: Path
    original: Path
    directory: Path
    root: Path

    def plan(self, plan: Plan) -> Plan:
        """Return a plan whose relative paths start in the copy."""
        called = {key: replace(each, directory=self.directory) for key, each in plan.pipelines.items()}
        return replace(plan, directory=self.directory, pipelines=called)

    def permissions(self, given: Permissions) -> Permissions:
        """Return permissions for the copy instead of the folder, which no step may change then."""
        outside = sorted((path for path in given.allow_paths if self._inside(path) is None), key=_depth)
        mirrored = [place for path in outside if (place := self._show(path)) is not None]
        own = () if lies_in(str(self.root), str(self.original)) else (self.original,)
        output = given.output_directory
        moved = replace(
            given,
            directory=self._moved(given.directory),
            output_directory=output and self._moved(output),
            allow_paths=(*map(self._moved, given.allow_paths), *mirrored),
            private=(*given.private, *map(self._moved, given.private)),
        )
        return moved.protecting(*map(self._moved, given.protected), *own)

    def _moved(self, path: Path) -> Path:
        return self._inside(path) or path

    def _inside(self, path: Path) -> Path | None:
        """Return the place in the copy of a path in the folder; None for others."""
        for written in (os.path.normpath(path), os.path.realpath(path)):
            for folder in (os.path.normpath(self.folder), str(self.original)):
                if lies_in(written, folder):
                    return self.directory / os.path.relpath(written, folder)
        return None

    def _show(self, path: Path) -> Path | None:
        """Link what is outside the folder to its place below the root; return a directory there that holds the copy."""
        real = Path(os.path.realpath(path.parent), path.name)
        place = real if real.name not in ("", "..") else Path(os.path.realpath(path))
        if not lies_in(str(self.original), str(place)):
            self._link(place)
            return None
        for directory in (each for each in self.original.parents if lies_in(str(each), str(place))):
            with suppress(OSError), os.scandir(directory) as listed:
                for entry in listed:
                    if not entry.name.startswith(PREFIX) and not lies_in(str(self.original), entry.path):
                        self._link(Path(entry.path))
        return _below(self.root, place)

    def _link(self, path: Path) -> None:
        place = _below(self.root, path)
        if os.path.lexists(place) or os.path.realpath(place.parent) != str(place.parent):
            return  # it exists, itself or through a link to a parent directory
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)


@contextmanager
def copied(folder: Path, stopped: Callable[[], bool] = lambda: False) -> Iterator[Workspace]:
    """Yield a copy of a folder, which is removed at the end: its files and links, without caches and packages.

    Links stay links: those into the folder lead to the copy, others keep their target. Special and unreadable files
    are omitted. Ends early when `stopped`.

    Raises:
        ConfigurationError: The folder is too large, or cannot be copied.
    """
    original = Path(os.path.realpath(folder))
    with _told(folder):
        entries, size = _entries(original)
        temporary = TemporaryDirectory(prefix=PREFIX, dir=_memory(size), ignore_cleanup_errors=True)
    with temporary as name:
        root = Path(os.path.realpath(name))
        workspace = Workspace(folder.absolute(), original, _below(root, original), root)
        with _told(folder):
            _copy(entries, workspace, stopped)
        yield workspace


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Convert an OSError to an error with a help text."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(
            f"the folder `{folder}` cannot be copied for a case: {reason}", help=_HELP, remedies=[RunInPlace()]
        ) from error


def _memory(size: int) -> str | None:
    """Return a directory in memory for a small copy, up to thirty times as fast; None for the usual directory."""
    if "TMPDIR" in os.environ or not hasattr(os, "statvfs") or size > _MAX_IN_MEMORY:
        return None
    try:
        system = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return None
    free = system.f_bavail * system.f_frsize
    fits = free >= _MIN_FREE and not system.f_flag & getattr(os, "ST_NOEXEC", 0)
    return _SHARED_MEMORY if fits and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None


def _copy(entries: Sequence[_CopiedEntry], workspace: Workspace, stopped: Callable[[], bool]) -> None:
    original, directory = workspace.original, workspace.directory
    directory.mkdir(parents=True)
    locked = []
    for entry in entries:
        if stopped():
            return
        source, target = f"{original}{os.sep}{entry.path}", f"{directory}{os.sep}{entry.path}"
        if stat.S_ISLNK(entry.mode):
            _copy_link(Path(source), Path(target), workspace)
        elif stat.S_ISDIR(entry.mode):
            os.mkdir(target)  # noqa: PTH102 - thousands of them, and a `Path` is slow
            if entry.mode & stat.S_IRWXU != stat.S_IRWXU:
                locked.append((target, entry.mode))
        else:
            _copy_file(source, target, entry)
    for target, mode in reversed(locked):
        Path(target).chmod(stat.S_IMODE(mode))


class _CopiedEntry(Struct, frozen=True):
    """Something in the folder, with its path from there."""

    path: str
    mode: int
    modified: int = 0


def _entries(folder: Path) -> tuple[list[_CopiedEntry], int]:
    """Return the entries to copy, each directory before its content, and the total size of the files in bytes."""
    found: list[_CopiedEntry] = []
    size = 0
    for entry, status in _walk(folder):
        found.append(entry)
        size += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if len(found) > MAX_FILES or size > MAX_BYTES:
            most = f"{MAX_FILES:,} files" if len(found) > MAX_FILES else f"{MAX_BYTES // 1024**2} MiB"
            raise ConfigurationError(
                f"the folder `{folder}` has more than {most}, too much to copy for each case",
                help=_HELP,
                remedies=[RunInPlace()],
            )
    return found, size


def _walk(folder: Path) -> Iterator[tuple[_CopiedEntry, os.stat_result]]:
    pending = [("", _listed(folder) or [])]
    while pending:
        within, listed = pending.pop()
        for item in listed:
            try:
                status = item.stat(follow_symlinks=False)
            except OSError:  # removed since it was listed
                continue
            path = os.path.join(within, item.name)  # noqa: PTH118 - thousands of them
            if stat.S_ISDIR(status.st_mode):
                below = _listed(item.path)
                if below is None:
                    continue
                pending.append((path, below))
            elif not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                continue
            yield _CopiedEntry(path, status.st_mode, status.st_mtime_ns), status


def _listed(directory: str | Path) -> list[os.DirEntry[str]] | None:
    """List a directory without what is left out; None for a cache or a virtual environment, which is so itself."""
    try:
        with os.scandir(directory) as listed:
            found = list(listed)
    except (PermissionError, FileNotFoundError, NotADirectoryError):
        return []
    if any(entry.name in _MARKS for entry in found):
        return None
    return [entry for entry in found if entry.name not in _LEFT_OUT and not entry.name.startswith(PREFIX)]


def _copy_file(source: str, target: str, entry: _CopiedEntry) -> None:
    # Not a hard link, which would let the case write to the original.
    try:
        with open(source, "rb") as content, open(target, "xb") as copy:  # noqa: PTH123 - a `Path` is slow
            shutil.copyfileobj(content, copy, 1 << 20)
    except (PermissionError, FileNotFoundError):  # unreadable, or removed since it was listed
        return
    os.utime(target, ns=(entry.modified, entry.modified))
    os.chmod(target, stat.S_IMODE(entry.mode))  # noqa: PTH101


def _copy_link(source: Path, target: Path, workspace: Workspace) -> None:
    try:
        text = source.readlink()
    except OSError:  # removed since it was listed
        return
    original, leads = str(workspace.original), os.path.normpath(source.parent / text)
    if text.is_absolute() or not lies_in(leads, original):
        inside = next((each for each in (leads, os.path.realpath(source)) if lies_in(each, original)), None)
        text = Path(leads) if inside is None else workspace.directory / os.path.relpath(inside, original)
    target.symlink_to(text)


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to(path.anchor)


def _depth(path: Path) -> int:
    return len(path.parts)


_HELP: Final = (
    "write `in_place: true` in the test file, or put the pipelines into a smaller folder with an `orchestrator.toml`"
)
