"""The pipelines that a server offers: the files of its directories, compiled when they have changed."""

from __future__ import annotations

import os
import threading
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.api.pipeline import Pipeline
from orchestrator.config.project_file import CONFIGURATION_FILE, keys_file
from orchestrator.diagnostics import suggest
from orchestrator.errors import CompilationError, ConfigurationError, RequestError
from orchestrator.server.pipeline_directory import PipelineDirectory
from orchestrator.server.pipeline_files import (
    LARGEST,
    is_pipeline,
    place_of_new,
    require_pipeline,
    write_again,
    write_new,
)
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.config.tables.serve import ServeTable
    from orchestrator.diagnostics import Diagnostic
    from orchestrator.journal import RunRecord
    from orchestrator.server.pipeline_directory import PipelineFile
    from orchestrator.tools.sandbox.paths import Location

MOST_FILES: Final = 2_000
"""How many pipelines a server offers."""

Stamp = tuple[int, int, int]
"""What differs when a file has changed: its inode, size, and time of modification."""


class OfferedPipeline(Struct, frozen=True):
    """A file that the server offers. `pipeline` is None if it has errors; `place` is where the file is."""

    name: str
    path: Path
    place: Location
    source: str
    diagnostics: tuple[Diagnostic, ...]
    pipeline: Pipeline | None

    def required(self) -> Pipeline:
        """Return the pipeline.

        Raises:
            CompilationError: It has errors.
        """
        if self.pipeline is None:
            errors = sum(diagnostic.severity == "error" for diagnostic in self.diagnostics)
            message = f"the pipeline `{self.name}` has {plural(errors, 'error')}"
            raise CompilationError(message, diagnostics=self.diagnostics)
        return self.pipeline


class Catalog:
    """The pipelines of some directories. Safe to share between threads."""

    def __init__(self, orchestrator: Orchestrator, settings: ServeTable) -> None:
        """The directories are those of the settings. A file has one name, by the innermost directory that has it.

        What runs write into the output directories is not offered.
        """
        self._orchestrator = orchestrator
        self.directories = pipeline_directories(orchestrator.directory, settings)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._settings = (orchestrator.directory / CONFIGURATION_FILE, keys_file(os.environ))
        self._known: dict[Path, tuple[dict[Path, Stamp | None], OfferedPipeline | None]] = {}

    def all(self) -> list[OfferedPipeline]:
        """Return all pipelines by name; of two with one name, the one of the first directory."""
        found: dict[str, OfferedPipeline] = {}
        files = {file.path: file for file in self._files()}
        for file in files.values():
            offered = self._read(file)
            if offered is not None:
                found.setdefault(file.name, offered)
        with self._lock:
            self._known = {path: known for path, known in self._known.items() if path in files}
        return [found[name] for name in sorted(found)]

    def find(self, name: str) -> OfferedPipeline:
        """Return the pipeline with this name.

        Raises:
            RequestError: ORC915, the server offers none.
        """
        if (offered := self.get(name)) is not None:
            return offered
        near = suggest(name, [file.name for file in self._files()])
        raise RequestError(
            f"the server offers no pipeline `{name}`",
            status=404,
            code=codes.NOT_SERVED,
            help=f"did you mean `{near}`?" if near else "list them with `GET /v1/pipelines`",
        )

    def get(self, name: str) -> OfferedPipeline | None:
        """Return the pipeline with this name, or None. It looks at no other file."""
        files = (file for directory in self.directories for file in directory.named(name))
        return next((offered for file in files if (offered := self._read(file)) is not None), None)

    def name_of(self, path: Path) -> str | None:
        """Return the name of the pipeline in the file at an absolute path; None if the server does not offer it."""
        at = Path(os.path.normpath(path))
        file = next((found for each in self.directories if (found := each.at(at)) is not None), None)
        offered = None if file is None else self.get(file.name)
        return None if file is None or offered is None or offered.place != file.place else file.name

    def name_of_run(self, record: RunRecord) -> str | None:
        """Return the name of the pipeline in the file of a run; None if the server does not offer it."""
        return self.name_of(Path(record.directory, record.source_name))

    def offers(self, path: Path) -> bool:
        """Whether the file at an absolute path is one of the pipelines, whatever is wrong with it."""
        return any(directory.at(path) is not None for directory in self.directories) and _source(path) is not None

    def may_read(self, path: Path) -> bool:
        """Whether a text from elsewhere may use a file: one of the pipelines, or a prompt that one of them uses."""
        if self.offers(path):
            return True
        directory = self._orchestrator.directory
        return any(
            path == directory / key
            for offered in self.all()
            if offered.pipeline is not None
            for plan in (offered.pipeline.plan, *offered.pipeline.plan.pipelines.values())
            for key in plan.prompts
        )

    def create(self, name: str, source: Callable[[Path], str]) -> OfferedPipeline:
        """Write a new pipeline into the first directory. `source` returns its text for its path.

        Raises:
            RequestError: The name is taken or unsuitable, or the text has no steps, or the file cannot be written.
        """
        place = place_of_new(self.directories, name)
        text = source(place.path.relative_to(place.root))
        require_pipeline(text)
        with self._writing:
            if any(True for each in self.directories for _ in each.named(name)):
                raise RequestError(f"there is a pipeline `{name}` already", status=409, help="choose another name")
            write_new(place, text)
        return self.find(name)

    def replace(self, name: str, source: str, replaced: str) -> OfferedPipeline:
        """Write a new version of a pipeline, whose text was `replaced` when it was edited.

        Raises:
            RequestError: The server offers none, or it was changed meanwhile, or cannot be written.
        """
        require_pipeline(source)
        with self._writing:
            offered = self.find(name)
            if offered.source != replaced:
                raise RequestError(
                    f"the pipeline `{name}` was changed since it was read, and was not overwritten",
                    status=409,
                    help="load it again, and repeat the changes",
                )
            write_again(offered.place, source)
        return self.find(name)

    def _files(self) -> Iterator[PipelineFile]:
        return islice((file for directory in self.directories for file in directory.files()), MOST_FILES)

    def _read(self, file: PipelineFile) -> OfferedPipeline | None:
        """Return the pipeline in a file, compiled again if it, or a file that its check looked at, has changed."""
        path = file.path
        with self._lock:
            stamps, offered = self._known.get(path, ({}, None))
        if stamps and all(_stamp(each) == stamp for each, stamp in stamps.items()):
            return offered
        before = {each: _stamp(each) for each in (path, *self._settings, *stamps)}
        try:
            offered, looked_at = self._compiled(file)
        except ConfigurationError:  # the settings are being edited: what was read with the earlier ones still holds
            if offered is None:
                raise
            return offered
        stamps = {
            each: before[each] if each in before else _stamp(each) for each in (path, *self._settings, *looked_at)
        }
        with self._lock:
            self._known[path] = (stamps, offered)
        return offered

    def _compiled(self, file: PipelineFile) -> tuple[OfferedPipeline | None, tuple[Path, ...]]:
        """Compile a file, and return the other files that its check looked at, even for ones that are missing.

        It returns no pipeline for a file that is not one, such as the settings of another program.
        """
        source = _source(file.path)
        if source is None:
            return None, ()
        backend = self._orchestrator.backend
        found = backend.compile(file.path)
        pipeline = None
        if found.plan is not None:
            pipeline = Pipeline(backend, found.plan, found.diagnostics, backend.start_options)
        offered = OfferedPipeline(file.name, file.path, file.place, source, found.diagnostics, pipeline)
        return offered, found.looked_at


def pipeline_directories(project: Path, settings: ServeTable) -> tuple[PipelineDirectory, ...]:
    """Return the directories whose pipelines the server of a project offers."""
    served = [Path(os.path.normpath(project / path)) for path in settings.pipelines]
    without = [Path(os.path.realpath(path)) for path in (*served, *output_directories(project, settings))]
    return tuple(PipelineDirectory(path, without=without) for path in dict.fromkeys(served))


def output_directories(project: Path, settings: ServeTable) -> list[Path]:
    """Return the directories of the files that runs write and that the server serves."""
    return [project / path for path in settings.outputs]


def _source(path: Path) -> str | None:
    """Return the text of a file; None if it is not a pipeline, such as the settings of another program."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        source = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return source if is_pipeline(source) else None


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)
