"""The files that paths of a command line name: as they are, below a directory, or by a pattern such as `flows/**`."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from orchestrator.errors import ConfigurationError
from orchestrator.text.content import path_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PATTERN: Final = re.compile(r"[*?\[]")
_ENDINGS: Final = (".yaml", ".yml")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__", "site-packages"})
_TESTS: Final = (".test.yaml", ".test.yml")
_PIPELINE: Final = re.compile(rb"^(?:\xef\xbb\xbf)?[\"']?steps[\"']?[ \t]*:", re.MULTILINE)
_MOST_BYTES: Final = 1 << 20
"""How much of a file is looked at to tell whether it is a pipeline."""


class Selection(Struct):
    """The files that were found, each once, and the YAML files of directories that hold no pipeline."""

    files: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def expand(paths: Iterable[Path]) -> list[Path]:
    """Return paths with those that match a pattern in its place. What exists is never taken for a pattern.

    Raises:
        ConfigurationError: Nothing matches a pattern.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path_kind(path) or not _PATTERN.search(str(path)):
            found.setdefault(path)
            continue
        # not Path.glob: before Python 3.13 its `**` matches directories only, and it takes no absolute pattern
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
        matches = [match for match in matches if not match.is_dir()] or matches
        if not matches:
            raise ConfigurationError(
                f"no file matches `{path}`", help="check the pattern; `**` stands for directories of any depth"
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def select_pipelines(paths: Iterable[Path]) -> Selection:
    """Return the files of pipelines and of tests that paths name, with those below directories.

    A file that is named is taken whatever it holds; below a directory those that look like pipelines are.

    Raises:
        ConfigurationError: Nothing matches a pattern, or a directory holds no pipeline.
    """
    selection = Selection()
    seen: set[Path] = set()
    for path in expand(paths):
        if path_kind(path) != "directory":
            if (place := path.resolve()) not in seen:
                seen.add(place)
                selection.files.append(path)
            continue
        empty = True
        for file in _below(path):
            is_pipeline = file.name.endswith(_TESTS) or _looks_like_pipeline(file)
            empty = empty and not is_pipeline
            if (place := file.resolve()) not in seen:
                seen.add(place)
                (selection.files if is_pipeline else selection.others).append(file)
        if empty:
            raise ConfigurationError(
                f"the directory `{path}` holds no pipeline",
                help="a pipeline is a YAML file with `steps:`; name the file itself to check it whatever it holds",
            )
    return selection


def _below(directory: Path) -> Iterator[Path]:
    for file in sorted(directory.rglob("*")):
        parts = file.relative_to(directory).parts
        hidden = any(part.startswith(".") or part in _SKIPPED for part in parts)
        if file.name.endswith(_ENDINGS) and not hidden and file.is_file():
            yield file


def _looks_like_pipeline(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            return _PIPELINE.search(content.read(_MOST_BYTES)) is not None
    except OSError:
        return True  # `check` reports why it cannot be read
