"""The files that a step declares in `produces`: looked at when its work has succeeded, and kept with the run."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.errors import PermissionDenied, StepError
from orchestrator.journal.step_payloads import StepFilePayload
from orchestrator.text.words import describe_value, shorten
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.paths import Location, open_location, real_path
from orchestrator.tools.sandbox.protection import lies_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.runtime.run.step_run import StepRun

_MOST_FILES: Final = 1_000
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_AT_ONCE: Final = 1024 * 1024


async def produced_files(run: StepRun, value: Any) -> list[StepFilePayload]:
    """Return what is recorded of the files that a step with this value must have written.

    Raises:
        EvaluationError: A path cannot be evaluated.
        StepError: ORC735, a file does not exist, or there are too many; PermissionDenied for one outside the
            directories of the run.
    """
    scope = run.scope.child({"output": value}).scope
    paths = dict.fromkeys(path for each in run.node.step.produces for path in _paths(each.evaluate(scope), run.path))
    if len(paths) > _MOST_FILES:
        raise _missing(f"`{run.path}` declares {len(paths):,} files, more than {_MOST_FILES:,}", "declare fewer")
    places = {path: _located(run, path) for path in paths}
    directory = run.context.plan.directory
    found: list[StepFilePayload] = await run_in_thread(
        lambda: [_recorded(run.path, *each, directory) for each in places.items()]
    )
    return found


def _paths(value: Any, step: str) -> Iterator[str]:
    """Yield the paths of one entry of `produces`; null is none."""
    for path in value if isinstance(value, list) else [] if value is None else [value]:
        if not isinstance(path, str) or not path.strip():
            what = "an empty text" if path == "" else describe_value(path)
            raise _missing(f"`produces` of `{step}` requires the path of a file, not {what}", "correct the template")
        yield path


def _located(run: StepRun, path: str) -> Location:
    found = run.context.permissions.locate(path)
    if isinstance(found, Location):
        return found
    raise PermissionDenied(found.message, help=found.help, remedies=found.remedies)


def _recorded(step: str, path: str, place: Location, directory: Path) -> StepFilePayload:
    """Read a file, in a thread."""
    try:
        descriptor = open_location(place, _FLAGS)
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise _missing(
            f"`{step}` has not produced `{shorten(path)}`: {reason}",
            "check where the step writes; relative paths start in the run's directory",
        ) from error
    status, digest = os.fstat(descriptor), hashlib.sha256()
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _missing(f"`{shorten(path)}`, which `{step}` must produce, is not a file", "name a file in it")
    with os.fdopen(descriptor, "rb") as file:
        while content := file.read(_AT_ONCE):
            digest.update(content)
    base, real = real_path(directory), str(place.path)
    shown = os.path.relpath(real, base) if lies_in(real, base) else real
    return StepFilePayload(
        path=shown, size=status.st_size, modified=status.st_mtime_ns // 1_000, digest=digest.hexdigest()
    )


def _missing(message: str, help: str) -> StepError:
    return StepError(message, code=codes.FILE_NOT_PRODUCED, help=help)
