"""Writing the pipelines that a server offers: new files in its directory, and new versions of those that it has."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from orchestrator.errors import OrchestratorError, PermissionDenied, RequestError
from orchestrator.server.pipeline_directory import SUFFIXES
from orchestrator.tools.sandbox.trees import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.server.pipeline_directory import PipelineDirectory
    from orchestrator.tools.sandbox.paths import Location

LARGEST: Final = 5_000_000
"""Bytes of a pipeline."""

_NAME: Final = re.compile(r"\w[\w. -]*(?:/\w[\w. -]*)*", re.ASCII)
_STEPS: Final = re.compile(r"^(?:steps|\"steps\"|'steps')\s*:", re.MULTILINE)
_LONGEST: Final = 200
_NEW_FILE: Final = 0o666
_NEW_DIRECTORY: Final = 0o777
"""The modes of what is new, less what the umask of the server takes away."""


def is_pipeline(source: str) -> bool:
    """Whether a text is meant to be a pipeline, and not the settings of another program."""
    return _STEPS.search(source) is not None


def place_of_new(directories: Sequence[PipelineDirectory], name: str) -> Location:
    """Return where a new pipeline with this name is written: in the first directory.

    Raises:
        RequestError: It cannot be the name of a pipeline, or the server would not offer it.
    """
    parts = name.split("/")
    place = next((directory.place_of_new(name) for directory in directories), None)
    if name.lower().endswith(SUFFIXES):
        raise _unsuitable(f"leave out the ending: `{name.rpartition('.')[0]}`")
    if len(name) > _LONGEST or not _NAME.fullmatch(name) or any(part.endswith((".", " ")) for part in parts):
        raise _unsuitable("use letters, digits, `-` and `_`, and `/` for a directory, such as `reports/weekly`")
    if place is None:
        raise _unsuitable("the server offers no pipelines there; choose another name, such as `reports/weekly`")
    return place


def require_pipeline(source: str) -> None:
    """Refuse a text that would not be offered once it is written.

    Raises:
        RequestError: It has no steps, or is too large.
    """
    if len(source.encode("utf-8", "surrogatepass")) > LARGEST:
        raise RequestError(
            f"the pipeline has more than {LARGEST:,} bytes",
            status=413,
            help="divide it, and let one file call the others with `pipeline:`",
        )
    if not is_pipeline(source):
        raise RequestError(
            "the text has no `steps:`, so it is not a pipeline, and was not saved",
            status=422,
            help="write `steps:` at the beginning of a line; below it, a pipeline may still have errors",
        )


def write_new(place: Location, source: str) -> None:
    """Write a file that does not exist yet, with the directories that lead to it.

    Raises:
        RequestError: It exists, or it cannot be written.
    """
    _write(place, source, overwrite=False)


def write_again(place: Location, source: str) -> None:
    """Replace a file by a new version, as a whole: a reader sees the old one or the new one.

    Raises:
        RequestError: It cannot be written.
    """
    _write(place, source, overwrite=True)


def _write(place: Location, source: str, *, overwrite: bool) -> None:
    try:
        with replacing(place, new=_NEW_FILE, directories=_NEW_DIRECTORY, overwrite=overwrite) as file:
            file.write(source.encode())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise RequestError(
            f"`{place.text}` already exists and was not changed", status=409, help="choose another name"
        ) from None
    except PermissionDenied:
        raise RequestError(
            f"`{place.text}` is behind a link, which is not followed", status=403, help="choose another name"
        ) from None
    except (OSError, OrchestratorError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RequestError(
            f"`{place.text}` cannot be written: {(reason or str(error)).lower()}",
            status=409,
            help="make the directory of the pipelines writable for the server",
        ) from None


def _unsuitable(help: str) -> RequestError:
    return RequestError("the name cannot be that of a pipeline", status=422, help=help)
