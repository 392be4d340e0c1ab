"""A directory whose pipelines a server offers: which of its files these are, by what names, and where new ones go.

Every path comes from `PipelineDirectory`: what can be listed can be found by its name, and nothing else can.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.tools.sandbox.paths import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUFFIXES: Final = (".yaml", ".yml")
"""The endings of pipeline files; of two files with one name, the one with the first ending is offered."""

_SKIPPED: Final = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})


class PipelineFile(Struct, frozen=True):
    """A file that can be a pipeline. `name` is its path below the directory, without the ending.

    `path` may be a link to another YAML file in the directory; `place` is where the file is.
    """

    name: str
    path: Path
    place: Location


class PipelineDirectory:
    """A directory of pipelines, with those below it. Nothing in it may exist yet."""

    def __init__(self, path: Path, *, without: Sequence[Path] = ()) -> None:
        """`path` is absolute; `without` are real paths of directories, of which those below it are left out."""
        self.path = path
        self._without = tuple(without)

    @property
    def exists(self) -> bool:
        """Whether it is a directory now."""
        return self.path.is_dir()

    def files(self) -> Iterator[PipelineFile]:
        """Yield all files that can be pipelines, by their paths. Links to directories are not followed."""
        root, without = self._real()
        for parent, directories, files in os.walk(root):
            parts = Path(parent).relative_to(root).parts
            directories[:] = [each for each in sorted(directories) if _is_entered((*parts, each), without)]
            for file in sorted(files):
                found = self._file((*parts, file), root, without)
                if found is not None:
                    yield found

    def named(self, name: str) -> Iterator[PipelineFile]:
        """Yield the files that can be the pipeline with this name, the one that comes first at first."""
        for suffix in SUFFIXES:
            found = self._found(tuple(f"{name}{suffix}".split("/")))
            if found is not None:
                yield found

    def at(self, path: Path) -> PipelineFile | None:
        """Return the file at an absolute path if it can be a pipeline of this directory."""
        for base in (self.path, self._real()[0]):
            if path.is_relative_to(base):
                return self._found(path.relative_to(base).parts)
        return None

    def place_of_new(self, name: str) -> Location | None:
        """Return where a new pipeline with this name is written; None if it would not be offered under that name."""
        parts = tuple(f"{name}{SUFFIXES[0]}".split("/"))
        root, without = self._real()
        return Location(root, parts, "/".join(parts)) if _is_offered(parts, without) else None

    def _found(self, parts: tuple[str, ...]) -> PipelineFile | None:
        """Return the file at these parts below the directory, if it can be a pipeline and no directory is a link."""
        root, without = self._real()
        if not _is_offered(parts, without):
            return None
        try:
            parent = root.joinpath(*parts[:-1])
            return self._file(parts, root, without) if os.path.realpath(parent) == str(parent) else None
        except OSError:
            return None

    def _file(self, parts: tuple[str, ...], root: Path, without: frozenset[tuple[str, ...]]) -> PipelineFile | None:
        """Return the file at these parts; of those, the directories are known to be no links."""
        if not _is_offered(parts, without):
            return None
        real = root.joinpath(*parts)
        try:
            mode = real.lstat().st_mode
            if stat.S_ISLNK(mode):
                real = Path(os.path.realpath(real))
                mode = real.lstat().st_mode
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(mode) or real.suffix not in SUFFIXES or not real.is_relative_to(root):
            return None
        name = "/".join((*parts[:-1], Path(parts[-1]).stem))
        path = self.path.joinpath(*parts)
        return PipelineFile(name, path, Location(root, real.relative_to(root).parts, name))

    def _real(self) -> tuple[Path, frozenset[tuple[str, ...]]]:
        """Return where the directory is now, and the parts that lead to what is left out."""
        root = Path(os.path.realpath(self.path))
        below = [each for each in self._without if each != root and each.is_relative_to(root)]
        return root, frozenset(each.relative_to(root).parts for each in below)


def _is_offered(parts: tuple[str, ...], without: frozenset[tuple[str, ...]]) -> bool:
    """Whether a file at these parts below a directory would be offered, if it were a pipeline."""
    name = parts[-1] if parts else ""
    stem, suffix = Path(name).stem, Path(name).suffix
    return (
        suffix in SUFFIXES
        and bool(stem.strip(" ."))
        and not stem.lower().endswith((".test", *SUFFIXES))  # `a.yaml.yaml` would be `a.yaml`
        and _is_plain(name)
        and all(_is_entered(parts[:count], without) for count in range(1, len(parts)))
    )


def _is_entered(parts: tuple[str, ...], without: frozenset[tuple[str, ...]]) -> bool:
    """Whether the pipelines in a directory at these parts are offered, if those of its parents are."""
    return _is_plain(parts[-1]) and parts[-1] not in _SKIPPED and parts not in without


def _is_plain(part: str) -> bool:
    """Whether a part of a path is the name of an entry: not hidden, not `..`, and the same on every screen."""
    return part.isprintable() and not part.startswith(".") and os.path.basename(part) == part != ""  # noqa: PTH119 - text
