"""The names of entries: which are valid, where links may lead, and which names a pattern selects."""

from __future__ import annotations

import fnmatch
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.tools.archives.limits import LONGEST_NAME, LONGEST_PATH, MOST_LEVELS, archive_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.errors import StepError

Names = tuple[str, ...]
"""The names that lead to an entry, from the top of the archive."""


def entry_names(name: str, archive: str) -> Names:
    """Return the names that lead to an entry; none for the top itself.

    Raises:
        StepError: It is absolute, leads out of the archive, is too long or too deep.
    """
    if name.startswith("/"):
        raise _refused(archive, name, "is an absolute path")
    if "\0" in name:
        raise _refused(archive, name, "contains a NUL character")
    names = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in names:
        raise _refused(archive, name, "leads out of the archive")
    if len(names) > MOST_LEVELS:
        raise _refused(archive, name, f"is nested more than {MOST_LEVELS} levels deep")
    if len(os.fsencode("/".join(names))) > LONGEST_PATH or any(len(os.fsencode(part)) > LONGEST_NAME for part in names):
        raise _refused(archive, name, "is too long")
    return names


def check_link(names: Names, target: str, archive: str) -> None:
    """Refuse a symbolic link that leads, or could lead, out of the directory that the archive is unpacked into.

    `..` is accepted only at the start of a target: after the name of another link it would start where that leads.

    Raises:
        StepError: It leads out.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    if not target or "\0" in target or target.startswith("/") or ups >= len(names) or ".." in parts[ups:]:
        raise archive_error(
            f"`{archive}`: the link `{shown_name('/'.join(names))}` leads to `{shown_name(target)}`, which can be "
            "outside of the archive",
            "leave it out with `exclude`",
        )


def check_patterns(patterns: Sequence[str] | None) -> None:
    """Refuse patterns that can select nothing.

    Raises:
        StepError: One is empty, absolute or contains `..`.
    """
    for pattern in patterns or ():
        if not pattern.strip("/") or pattern.startswith("/") or ".." in pattern.split("/"):
            raise archive_error(
                f"`{pattern}` is not a pattern of names inside of the archive", "remove the leading `/` and every `..`"
            )


def is_selected(names: Names, include: Sequence[str] | None, exclude: Sequence[str] | None) -> bool:
    """Whether an entry is included and not excluded; a pattern for a directory selects all that is below it."""
    if any(matches(names, pattern) for pattern in exclude or ()):
        return False
    return not include or any(matches(names, pattern) for pattern in include)


def matches(names: Names, pattern: str) -> bool:
    """Whether a pattern matches an entry or a directory above it. `*` matches within a name, `**` any directories."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    while parts and parts[-1] == "**":  # all that is below is selected anyway
        parts.pop()
    if not parts:
        return True
    waiting = _closed({0}, parts)
    for name in names:
        following = set()
        for index in waiting:
            if parts[index] == "**":
                following.add(index)
            elif _matcher(parts[index]).match(name):
                following.add(index + 1)
        if len(parts) in following:
            return True
        waiting = _closed(following, parts)
    return False


def _closed(indices: set[int], parts: Sequence[str]) -> set[int]:
    """Add the parts that follow a `**`, which can match nothing."""
    found = set(indices)
    for index in indices:
        while parts[index] == "**":
            index += 1
            found.add(index)
    return found


@lru_cache(maxsize=256)
def _matcher(part: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(part))


def shown_name(name: str) -> str:
    """Return a name as valid Unicode without control characters, not longer than a message can show."""
    text = os.fsencode(name).decode("utf-8", "replace") if _encodable(name) else ascii(name)
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _refused(archive: str, name: str, why: str) -> StepError:
    return archive_error(f"`{archive}`: the entry `{shown_name(name)}` {why}", "nothing was unpacked; do not trust it")
