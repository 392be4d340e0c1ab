"""`Memory`: what a step of a run keeps and finds, within the bounds and the permissions of the project."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import shorten
from orchestrator.tools.memory.entries import MemoryChange
from orchestrator.tools.memory.words import words_of_query
from orchestrator.tools.run_secrets import RunSecrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.tools.memory.entries import MemoryEntry, MemoryStore
    from orchestrator.tools.memory.settings import MemorySettings

LONGEST_KEY: Final = 500
LONGEST_NAMESPACE: Final = 200
"""In bytes of UTF-8: what an index of PostgreSQL can hold."""


class Memory:
    """The memory of a project, as the steps of one run use it. Safe to use from any thread."""

    def __init__(self, store: MemoryStore, settings: MemorySettings, secrets: RunSecrets | None = None) -> None:
        self._store = store
        self._settings = settings
        self._secrets = secrets or RunSecrets()

    def put(self, namespace: str, key: str, value: Any, *, ttl: float | None, once: str) -> Mapping[str, Any]:
        """Set the value of a key, unless the step `once` has done so already."""
        return self._change(namespace, key, value, ttl, once)

    def append(
        self, namespace: str, key: str, values: Sequence[Any], *, keep: int | None, ttl: float | None, once: str
    ) -> Mapping[str, Any]:
        """Append values to the list of a key, unless the step `once` has done so already; keep its last ones."""
        return self._change(namespace, key, list(values), ttl, once, appends=True, keep=keep)

    def get(self, namespace: str, key: str) -> MemoryEntry | None:
        """Return the entry of a key; None if there is none."""
        return self._store.get(_name("namespace", namespace, LONGEST_NAMESPACE), _name("key", key, LONGEST_KEY))

    def entries(self, namespace: str, *, prefix: str, after: str, limit: int) -> Sequence[MemoryEntry]:
        """Return the keys that begin with `prefix` and follow `after`, without their values."""
        found = _name("namespace", namespace, LONGEST_NAMESPACE)
        return self._store.entries(found, prefix=_part("prefix", prefix), after=_part("after", after), limit=limit)

    def search(self, namespace: str, query: str, limit: int) -> Sequence[MemoryEntry]:
        """Return the entries with words of the query, the best first."""
        found = _name("namespace", namespace, LONGEST_NAMESPACE)
        words = words_of_query(query)
        if not words:
            raise _misused(f"the query {query!r} contains no word", "write words that the values contain")
        return self._store.search(found, words, limit)

    def delete(self, namespace: str, *, key: str | None = None, prefix: str = "", once: str) -> int:
        """Remove a key, or all that begin with `prefix`; return how many there were."""
        found = _name("namespace", namespace, LONGEST_NAMESPACE)
        if key is not None:
            _name("key", key, LONGEST_KEY)
        write = _digest(once, "delete", namespace, "" if key is None else key, prefix)
        return self._store.delete(found, key=key, prefix=_part("prefix", prefix), once=write)

    def _change(
        self,
        namespace: str,
        key: str,
        value: Any,
        ttl: float | None,
        once: str,
        *,
        appends: bool = False,
        keep: int | None = None,
    ) -> Mapping[str, Any]:
        settings = self._settings
        found, name = _name("namespace", namespace, LONGEST_NAMESPACE), _name("key", key, LONGEST_KEY)
        self._secrets.refuse("the namespace or the key", [found, name])
        self._secrets.refuse(f"the value of `{key}`", value)
        change = MemoryChange(
            found,
            name,
            value,
            # A step that is run again on purpose can write something else, so what it writes is part of the key.
            _digest(once, "append" if appends else "set", found, name, json.dumps(value, sort_keys=True)),
            settings.ttl if ttl is None else ttl,
            appends,
            keep,
            settings.max_keys,
            settings.max_value,
        )
        return self._store.change(change)


def _name(what: str, text: str, longest: int) -> str:
    """Return a namespace or a key, if it can be one."""
    if not text.strip():
        raise _misused(f"the {what} is empty", f"give a {what}")
    return _part(what, text, longest)


def _part(what: str, text: str, longest: int = LONGEST_KEY) -> str:
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise _misused(
            f"the {what} {shorten(ascii(text))} contains control characters", "use letters, digits and signs"
        )
    if (size := len(text.encode())) > longest:
        raise _misused(f"the {what} `{shorten(text)}` has {size:,} bytes", f"use at most {longest:,}")
    return text


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _misused(message: str, help: str) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
