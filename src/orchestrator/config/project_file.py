"""`orchestrator.toml`: where it is found, and how its settings are read."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from orchestrator.config.setting_errors import InvalidSettings, SettingProblem
from orchestrator.errors import ConfigurationError
from orchestrator.text.content import NotText, decode_text, read_content
from orchestrator.text.representation import PartlyShown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.config.tables.base import Section

T = TypeVar("T", bound="Section")

CONFIGURATION_FILE: Final = "orchestrator.toml"
NAMES: Final = (
    *("store", "tools", "run", "map", "allow", "models", "servers", "limits", "budget", "mcp", "databases", "serve"),
    *("notify", "web", "memory", "mail", "storage"),
)
"""The settings and tables of the file, as in its schema, which is slow to load."""

_MAX_BYTES: Final = 1024 * 1024


class ProjectFile(PartlyShown, frozen=True):
    """The file of a project, empty where there is none. Its `values` are validated when they are read."""

    hidden: ClassVar = ("text", "values")  # the environment of an MCP server may hold a secret

    path: Path
    text: str
    values: Mapping[str, Any]

    @classmethod
    def load(cls, directory: str | Path = ".") -> ProjectFile:
        """Return the file in `directory`.

        Raises:
            ConfigurationError: It cannot be read, or is not TOML.
        """
        path = Path(directory).absolute() / CONFIGURATION_FILE
        try:
            text = decode_text(read_content(path, _MAX_BYTES))
            return cls(path, text, tomllib.loads(text))
        except FileNotFoundError:
            return cls(path, "", {})
        except NotText as error:
            raise ConfigurationError(f"{path}: {error}", help="save it as UTF-8") from error
        except (ValueError, RecursionError) as error:  # an integer may have too many digits
            raise ConfigurationError(f"{path}: it is not valid TOML: {error}", help="fix the syntax") from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(
                f"{path}: it cannot be read: {reason}", help="make it a readable UTF-8 text file"
            ) from error

    def has(self, *names: str) -> bool:
        """Whether there is something to read: one of these settings or tables, or an unknown one, which is an error."""
        return any(name in names or name not in NAMES for name in self.values)

    def read(self, section: type[T], problems: Iterable[SettingProblem] = ()) -> T:
        """Return the settings and tables of a section.

        Raises:
            InvalidSettings: They have problems, those of `problems` included, or the file has unknown tables.
        """
        from orchestrator.config.validation import validate

        values = {
            name: value for name, value in self.values.items() if name in section.model_fields or name not in NAMES
        }
        settings, refused = validate(section, values, NAMES)
        found = [*problems, *refused]
        if settings is None or found:
            raise InvalidSettings(self.path, self.text, found)
        return settings

    def tables(self, name: str) -> dict[str, Mapping[str, Any]]:
        """Return the tables in a table by their names, before they are validated."""
        outer = self.values.get(name)
        entries = outer.items() if isinstance(outer, dict) else ()
        return {key: value for key, value in entries if isinstance(value, dict)}

    def refused(self, name: str, read: Callable[[str], object]) -> Iterator[SettingProblem]:
        """Return the problems of the names of tables in a table: `read` raises them."""
        for key in self.tables(name):
            try:
                read(key)
            except SettingProblem as problem:
                problem.keys = (name, key)
                yield problem


def project_directory(start: str | Path | None = None) -> Path:
    """Return the project's directory: the nearest one with an `orchestrator.toml`, from `start` upwards.

    `start` is the working directory by default. Without such a file, `start` itself is the project.

    Raises:
        ConfigurationError: A directory above `start` has a file of that name that belongs to another user.
    """
    here = Path(start or Path.cwd()).absolute()
    for directory in (here, *here.parents):
        file = directory / CONFIGURATION_FILE
        try:
            found = file.stat()
        except (OSError, ValueError):
            continue
        if not stat.S_ISREG(found.st_mode) and directory != here:
            continue
        if directory != here and not _is_trusted(found.st_uid, here):
            raise ConfigurationError(
                f"{file}: it belongs to another user, and could name tools and grant permissions",
                help=f"if you trust it, work in `{directory}`; "
                f"else put an `{CONFIGURATION_FILE}` in your own directory",
            )
        return directory
    return here


def _is_trusted(owner: int, start: Path) -> bool:
    """Whether this user, the system, or the owner of `start` (as in a container) owns a file above `start`."""
    if not hasattr(os, "geteuid"):
        return True
    return owner in (os.geteuid(), 0, start.stat().st_uid)


def keys_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that holds this user's keys: `.env` in `ORCHESTRATOR_HOME`, by default `~/.orchestrator`."""
    home = environ.get("ORCHESTRATOR_HOME")
    return (Path(home) if home else Path.home() / ".orchestrator") / ".env"
