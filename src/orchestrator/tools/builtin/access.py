"""Shared parts of the built-in tools: permitted paths, file modes, and messages for system errors."""

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any, Final

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.tools.contract import RefusalCheck, ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.sandbox.paths import Location, path_status
from orchestrator.tools.sandbox.permissions import Access, Permissions
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.sandbox.trees import file_kind, walk_tree

MOST_RECORDED: Final = 1_000
"""How many files of a directory are recorded when it is copied or moved."""


def file_mode(text: str | None) -> int | None:
    """Return a mode written in octal digits.

    Raises:
        StepError: It is not a mode.
    """
    if text is None:
        return None
    if re.fullmatch(r"0?[0-7]{3}", text, re.ASCII) is None:
        help = "use three octal digits: `600` for the owner only, `644` to let others read it"
        raise StepError(f"`{text}` is not a file mode", code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
    return int(text, 8)


Mode = Annotated[
    str | None,
    "The mode of the file in octal digits, such as `644`; default: unchanged, `600` for a new file.",
    Checked(file_mode),
]


def checks_paths(**accesses: Access) -> RefusalCheck:
    """Return a `refusal` that checks these parameters, if they are given and are strings."""

    def refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
        for parameter, access in accesses.items():
            path = known.get(parameter)
            if isinstance(path, str):
                found = check_access(permissions, path, access, parameter)
                if found is not None:
                    return found
        return None

    return refusal


def check_access(permissions: Permissions, path: str, access: Access, parameter: str | None = None) -> Refusal | None:
    """Check one path for one kind of access."""
    match access:
        case "read":
            return permissions.check_read(path, parameter=parameter)
        case "write":
            return permissions.check_write(path, parameter=parameter)
        case "remove":
            return permissions.check_remove(path, parameter=parameter)


def permitted_location(context: ToolContext, path: str, access: Access) -> Location:
    """Return the location of a path.

    Raises:
        PermissionDenied: The access is not permitted.
    """
    refusal = check_access(context.permissions, path, access)
    place = refusal or context.permissions.locate(path, access=access)
    if isinstance(place, Refusal):
        raise place.error()
    return place


def record_written(context: ToolContext, place: Location) -> None:
    """Record the file at a location, or the files of a directory, as written by a call."""
    found = path_status(place)
    if found is None or file_kind(found.st_mode) != "directory":
        context.wrote(place.path)
        return
    files = (node for node in walk_tree(place) if node.kind == "file")
    for node in islice(files, MOST_RECORDED):
        context.wrote(node.place.path)


@contextmanager
def file_errors(doing: str, path: str) -> Iterator[None]:
    """Turn system errors into step errors: "cannot read `a.txt`: no such file or directory"."""
    try:
        yield
    except OSError as error:
        reason, help = _REASONS.get(error.errno or 0, ((error.strerror or str(error)).lower(), None))
        raise StepError(f"cannot {doing} `{path}`: {reason}", code=codes.FILE_FAILED, help=help) from error


_REASONS: Mapping[int, tuple[str, str | None]] = {
    errno.ENOENT: (
        "no such file or directory",
        "check the path; relative paths are relative to the working directory",
    ),
    errno.EACCES: ("permission denied by the system", "check the owner and the mode of the file and its directories"),
    errno.EPERM: (
        "operation not permitted by the system",
        "check the owner and the mode of the file and its directories",
    ),
    errno.EISDIR: ("it is a directory", None),
    errno.ENOTDIR: ("a part of the path is a file, not a directory", None),
    errno.EEXIST: ("it already exists", "delete it first, or use another path"),
    errno.ENOTEMPTY: ("the directory is not empty", "set `recursive: true` to delete its contents too"),
    errno.ENOSPC: ("the disk is full", "free some space and resume the run"),
    errno.EROFS: ("the file system is read-only", None),
    errno.ENAMETOOLONG: ("the name is too long", None),
    errno.ELOOP: ("its symbolic links form a loop", None),
    errno.EXDEV: ("it is on another file system", "copy it and delete the original"),
}
