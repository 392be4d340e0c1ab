"""`orchestrator.toml`: where it is found, and one way to read it, so that every table refuses what it does not know."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.errors import ConfigurationError
from orchestrator.text.content import NotText, decode_text, read_content
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

CONFIGURATION_FILE = "orchestrator.toml"
SETTINGS = ("store", "tools")
"""The settings that the file may have outside of its tables."""

TABLES = ("allow", "budget", "limits", "map", "mcp", "models", "run", "servers")
"""The tables that the file may have."""

_MAX_BYTES = 1024 * 1024
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class SettingsTable(Struct, frozen=True):
    """One table of the file. `name` is how the file writes it, such as `models."openai:gpt-5"`; the whole has none."""

    file: Path
    name: str
    values: Mapping[str, Any]

    def path(self, key: str) -> str:
        """Return how a setting of this table is named in full."""
        written = key if _BARE_KEY.fullmatch(key) else f'"{key}"'
        return f"{self.name}.{written}" if self.name else written

    def error(self, problem: str, help: str) -> ConfigurationError:
        """Return the error for a setting that cannot be used; it names the file."""
        return setting_error(self.file, problem, help)

    def only(self, keys: Collection[str]) -> None:
        """Reject every key except these.

        Raises:
            ConfigurationError: There are others; the nearest known key is suggested for each.
        """
        unknown = [self._unknown(key, keys) for key in self.values if key not in keys]
        if unknown:
            raise one_error(self.file.parent, unknown)

    def _unknown(self, key: str, keys: Collection[str]) -> ConfigurationError:
        from orchestrator.diagnostics import suggest

        near = suggest(key, keys)
        listed = f"the settings are {quoted_list(keys)}"
        return self.error(f"unknown setting `{self.path(key)}`", f"did you mean `{near}`?" if near else listed)

    def table(self, key: str) -> SettingsTable:
        """Return a table in this one, empty where it is absent."""
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            name = self.path(key)
            raise self.error(
                f"`{name}` is not a table", f"write `[{name}]` on a separate line and the settings below it"
            )
        return SettingsTable(self.file, self.path(key), value)

    def text(self, key: str, example: str) -> str | None:
        """Return a text that is not empty, or None where it is absent."""
        value = self.values.get(key)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        raise self.error(f"`{self.path(key)}` must be a text", f'write for example `{key} = "{example}"`')

    def texts(self, key: str, wanted: str = "a list of strings") -> tuple[str, ...]:
        """Return a list of texts, empty where it is absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.error(f"`{self.path(key)}` must be {wanted}", f'write for example `{key} = ["..."]`')
        return tuple(value)

    def number(self, key: str, example: str) -> float | None:
        """Return a number from 0, or None where it is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.error(
                f"`{self.path(key)}` must be a number of at least 0", f"write for example `{key} = {example}`"
            )
        return float(value)

    def whole(self, key: str, example: str) -> int | None:
        """Return a whole number from 1, or None where it is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.error(
                f"`{self.path(key)}` must be an integer of at least 1", f"write for example `{key} = {example}`"
            )
        return value

    def flag(self, key: str) -> bool | None:
        """Return true or false, or None where it is absent."""
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return value
        raise self.error(f"`{self.path(key)}` must be true or false", f"write for example `{key} = true`")


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
            raise setting_error(
                file,
                "it belongs to another user, and could name tools and grant permissions",
                f"if you trust it, work in `{directory}`; else put an `{CONFIGURATION_FILE}` in your own directory",
            )
        return directory
    return here


def _is_trusted(owner: int, start: Path) -> bool:
    """Whether this user, the system, or the owner of `start` (as in a container) owns a file above `start`."""
    if not hasattr(os, "geteuid"):
        return True
    return owner in (os.geteuid(), 0, start.stat().st_uid)


def read_configuration(directory: str | Path = ".") -> SettingsTable:
    """Read `orchestrator.toml` in `directory`; without the file all its tables are empty.

    Raises:
        ConfigurationError: The file cannot be read, is not TOML, or has a table that is unknown.
    """
    file = Path(directory).absolute() / CONFIGURATION_FILE
    try:
        values = tomllib.loads(decode_text(read_content(file, _MAX_BYTES)))
    except FileNotFoundError:
        values = {}
    except tomllib.TOMLDecodeError as error:
        raise setting_error(file, f"it is not valid TOML: {error}", "fix the syntax") from error
    except NotText as error:
        raise setting_error(file, str(error), "save it as UTF-8") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise setting_error(file, f"it cannot be read: {reason}", "make it a readable UTF-8 text file") from error
    whole = SettingsTable(file, "", values)
    whole.only((*SETTINGS, *TABLES))
    return whole


def keys_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that holds this user's keys: `.env` in `ORCHESTRATOR_HOME`, by default `~/.orchestrator`."""
    home = environ.get("ORCHESTRATOR_HOME")
    return (Path(home) if home else Path.home() / ".orchestrator") / ".env"


def setting_error(file: Path, problem: str, help: str) -> ConfigurationError:
    """Return the error for something in the file that cannot be used."""
    return ConfigurationError(f"{file}: {problem}", help=help)


class SettingsErrors(ConfigurationError):
    """Several `errors` of `orchestrator.toml`, reported at once."""

    def __init__(self, file: Path, problems: Sequence[ConfigurationError]) -> None:
        lines = [
            f"\n  {problem.message.removeprefix(f'{file}: ')}" + (f"; {problem.help}" if problem.help else "")
            for problem in problems
        ]
        super().__init__(f"{file}: {len(problems)} settings are invalid:{''.join(lines)}", help="fix all of them")
        self.errors = tuple(problems)


def one_error(directory: Path, problems: Iterable[ConfigurationError]) -> ConfigurationError:
    """Return one error for all problems of the file in `directory`."""
    found: list[ConfigurationError] = []
    for problem in problems:
        found += problem.errors if isinstance(problem, SettingsErrors) else [problem]
    return found[0] if len(found) == 1 else SettingsErrors(directory.absolute() / CONFIGURATION_FILE, found)
