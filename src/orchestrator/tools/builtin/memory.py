"""Keep values by key from one run to another: notes of agents, facts, the last result."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.durations import parse_duration
from orchestrator.text.words import quoted_list
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.memory.service import Memory
from orchestrator.tools.memory.settings import MemorySettings
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal

_MOST_LISTED = 1_000
_MOST_FOUND = 100


def _seconds(ttl: float | str | None) -> float | None:
    if ttl is None:
        return None
    try:
        seconds = parse_duration(ttl)
    except ValueError as error:
        raise _wrong(f"`ttl` is not a duration: {error}", "write for example `30d`, or a number of seconds") from error
    if seconds <= 0:
        raise _wrong("`ttl` must be more than 0", "omit it to keep the value; `delete` removes a value")
    return seconds


Namespace = Annotated[str, "The namespace: keys of different namespaces have nothing to do with each other."]
Key = Annotated[str, "The key, such as `preferences`."]
Ttl = Annotated[
    float | str | None,
    "How long to keep the value, such as `30d`, or in seconds; default: `ttl` of `[memory]`, else until it is deleted.",
    Checked(_seconds),
]


class KeptValue(TypedDict):
    """What was written."""

    key: Annotated[str, "The key."]
    namespace: Annotated[str, "The namespace."]
    created: Annotated[bool, "Whether the key had no value before."]
    expires_at: Annotated[str | None, "When the value expires, as ISO 8601 in UTC; null if it does not."]


class KeptList(KeptValue):
    """What was written, and the number of elements that the list has now."""

    count: Annotated[int, "The number of elements of the list."]


class RememberedValue(TypedDict):
    """The value of a key."""

    value: Annotated[Any, "The value; `default` if the key has none."]
    found: Annotated[bool, "Whether the key has a value."]
    key: Annotated[str, "The key."]
    namespace: Annotated[str, "The namespace."]
    updated_at: Annotated[str | None, "When it was written, as ISO 8601 in UTC; null if it was not found."]
    expires_at: Annotated[str | None, "When it expires; null if it does not."]


class ListedKey(TypedDict):
    """A key without its value."""

    key: Annotated[str, "The key."]
    size: Annotated[int, "The size of the value, in bytes of its JSON."]
    updated_at: Annotated[str, "When it was written, as ISO 8601 in UTC."]
    expires_at: Annotated[str | None, "When it expires; null if it does not."]


class ListedKeys(TypedDict):
    """Keys in the order of their characters."""

    keys: Annotated[list[str], "The keys."]
    entries: Annotated[list[ListedKey], "The keys, with size and times."]
    count: Annotated[int, "The number of keys that were returned."]
    next: Annotated[str | None, "The `after` of the next call; null if there are no more keys."]


class FoundValue(TypedDict):
    """A value that contains words of a query."""

    key: Annotated[str, "The key."]
    value: Annotated[Any, "The value."]
    updated_at: Annotated[str, "When it was written, as ISO 8601 in UTC."]


class FoundValues(TypedDict):
    """The values that contain words of the query, those with most of them first."""

    results: Annotated[list[FoundValue], "The values with their keys."]
    count: Annotated[int, "The number of results."]


class DeletedKey(TypedDict):
    """Whether there was something to delete."""

    deleted: Annotated[bool, "Whether the key had a value."]
    key: Annotated[str, "The key."]
    namespace: Annotated[str, "The namespace."]


class ClearedKeys(TypedDict):
    """How many keys were deleted."""

    count: Annotated[int, "The number of keys that were deleted."]
    namespace: Annotated[str, "The namespace."]


def _reads(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return _refusal(known, permissions, writes=False)


def _writes(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return _refusal(known, permissions, writes=True)


def _refusal(known: Mapping[str, Any], permissions: Permissions, *, writes: bool) -> Refusal | None:
    name = known.get("namespace")
    if not isinstance(name, str):
        return None
    settings = MemorySettings.load(permissions.directory)
    if not settings.can_read(name):
        allowed = quoted_list(settings.namespaces) or "none"
        advice = f"add it to `namespaces` of `[memory]` in orchestrator.toml; they are {allowed}"
        return Refusal("namespace", f"the project does not let steps use the namespace `{name}`", advice=advice)
    if writes and not settings.can_write(name):
        advice = "remove it from `read_only` of `[memory]` in orchestrator.toml"
        return Refusal("namespace", f"the namespace `{name}` is read-only", advice=advice)
    return None


@tool(name="set", refusal=_writes)
def set_value(
    key: Key,
    value: Annotated[Any, "The value: any JSON data, within `max_value` of `[memory]`."],
    context: ToolContext,
    namespace: Namespace = "default",
    ttl: Ttl = None,
) -> KeptValue:
    """Keep a value under a key, for this run and later ones.

    A value that the key had is replaced. The write is made once: after a crash, the step does not replace what others
    have written since. A value that contains a secret of the run is refused.

    Example:
        - id: remembered
          tool: memory
          action: set
          parameters:
            namespace: "user/{{ user }}"
            key: preferences
            value: {language: de}
            ttl: 90d
    """
    kept = context.service(Memory).put(namespace, key, value, ttl=_seconds(ttl), once=context.idempotency_key)
    return {
        "key": key,
        "namespace": namespace,
        "created": kept["created"],
        "expires_at": _moment(kept["expires_at"]),
    }


@tool(name="append", refusal=_writes)
def append_value(
    key: Key,
    value: Annotated[Any, "The element to append."],
    context: ToolContext,
    namespace: Namespace = "default",
    keep: Annotated[int | None, "How many of the last elements to keep; default: all."] = None,
    ttl: Ttl = None,
) -> KeptList:
    """Append an element to the list under a key, which is created if there is none.

    Steps and runs that append at the same time lose nothing, and after a crash the element is not appended twice. `ttl`
    applies to the whole list, from now on.

    Example:
        - id: noted
          tool: memory
          action: append
          parameters:
            key: notes
            value: "{{ answer }}"
            keep: 50
    """
    if keep is not None and keep < 1:
        raise _wrong(f"`keep` cannot be {keep}", "use a number of at least 1")
    kept = context.service(Memory).append(
        namespace, key, [value], keep=keep, ttl=_seconds(ttl), once=context.idempotency_key
    )
    return {
        "key": key,
        "namespace": namespace,
        "created": kept["created"],
        "expires_at": _moment(kept["expires_at"]),
        "count": kept["count"],
    }


@tool(name="get", primary="value", refusal=_reads)
def get_value(
    key: Key,
    context: ToolContext,
    namespace: Namespace = "default",
    default: Annotated[Any, "The value if the key has none."] = None,
) -> RememberedValue:
    """Return the value of a key, or `default` if it has none or has expired.

    Example:
        - id: preferences
          tool: memory
          action: get
          parameters:
            namespace: "user/{{ user }}"
            key: preferences
            default: {language: en}
    """
    found = context.service(Memory).get(namespace, key)
    return {
        "value": default if found is None else found.value,
        "found": found is not None,
        "key": key,
        "namespace": namespace,
        "updated_at": None if found is None else _moment(found.updated_at),
        "expires_at": None if found is None else _moment(found.expires_at),
    }


@tool(name="list", primary="keys", refusal=_reads)
def list_keys(
    context: ToolContext,
    namespace: Namespace = "default",
    prefix: Annotated[str, "Only keys that begin with this."] = "",
    after: Annotated[str, "Only keys that follow this one; see `next`."] = "",
    limit: Annotated[int, "The maximum number of keys, from 1 to 1,000."] = 100,
) -> ListedKeys:
    """List the keys of a namespace.

    Example:
        - id: keys
          tool: memory
          action: list
          parameters:
            namespace: facts
            prefix: "tides/"
    """
    _check_limit(limit, _MOST_LISTED)
    found = context.service(Memory).entries(namespace, prefix=prefix, after=after, limit=limit + 1)
    entries: list[ListedKey] = [
        {
            "key": each.key,
            "size": each.size,
            "updated_at": _moment(each.updated_at) or "",
            "expires_at": _moment(each.expires_at),
        }
        for each in found[:limit]
    ]
    return {
        "keys": [each["key"] for each in entries],
        "entries": entries,
        "count": len(entries),
        "next": entries[-1]["key"] if len(found) > limit else None,
    }


@tool(name="search", primary="results", refusal=_reads)
def search_values(
    query: Annotated[str, "Words, in any case. A word is found inside longer ones."],
    context: ToolContext,
    namespace: Namespace = "default",
    limit: Annotated[int, "The maximum number of results, from 1 to 100."] = 10,
) -> FoundValues:
    """Return the values of a namespace that contain any of the words, in the key or the value.

    Those with most of the words come first, then the newest. The tool `vector` searches by meaning.

    Example:
        - id: known
          tool: memory
          action: search
          parameters:
            namespace: facts
            query: "{{ question }}"
    """
    _check_limit(limit, _MOST_FOUND)
    results: list[FoundValue] = [
        {"key": each.key, "value": each.value, "updated_at": _moment(each.updated_at) or ""}
        for each in context.service(Memory).search(namespace, query, limit)
    ]
    return {"results": results, "count": len(results)}


@tool(name="delete", refusal=_writes)
def delete_key(key: Key, context: ToolContext, namespace: Namespace = "default") -> DeletedKey:
    """Delete the value of a key, if it has one.

    Example:
        - id: forgotten
          tool: memory
          action: delete
          parameters:
            key: preferences
    """
    count = context.service(Memory).delete(namespace, key=key, once=context.idempotency_key)
    return {"deleted": count > 0, "key": key, "namespace": namespace}


@tool(name="clear", primary="count", refusal=_writes)
def clear_namespace(
    namespace: Namespace,
    context: ToolContext,
    prefix: Annotated[str, "Only keys that begin with this."] = "",
) -> ClearedKeys:
    """Delete all keys of a namespace.

    Example:
        - id: forgotten
          tool: memory
          action: clear
          parameters:
            namespace: "user/{{ user }}"
    """
    count = context.service(Memory).delete(namespace, prefix=prefix, once=context.idempotency_key)
    return {"count": count, "namespace": namespace}


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _check_limit(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise _wrong(f"`limit` cannot be {limit:,}", f"use a number from 1 to {most:,}")


def _wrong(message: str, help: str) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
