"""The file with the token of this machine's server: the server makes it, and commands on the same machine read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST: Final = 200


def token_file(directory: Path) -> Path:
    """Return the file with the token of the server of a project, which only its user can read."""
    return directory / ".orchestrator" / "server-token"


def read_token(directory: Path) -> str | None:
    """Return the token of the server of a project; None if none has been started here."""
    try:
        return token_file(directory).read_text(encoding="ascii")[:_LONGEST].strip() or None
    except (OSError, ValueError):
        return None
