"""What the built-in tools have in common: permitted places, and the system's errors in plain words."""

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from orchestrator import codes
from orchestrator.errors import PermissionDenied, StepError
from orchestrator.tools.contract import RefusalCheck, ToolContext
from orchestrator.tools.sandbox.paths import Location
from orchestrator.tools.sandbox.permissions import Access, Permissions
from orchestrator.tools.sandbox.refusal import Refusal

Mode = Annotated[
    str | None,
    "Who may use the file, in octal digits as for `chmod`, such as `644`; default as before, and `600` for a new file.",
]


def file_mode(text: str | None) -> int | None:
    """Return a mode that is written in octal digits.

    Raises:
        StepError: It is not one.
    """
    if text is None:
        return None
    if re.fullmatch(r"0?[0-7]{3}", text, re.ASCII) is None:
        help = "write three octal digits: `600` for its owner alone, `644` to let all others read it"
        raise StepError(f"`{text}` is not a mode of a file", code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
    return int(text, 8)


def checks_paths(**accesses: Access) -> RefusalCheck:
    """Return a `refusal` that checks these parameters, where they are given and are text."""

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
    """Return the place of a path.

    Raises:
        PermissionDenied: This access to it is not permitted.
    """
    refusal = check_access(context.permissions, path, access)
    place = refusal or context.permissions.locate(path, access=access)
    if isinstance(place, Refusal):
        raise PermissionDenied(place.message, flag=place.flag, help=place.help)
    return place


@contextmanager
def file_errors(doing: str, path: str) -> Iterator[None]:
    """Turn the system's errors into step errors: "cannot read `a.txt`: there is no such file"."""
    try:
        yield
    except OSError as error:
        said, help = _REASONS.get(error.errno or 0, ((error.strerror or str(error)).lower(), None))
        raise StepError(f"cannot {doing} `{path}`: {said}", code=codes.FILE_FAILED, help=help) from error


_REASONS: Mapping[int, tuple[str, str | None]] = {
    errno.ENOENT: (
        "there is no such file or directory",
        "check the path; relative paths start in the working directory",
    ),
    errno.EACCES: ("the system denies access", "check the owner and the mode of the file and its directories"),
    errno.EPERM: ("the system does not permit it", "check the owner and the mode of the file and its directories"),
    errno.EISDIR: ("it is a directory", None),
    errno.ENOTDIR: ("a part of the path is a file, not a directory", None),
    errno.EEXIST: ("it exists already", "delete it first, or use another path"),
    errno.ENOTEMPTY: ("the directory is not empty", "give `recursive: true` to delete what it holds too"),
    errno.ENOSPC: ("the disk is full", "free some space and resume the run"),
    errno.EROFS: ("the file system is read-only", None),
    errno.ENAMETOOLONG: ("the name is too long", None),
    errno.ELOOP: ("its symbolic links lead in a circle", None),
    errno.EXDEV: ("it is on another file system", "copy it and delete the original"),
}
