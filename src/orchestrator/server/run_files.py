"""The files that runs wrote below the output directories of a server: which there are, and opening one of them.

A path is only looked up among those that the run has recorded. It is opened part by part without following links, and
only if the file is still the one that the run wrote.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import OrchestratorError, RequestError
from orchestrator.journal.payload import EventType
from orchestrator.journal.step_payloads import StepFilePayload
from orchestrator.runtime import permissions_for
from orchestrator.tools.sandbox.paths import Location, open_location, path_status, real_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.api.run import Run
    from orchestrator.journal import Event

_EVENTS_AT_ONCE: Final = 2_000
_TYPES: Final[tuple[EventType, ...]] = ("step.file",)
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class WrittenFile(Struct, frozen=True):
    """A file that a step has written. `path` as recorded, `size` in bytes, `written_at` in seconds since the epoch.

    `digest` is the SHA-256 of its content, if the step declares it.
    `available` is false if it was removed, or replaced by something else since then.
    """

    path: str
    step: str
    attempt: int
    size: int
    written_at: float
    digest: str | None
    available: bool


class RunFiles:
    """The files of runs below some directories."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = tuple(directories)

    def list(self, run: Run, after: int, limit: int) -> tuple[list[WrittenFile], int | None]:
        """Return the files that the events after the one numbered `after` recorded, and where to continue.

        At most `limit` events are looked at, so that there may be fewer files. Of one path, the newest counts.
        """
        events = run.backend.store.events(run.id, after=after, limit=limit, types=_TYPES)
        newest = {_path(event): event for event in events}
        base = self._base(run)
        found = []
        for path, event in newest.items():
            place = self._place(run, base, path)
            if place is not None:
                status = path_status(place)
                available = status is not None and _is_same(status, event)
                size, digest = int(event.data.get("size", 0)), event.data.get("digest")
                found.append(WrittenFile(path, event.path, event.attempt, size, event.at, digest, available))
        return found, events[-1].seq if len(events) == limit else None

    def open(self, run: Run, path: str) -> int:
        """Return a descriptor of a file that the run has written.

        Raises:
            RequestError: ORC915, it has not, the file is not below an output directory, or not the same any more.
        """
        event = next(reversed([event for event in _events(run) if _path(event) == path]), None)
        place = None if event is None else self._place(run, self._base(run), path)
        if event is None or place is None:
            raise _not_served(f"run `{run.id}` has no file `{path}` that is served", 404)
        try:
            descriptor = open_location(place, _FLAGS)
        except (OSError, OrchestratorError) as error:
            raise _gone(path) from error
        if _is_same(os.fstat(descriptor), event):
            return descriptor
        os.close(descriptor)
        raise _gone(path)

    @staticmethod
    def _base(run: Run) -> Path:
        """Return the directory that the recorded paths of a run are relative to."""
        return Path(real_path(permissions_for(run.backend.permissions, run.record()).directory))

    def _place(self, run: Run, base: Path, path: str) -> Location | None:
        """Return where a file is; None if it is not below an output directory, or behind a link."""
        if not path or "\0" in path:
            return None
        full = Path(os.path.normpath(base / path))
        for directory in self._directories:
            root = Path(real_path(directory))
            if full != root and full.is_relative_to(root):
                found = run.backend.permissions.locate(full)
                if isinstance(found, Location) and found.path == full:
                    return Location(root, full.relative_to(root).parts, path, found.guard)
        return None


def _events(run: Run) -> Iterator[Event]:
    after = 0
    while batch := run.backend.store.events(run.id, after=after, limit=_EVENTS_AT_ONCE, types=_TYPES):
        yield from batch
        after = batch[-1].seq


def _path(event: Event) -> str:
    payload = event.payload
    return payload.path if isinstance(payload, StepFilePayload) else ""


def _is_same(status: os.stat_result, event: Event) -> bool:
    """Whether a file is the one that a step wrote."""
    written = event.payload
    return (
        isinstance(written, StepFilePayload)
        and stat.S_ISREG(status.st_mode)
        and (status.st_size, status.st_mtime_ns // 1_000) == (written.size, written.modified)
    )


def _gone(path: str) -> RequestError:
    return _not_served(f"`{path}` was removed, or changed since the run wrote it", 410)


def _not_served(message: str, status: int) -> RequestError:
    help = "list the files of the run with `GET /v1/runs/{run_id}/files`; `outputs` in [serve] of orchestrator.toml "
    help += "has the directories whose files are served"
    return RequestError(message, status=status, code=codes.NOT_SERVED, help=help)
