"""Keys of providers: from the environment, else from a file that only its owner can read. They are never shown."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from msgspec import field

from orchestrator.config.project_file import keys_file
from orchestrator.errors import ConfigurationError
from orchestrator.text.representation import PartlyShown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.models.catalog.providers import Provider

_MAX_BYTES = 256 * 1024
_LONGEST = 8192
_LINE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_EXPORT: Final = re.compile(r"export\s")


class Key(PartlyShown, frozen=True):
    """A key and where it comes from. `value` is empty where the provider's own library finds its credentials."""

    hidden: ClassVar = ("value",)

    variable: str
    source: Literal["environment", "file"]
    value: str = ""


class Keys(PartlyShown, frozen=True):
    """The available API keys: those in `environ`, else those in `file`, which is read on first use."""

    hidden: ClassVar = ("environ",)

    file: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Keys:
        """Return the keys of this user: `.env` in `ORCHESTRATOR_HOME`, by default `~/.orchestrator`."""
        known = os.environ if environ is None else environ
        return cls(keys_file(known), known)

    def find(self, provider: Provider) -> Key | None:
        """Return the key of a provider, or None.

        Raises:
            ConfigurationError: The file of keys would be needed, and others can read it, or it is not well formed.
        """
        for variable in provider.key_variables:
            if key := self.environ.get(variable, "").strip():
                return Key(variable, "environment", key)
        stored = self.stored() if provider.key_variables else {}
        for variable in provider.key_variables:
            if stored.get(variable):
                return Key(variable, "file", stored[variable])
        for variable in provider.own_keys:
            if self.environ.get(variable):
                return Key(variable, "environment")
        return None

    def suffices(self, provider: Provider) -> bool:
        """Whether the provider can be asked with what is here."""
        return not provider.needs_key or self.find(provider) is not None

    def stored(self) -> dict[str, str]:
        """Return what the file of keys holds, by variable; nothing where it is absent.

        Raises:
            ConfigurationError: Others can read the file, or it is not well formed. No part of it is in the message.
        """
        try:
            text = _read_private(self.file).removeprefix(codecs.BOM_UTF8).decode("ascii")
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError as error:
            raise ConfigurationError(
                f"{self.file}: it contains characters that are invalid in a key", help="write ASCII text"
            ) from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(f"{self.file}: it cannot be read: {reason}", help="make it readable") from error
        return _parsed(text, self.file)

    def store(self, provider: Provider, value: str) -> str:
        """Write the key of a provider into the file and return the variable that holds it now.

        The file is replaced as a whole, so that it is never half written; its other lines stay as they are.

        Raises:
            ConfigurationError: The value cannot be a key, the provider takes none, or the file cannot be written.
        """
        if not provider.key_variables:
            raise ConfigurationError(f"`{provider.name}` does not use a key", help="nothing has to be done to use it")
        key = value.strip()
        if not key:
            raise ConfigurationError("the key is empty", help="pass it on stdin, or type it at the prompt")
        if len(key) > _LONGEST or not key.isascii() or not key.isprintable() or re.search(r"[\s\"']", key):
            raise ConfigurationError(
                "the key is invalid: it contains spaces, quotes or other invalid characters",
                help="pass only the key, on one line",
            )
        variable = provider.key_variables[0]
        try:
            self._write(variable, key)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(
                f"{self.file}: it cannot be written: {reason}",
                help="make its directory writable, or name another with ORCHESTRATOR_HOME",
            ) from error
        return variable

    def _write(self, variable: str, key: str) -> None:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.file.resolve()  # where it is a link, what it points to is replaced
        home = file.parent
        with _locked(home):
            self.stored()  # refuses one that is wrong, rather than to build on it
            lines = file.read_text("ascii").splitlines() if file.exists() else []
            kept = [line for line in lines if line.partition("=")[0].strip() != variable]
            # `mkstemp` makes files that only their owner can read.
            descriptor, name = tempfile.mkstemp(prefix=".env.", dir=home)
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as out:
                    out.write("".join(f"{line}\n" for line in [*kept, f"{variable}={key}"]))
                    out.flush()
                    os.fsync(out.fileno())
                os.replace(name, file)  # noqa: PTH105 - the name is a text
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold a directory, so that of two commands that each add a key neither loses the other's."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_private(file: Path) -> bytes:
    """Return the content of a file that only its owner can read; the opened file itself is checked."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError(f"{file}: it is not a file", help="move it away, and store the keys again")
        if os.name == "posix" and found.st_uid not in (os.geteuid(), 0):
            raise ConfigurationError(
                f"{file}: it belongs to another user, so the keys in it are not used", help=f"chown $USER {file}"
            )
        if os.name == "posix" and found.st_mode & 0o077:
            raise ConfigurationError(
                f"{file}: other users of this machine can read or change it (mode {found.st_mode & 0o777:03o}), "
                "so the keys in it are not used",
                help=f"chmod 600 {file}",
            )
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
    return content


def _parsed(text: str, file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        match = _LINE.fullmatch(content)
        if match is None:
            help = "leave out `export`" if _EXPORT.match(content) else "write `NAME=value`, without spaces around `=`"
            raise ConfigurationError(f"{file}: line {number} is not `NAME=value`", help=help)
        variable, value = match[1], _unquoted(match[2])
        if value is None or re.search(r"\s", value) or not value.isprintable():
            raise ConfigurationError(
                f"{file}: line {number}: the value of {variable} is not a key",
                help="write the key alone after the `=`, without spaces; a comment must be on a separate line",
            )
        if variable in found:
            raise ConfigurationError(f"{file}: line {number}: {variable} is set twice", help="remove one of them")
        found[variable] = value
    return found


def _unquoted(value: str) -> str | None:
    """Return a value without the quotes around it, or None if its quotes do not match."""
    if value[:1] in ('"', "'"):
        return value[1:-1] if len(value) > 1 and value[-1] == value[0] else None
    return value
